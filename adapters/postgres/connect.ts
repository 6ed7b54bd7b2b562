/** The connection pool to PostgreSQL. One schema per installation (and per test), set as the search path. */
import postgres from 'postgres';
import { DeckhandError } from '../../fleet/errors.ts';
import { socketFactory, type TlsChoice } from './watched-socket.ts';

export type Sql = postgres.Sql;
/** A connection inside a transaction, or the pool itself: what a repository function works on. */
export type Queryable = postgres.ISql;
export type TransactionSql = postgres.TransactionSql;

/** How long a connection may be in the way of others, in milliseconds. The server judges the first three, this process the last. */
export interface Bounds {
  /** A statement waits for a lock no longer. */
  readonly lockMs: number;
  readonly statementMs: number;
  /** A transaction whose client says nothing ends, and its locks with it: that client may be stopped or cut off. */
  readonly idleInTransactionMs: number;
  /**
   * A server that owes an answer and sends nothing for so long is not waited for: the connection is destroyed. Longer than a
   * statement may take, so that a server which answers at all has the first word.
   */
  readonly silenceMs: number;
}

/** Below the 15 s that an activity on rows may take (workflows/profiles.ts). */
export const BOUNDS: Bounds = Object.freeze({
  lockMs: 5_000,
  statementMs: 12_000,
  idleInTransactionMs: 10_000,
  silenceMs: 14_000,
});

/** For work that is long by nature: migrations and the daily prune. Nothing else waits for it. */
export const LONG_BOUNDS: Bounds = Object.freeze({
  lockMs: 60_000,
  statementMs: 600_000,
  idleInTransactionMs: 60_000,
  silenceMs: 610_000,
});

export interface DatabaseOptions {
  /** Default `public`. */
  readonly schema?: string;
  readonly max?: number;
  readonly applicationName?: string;
  /** Default {@link BOUNDS}. */
  readonly bounds?: Bounds;
}

/**
 * What each connection sets, at its start. PostgreSQL keeps the plan of a prepared statement, and one that it made while the tables
 * were small, as between two fleets, reads them whole for each row by the time they are large: sending the events of a fleet of
 * 10,000 compared 77 million rows so (docs/bench.md). A plan of its own for each execution goes by the tables' size at that moment.
 */
const settingsOf = ({ schema, applicationName, bounds = BOUNDS }: DatabaseOptions) => ({
  application_name: applicationName ?? 'deckhand',
  search_path: schema ?? 'public',
  plan_cache_mode: 'force_custom_plan',
  lock_timeout: bounds.lockMs,
  statement_timeout: bounds.statementMs,
  idle_in_transaction_session_timeout: bounds.idleInTransactionMs,
});

const opened = new WeakMap<Sql, { readonly url: string; readonly options: DatabaseOptions }>();

/** Opens a lazy pool; no query is made. Close it with `sql.end()`. */
export function openDatabase(url: string, options: DatabaseOptions = {}): Sql {
  // Never connects: it reads the URL and the environment as the client does.
  const { ssl, sslnegotiation } = postgres(url, { max: 1, onnotice: () => {} }).options as unknown as TlsChoice;
  const { silenceMs } = options.bounds ?? BOUNDS;
  const sql = postgres(url, {
    max: options.max ?? 10,
    idle_timeout: 60,
    connect_timeout: 5,
    // The client's own goes up to 20 s, for each statement that waits.
    backoff: (failures: number) => Math.min(2 ** failures / 100, 0.5),
    onnotice: () => {},
    connection: settingsOf(options),
    // The factory below speaks TLS itself.
    ssl: false,
    socket: socketFactory({ ssl, sslnegotiation: sslnegotiation ?? null }, silenceMs),
  } as postgres.Options<Record<string, never>>);
  opened.set(sql, { url, options });
  return sql;
}

/** A pool of its own beside `sql`, on the same database and schema: what works here takes no connection away there. */
export function openBeside(sql: Sql, changes: DatabaseOptions): Sql {
  const from = opened.get(sql);
  if (!from) throw new Error('A pool that openDatabase did not open has no place to open another beside.');
  return openDatabase(from.url, { ...from.options, ...changes });
}

const CONNECTION_CODES = new Set([
  'CONNECTION_CLOSED',
  'CONNECTION_ENDED',
  'CONNECTION_DESTROYED',
  'CONNECT_TIMEOUT',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EPIPE',
  'ETIMEDOUT',
]);

/** Of an open connection: what was sent may have been done. */
const LOST_CODES = new Set(['CONNECTION_CLOSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT']);

/**
 * What passes by itself, or with the operator's help: a statement or a lock took too long (57014, 55P03), a transaction stood idle
 * (25P03), a deadlock or a conflict (class 40), no room (class 53), a server that only reads after a failover (25006).
 */
const BUSY = /^(57014|55P03|25P03|25006|40...|53...)$/;

const codeOf = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';

/** True when the database could not be reached or is starting or stopping (SQLSTATE classes 08 and 57P, 53300). */
function isDatabaseUnreachable(error: unknown): boolean {
  const code = codeOf(error);
  return CONNECTION_CODES.has(code) || /^(08...|57P0.|53300)$/.test(code);
}

/** PostgreSQL refuses the data itself (SQLSTATE classes 22 and 23): trying again, unchanged, changes nothing. */
export const isDataError = (error: unknown): boolean => /^2[23]...$/.test(codeOf(error));

export const isUniqueViolation = (error: unknown): boolean => codeOf(error) === '23505';

/** The DeckhandError for what PostgreSQL could not do now and may do later; null for every other error. */
export function databaseUnavailable(error: unknown): DeckhandError | null {
  const sentence = sentenceFor(error);
  return sentence === null ? null : new DeckhandError('Unavailable', sentence, { cause: error });
}

function sentenceFor(error: unknown): string | null {
  const code = codeOf(error);
  if (LOST_CODES.has(code)) return 'The connection to PostgreSQL was lost. Look at the state before you try again.';
  if (isDatabaseUnreachable(error)) return 'PostgreSQL can’t be reached. Nothing was done; try again.';
  if (!BUSY.test(code)) return null;
  return `PostgreSQL could not do it in time: ${(error as Error).message} (${code}). Nothing was done; try again.`;
}

/** Runs a query or transaction; a database that is unreachable or too busy becomes DeckhandError `Unavailable`. */
export async function reachable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw databaseUnavailable(error) ?? error;
  }
}
