/** What the routes are made of: the injected ports, and what createApp builds of them. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { MiddlewareHandler } from 'hono';
import type { AccessTokens } from '../auth/access-tokens.ts';
import type { FailureLimit } from '../auth/failure-limit.ts';
import type { Guard, GuardOptions } from '../auth/guard.ts';
import type { Passwords } from '../auth/passwords.ts';
import type { OpenStreams } from '../auth/streams.ts';
import type { ApiEnv } from '../environment.ts';
import type { ApiDependencies } from '../ports.ts';

export interface RouteDependencies extends ApiDependencies {
  readonly guard: Guard;
  readonly accessTokens: AccessTokens;
  readonly passwords: Passwords;
  readonly streams: OpenStreams;
  /** Null when DECKHAND_LIMITER_ENABLED is false. */
  readonly loginLimit: FailureLimit | null;
  readonly passwordLimit: FailureLimit | null;
}

export type AddRoutes = (app: OpenAPIHono<ApiEnv>, deps: RouteDependencies) => void;

/** What makes a route ask for a token, in code and in its description. */
export const guarded = (
  deps: RouteDependencies,
  options: GuardOptions,
): { security: { bearer: [] }[]; middleware: [MiddlewareHandler<ApiEnv>] } => ({
  security: [{ bearer: [] }],
  middleware: [deps.guard(options)],
});
