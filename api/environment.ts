/**
 * What a request carries through the middlewares, for Hono's types. Alone in its file: everything
 * in api/ needs it, and it needs nothing of api/.
 */
import type { HttpBindings } from '@hono/node-server';
import type { RequestIdVariables } from 'hono/request-id';
import type { TokenClaims, UserRecord } from '../adapters/postgres/users.ts';
import type { Logger } from '../lib/logger.ts';

export interface ApiEnv {
  /** Absent for requests made in-process. */
  Bindings: Partial<HttpBindings>;
  Variables: RequestIdVariables & {
    /** Bound to the request id. */
    log: Logger;
    /** Set by the guard of a route. */
    user: UserRecord;
    claims: TokenClaims;
    /**
     * Opens the entry of the audit, where the request has one; called once it is known who asks,
     * before anything changes.
     */
    auditBegins?: (username: string) => Promise<void>;
  };
}
