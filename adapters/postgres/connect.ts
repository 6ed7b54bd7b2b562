/** The connection pool to PostgreSQL. One schema per installation (and per test), set as the search path. */
import postgres from 'postgres';
import { DeckhandError } from '../../fleet/errors.ts';

export type Sql = postgres.Sql;
/** A connection inside a transaction, or the pool itself: what a repository function works on. */
export type Queryable = postgres.ISql;

export interface DatabaseOptions {
  /** Default `public`. */
  readonly schema?: string;
  readonly max?: number;
  readonly applicationName?: string;
}

/**
 * PostgreSQL keeps the plan of a prepared statement, and one that it made while the tables were small, as between two fleets,
 * reads them whole for each row by the time they are large: sending the events of a fleet of 10,000 compared 77 million rows so
 * (docs/bench.md). A plan of its own for each execution goes by the tables' size at that moment.
 */
const PLANS = { plan_cache_mode: 'force_custom_plan' };

/** Opens a lazy pool; no query is made. Close it with `sql.end()`. */
export function openDatabase(url: string, options: DatabaseOptions = {}): Sql {
  return postgres(url, {
    max: options.max ?? 10,
    idle_timeout: 60,
    connect_timeout: 5,
    onnotice: () => {},
    connection: {
      application_name: options.applicationName ?? 'deckhand',
      search_path: options.schema ?? 'public',
      ...PLANS,
    },
  });
}

const CONNECTION_CODES = new Set([
  'CONNECTION_CLOSED',
  'CONNECTION_ENDED',
  'CONNECTION_DESTROYED',
  'CONNECT_TIMEOUT',
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOENT',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
]);

const codeOf = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';

/** True when the database could not be reached or is starting or stopping (SQLSTATE classes 08 and 57P, 53300). */
export function isDatabaseUnreachable(error: unknown): boolean {
  const code = codeOf(error);
  return CONNECTION_CODES.has(code) || /^(08...|57P0.|53300)$/.test(code);
}

export const isUniqueViolation = (error: unknown): boolean => codeOf(error) === '23505';

/** Runs a query or transaction; an unreachable database becomes DeckhandError `Unavailable`. */
export async function reachable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isDatabaseUnreachable(error)) throw error;
    throw new DeckhandError('Unavailable', 'PostgreSQL can’t be reached. Nothing was done; try again.', {
      cause: error,
    });
  }
}
