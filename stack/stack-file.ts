/** `<home>/stack.json`: where everything is, for the CLI and for scripts. Mode 0600: it holds the admin's password. */
import { join } from 'node:path';
import { z } from 'zod';
import { readJson, writeJson } from '../lib/files.ts';

export const stackFileSchema = z.object({
  api_url: z.string(),
  /** `https://…`, for agents. */
  swarm_url: z.string().nullable(),
  temporal_address: z.string(),
  temporal_namespace: z.string(),
  temporal_ui_url: z.string().nullable(),
  nats_url: z.string(),
  database_url: z.string(),
  /** `unix:///…`; null when deckies are simulated. */
  docker_host: z.string().nullable(),
  admin: z.object({ username: z.string(), password: z.string() }),
  /** Lets the owner's commands log in whatever passwords others get wrong. */
  login_key: z.string(),
  /** Certificates of the installation. */
  ca_dir: z.string().nullable(),
  /** The process that does the work, never a wrapper. Only what the stack itself started. */
  processes: z.array(z.object({ name: z.string(), pid: z.number().int() })),
});
export type StackFile = z.infer<typeof stackFileSchema>;

export const stackFilePath = (home: string): string => join(home, 'stack.json');
export const readStackFile = (home: string): StackFile | null => readJson(stackFilePath(home), stackFileSchema);
export const writeStackFile = (home: string, content: StackFile): void => writeJson(stackFilePath(home), content);
