/**
 * The master's client of agents: mutual TLS, chain, name and pinned fingerprint checked on the very connection that is
 * used, before a byte of HTTP. Connections are kept per host.
 *
 * Errors: HostUnreachable (no connection: nothing was done), HostMismatch (another certificate: nothing was sent),
 * HostRefused (4xx), HostFailed (a 5xx: it tried and says that it failed), HostSilent (sent, and no answer, half of one, "later", or
 * nonsense: what was done is unknown).
 */
import type { z } from 'zod';
import type { Json } from '../../fleet/agent-says.ts';
import type { AgentDeployBody, AgentMutateBody, AgentTeardownBody } from '../../fleet/agent-wire.ts';
import type { Identity } from '../pki/own-identity.ts';
import { asking } from '../tracing/spans.ts';
import type { AgentAddress } from './address.ts';
import { acceptedAnswer, healthAnswer, mutateAnswer, readAnswer, statusAnswer, teardownAnswer } from './answers.ts';
import { exchange, type Order } from './exchange.ts';
import { createPools } from './pools.ts';

export type { AgentAddress } from './address.ts';

export interface AgentAnswer<T> {
  readonly body: T;
  /** The host's clock minus ours in milliseconds, from the Date header (whole seconds); null where there is none. */
  readonly clockOffsetMs: number | null;
}

type Call<T> = Promise<AgentAnswer<T>>;

export interface AgentClient {
  health(host: AgentAddress, signal?: AbortSignal): Call<{ status: string }>;
  /** As the agent said it, unread: give it to `readStatus`. */
  status(host: AgentAddress, signal?: AbortSignal): Call<Json>;
  /** 202: accepted, reports will come. */
  deploy(host: AgentAddress, body: AgentDeployBody, signal?: AbortSignal): Call<{ status: string; deckies: string[] }>;
  mutate(
    host: AgentAddress,
    body: AgentMutateBody,
    signal?: AbortSignal,
  ): Call<{ status: string; decky_id: string; services: string[] }>;
  /** Resolves when it is down; the agent has {@link TEARDOWN_LIMIT_MS} for it. */
  teardown(
    host: AgentAddress,
    body: AgentTeardownBody,
    signal?: AbortSignal,
  ): Call<{ status: string; decky_id?: string | null | undefined }>;
  selfDestruct(host: AgentAddress, signal?: AbortSignal): Call<{ status: string }>;
  close(): Promise<void>;
}

/** A teardown is answered when it is done. */
export const TEARDOWN_LIMIT_MS = 120_000;

export interface AgentClientOptions {
  /** Whether a certificate must name the address (DECKHAND_VERIFY_HOSTNAME); the pin is checked in any case. */
  readonly verifyHostname?: boolean;
  /** How long an identity is used before it is asked for again. */
  readonly identityAgeMs?: number;
}

/** `identity` is the master's, asked for again now and then: a renewed one is used soon, on new connections. */
export function createAgentClient(
  identity: () => Promise<Identity>,
  { verifyHostname = true, identityAgeMs = 10_000 }: AgentClientOptions = {},
): AgentClient {
  const pools = createPools(verifyHostname);
  const current = kept(identity, identityAgeMs);
  const call = async <T>(schema: z.ZodType<T>, host: AgentAddress, order: Order): Call<T> => {
    const pool = pools.of(host, await current());
    const answer = await asking(`${order.method} ${order.path}`, { 'deckhand.host': host.name }, (headers) =>
      exchange(pool, host, { ...order, headers }),
    );
    return { body: readAnswer(schema, answer, host, order), clockOffsetMs: answer.clockOffsetMs };
  };
  const post = (path: string, body: unknown, signal: AbortSignal | undefined): Order => ({
    method: 'POST',
    path,
    body,
    signal,
  });
  return {
    health: (host, signal) => call(healthAnswer, host, { method: 'GET', path: '/health', signal }),
    status: (host, signal) => call(statusAnswer, host, { method: 'GET', path: '/status', signal }),
    deploy: (host, body, signal) => call(acceptedAnswer, host, post('/deploy', body, signal)),
    mutate: (host, body, signal) => call(mutateAnswer, host, post('/mutate', body, signal)),
    teardown: (host, body, signal) =>
      call(teardownAnswer, host, { ...post('/teardown', body, signal), readLimitMs: TEARDOWN_LIMIT_MS }),
    selfDestruct: (host, signal) => call(healthAnswer, host, post('/self-destruct', {}, signal)),
    close: async () => pools.close(),
  };
}

/** One value for all who ask within its age; a failure is not kept. */
function kept<T>(make: () => Promise<T>, ageMs: number): () => Promise<T> {
  let last: { value: Promise<T>; until: number } | null = null;
  return () => {
    if (last && performance.now() < last.until) return last.value;
    const made = { value: make(), until: performance.now() + ageMs };
    last = made;
    made.value.catch(() => {
      if (last === made) last = null;
    });
    return made.value;
  };
}
