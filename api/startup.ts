/**
 * What has to be done before the API may answer: migrations, seeded settings, the first admin, the
 * secret that signs tokens. The API may start before its database, so that this is retried until it
 * succeeds.
 */

import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { hash } from '@node-rs/argon2';
import { z } from 'zod';
import { databaseUnavailable, type Sql } from '../adapters/postgres/connect.ts';
import { migrate } from '../adapters/postgres/migrate.ts';
import { createSettings } from '../adapters/postgres/settings.ts';
import { createUsers, type Users } from '../adapters/postgres/users.ts';
import type { Logger } from '../lib/logger.ts';
import type { ApiConfig } from './config.ts';

const PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 5_000;

export interface Startup {
  /** What is still missing, as a sentence; null once all is done. */
  readonly missing: () => string | null;
  /** Resolves when it is done or was stopped. */
  readonly done: Promise<void>;
}

async function prepare(sql: Sql, config: ApiConfig, logger: Logger, print: (line: string) => void): Promise<void> {
  const applied = await migrate(sql, config.DECKHAND_DB_SCHEMA);
  if (applied.length > 0) logger.info({ applied }, 'migrations applied');
  const settings = createSettings(sql);
  await settings.seedDeploymentLimit(config.DECKHAND_DEPLOYMENT_LIMIT);
  await settings.seedReconcileInterval(config.DECKHAND_RECONCILE_INTERVAL);
  await ensureFirstAdmin(createUsers(sql), config, print);
}

const sentenceFor = (error: unknown): string =>
  databaseUnavailable(error)?.message ??
  `PostgreSQL is not prepared: ${error instanceof Error ? error.message : String(error)}`;

/** Starts trying, with growing pauses, until `signal` is aborted. */
export function startUp(
  sql: Sql,
  config: ApiConfig,
  logger: Logger,
  options: { readonly signal: AbortSignal; readonly print: (line: string) => void },
): Startup {
  let missing: string | null = 'The API is starting. Nothing was done; try again.';
  const attempt = async (): Promise<void> => {
    try {
      await prepare(sql, config, logger, options.print);
      missing = null;
    } catch (error) {
      const sentence = sentenceFor(error);
      if (sentence !== missing) logger.warn({ err: error }, sentence);
      missing = sentence;
    }
  };
  const run = async (): Promise<void> => {
    for (let wait = PAUSE_MS; !options.signal.aborted; wait = Math.min(wait * 2, LONGEST_PAUSE_MS)) {
      await attempt();
      if (missing === null) return;
      await pause(wait, undefined, { signal: options.signal }).catch(() => undefined);
    }
  };
  return { missing: () => missing, done: run() };
}

/**
 * The first admin of an installation, from the environment, or with a password that is printed
 * once.
 */

type AdminConfig = Pick<
  ApiConfig,
  'DECKHAND_ADMIN_USER' | 'DECKHAND_ADMIN_PASSWORD' | 'DECKHAND_ADMIN_MUST_CHANGE_PASSWORD'
>;

/** Does nothing when there are users. `print` gets the one line that shows a made-up password. */
export async function ensureFirstAdmin(
  users: Users,
  config: AdminConfig,
  print: (line: string) => void,
): Promise<void> {
  if ((await users.list()).length > 0) return;
  const username = config.DECKHAND_ADMIN_USER;
  const password = config.DECKHAND_ADMIN_PASSWORD ?? randomBytes(18).toString('base64url');
  const created = await users.createFirst({
    username,
    password_hash: await hash(password),
    role: 'admin',
    must_change_password: config.DECKHAND_ADMIN_MUST_CHANGE_PASSWORD,
  });
  if (created && config.DECKHAND_ADMIN_PASSWORD === undefined)
    print(`First admin: user ${username}, password ${password} (shown this once)`);
}

/**
 * The secret that signs access tokens. It is made up at the first start and kept, so that tokens
 * outlive a restart.
 */

const Secrets = z.object({ jwt_secret: z.string().min(32) });

async function readSecret(file: string): Promise<string | null> {
  try {
    return Secrets.parse(JSON.parse(await readFile(file, 'utf8'))).jwt_secret;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw new Error(
      `${file} can’t be read as {"jwt_secret": 32 or more characters}. Mend it, or remove it for a new secret.`,
      {
        cause: error,
      },
    );
  }
}

/**
 * From `<home>/api-secrets.json` (mode 0600). Of two programs that start at once, one makes it and
 * both use it.
 */
export async function keptSecret(home: string): Promise<string> {
  const file = join(home, 'api-secrets.json');
  const kept = await readSecret(file);
  if (kept !== null) return kept;
  await mkdir(home, { recursive: true });
  const draft = `${file}.${process.pid}`;
  const secret = randomBytes(48).toString('base64url');
  await writeFile(draft, `${JSON.stringify({ jwt_secret: secret })}\n`, { mode: 0o600 });
  // A link appears whole or not at all, and fails where another program was faster.
  await link(draft, file).catch(() => undefined);
  await rm(draft, { force: true });
  return (await readSecret(file)) ?? secret;
}
