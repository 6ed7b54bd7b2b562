/** The engine and the instance of a state directory, for what must work without a master: purge. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createDockerEngine } from '../engine/docker/docker-engine.ts';
import type { ComposeEngine } from '../engine/engine.ts';
import { createLogger } from '../lib/logger.ts';
import { DEFAULT_SOCKET } from '../stack/docker.ts';
import { readStackFile } from './connection.ts';
import { CliError, EXIT } from './exit-codes.ts';

export interface OwnEngine {
  readonly instance: string;
  readonly dockerHost: string;
  readonly engine: ComposeEngine;
}

/** The id that our containers carry. Throws CliError (255) where there is none: then nothing can be told to be ours. */
export function instanceOf(home: string, environment: NodeJS.ProcessEnv): string {
  if (environment.DECKHAND_INSTANCE) return environment.DECKHAND_INSTANCE;
  const file = join(home, 'instance');
  const text = existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
  if (/^[0-9a-f]{12}$/.test(text)) return text;
  throw new CliError(EXIT.couldNotAsk, `${home} is no state directory of a stack (there is no file \`instance\`).`, {
    advice: 'Name the right one with --home DIR, or the instance by DECKHAND_INSTANCE.',
  });
}

/** The engine of the stack that runs in `home`; else DOCKER_HOST; else the default socket. Null where that stack simulates. */
export function ownEngine(home: string, environment: NodeJS.ProcessEnv): OwnEngine | null {
  const instance = instanceOf(home, environment);
  const stack = readStackFile(home);
  if (stack && !stack.docker_host) return null;
  const dockerHost = stack?.docker_host ?? (environment.DOCKER_HOST || `unix://${DEFAULT_SOCKET}`);
  const engine = createDockerEngine({
    dockerHost,
    // Purge goes by the instance alone; the project names nothing here.
    scope: { instance, project: 'decnet' },
    images: { context: () => undefined },
    composeDir: join(home, 'compose'),
    logger: createLogger('deckhand'),
  });
  return { instance, dockerHost, engine };
}
