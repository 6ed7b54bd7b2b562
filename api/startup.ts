/** What has to be done in PostgreSQL before the API may answer, tried until it succeeds: the API starts before its database. */
import { setTimeout as pause } from 'node:timers/promises';
import { databaseUnavailable, type Sql } from '../adapters/postgres/connect.ts';
import { migrate } from '../adapters/postgres/migrate.ts';
import { createSettings } from '../adapters/postgres/settings.ts';
import { createUsers } from '../adapters/postgres/users.ts';
import type { Logger } from '../lib/logger.ts';
import type { ApiConfig } from './config.ts';
import { ensureFirstAdmin } from './first-admin.ts';

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
