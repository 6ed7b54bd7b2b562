/**
 * The master's client of agents: mutual TLS, chain, name and pinned fingerprint checked on the very
 * connection that is used, before a byte of HTTP. Connections are kept per host.
 *
 * Errors: HostUnreachable (no connection: nothing was done), HostMismatch (another certificate:
 * nothing was sent), HostRefused (4xx), HostFailed (a 5xx: it tried and says that it failed),
 * HostSilent (sent, and no answer, half of one, "later", or nonsense: what was done is unknown).
 *
 * 1. {@link createAgentClient}: the calls.
 * 2. {@link ticketedClient}: the same, where each order carries its operation's ticket.
 * 3. {@link readAnswer}: how an answer is read, and which error it is.
 */
import { z } from 'zod';
import type { AgentDeployBody, AgentMutateBody, AgentTeardownBody, OrderFence } from '../../fleet/agent-wire.ts';
import { DeckhandError, isDeckhandError } from '../../fleet/errors.ts';
import { type Json, readHostObservation } from '../../fleet/host-observation.ts';
import type { Identity } from '../pki/own-identity.ts';
import { asking } from '../tracing/tracing.ts';
import { type AgentAddress, createPools, placeOf } from './connect.ts';
import { exchange, type Order, type RawAnswer, silent } from './exchange.ts';

export type { AgentAddress } from './connect.ts';

export interface AgentAnswer<T> {
  readonly body: T;
  /**
   * The host's clock minus ours in milliseconds, from the Date header (whole seconds); null where
   * there is none.
   */
  readonly clockOffsetMs: number | null;
}

type Call<T> = Promise<AgentAnswer<T>>;

export interface AgentClient {
  health(host: AgentAddress, signal?: AbortSignal): Call<{ status: string }>;
  /** As the agent said it, unread: give it to `readHostObservation`. */
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
const TEARDOWN_LIMIT_MS = 120_000;

interface AgentClientOptions {
  /**
   * Whether a certificate must name the address (DECKHAND_VERIFY_HOSTNAME); the pin is checked in
   * any case.
   */
  readonly verifyHostname?: boolean;
  /** How long an identity is used before it is asked for again. */
  readonly identityAgeMs?: number;
}

/**
 * `identity` is the master's, asked for again now and then: a renewed one is used soon, on new
 * connections.
 */
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

/**
 * Orders that carry their operation's number in the lane of the host, so that the agent refuses one
 * that comes late.
 */

export interface TicketBook {
  /** Null where the operation has no ticket of that host: its order is sent without one. */
  readonly of: (hostUuid: string, operationId: string) => Promise<number | null>;
  /** A number beyond `seen` for an operation whose turn it is; null where it was overtaken. */
  readonly redraw: (given: { hostUuid: string; operationId: string; seen: number }) => Promise<number | null>;
  /** For the log. */
  readonly warn: (sentence: string, facts: Readonly<Record<string, unknown>>) => void;
}

/**
 * An agent that has accepted a later ticket refuses the order. Where this master did not send that
 * one (its database was restored from a backup, or the host had another master), the operation gets
 * a number beyond it and the order is sent once more.
 */
export function ticketedClient(client: AgentClient, book: TicketBook): AgentClient {
  async function withTicket<B extends { readonly deckhand?: OrderFence }, T>(
    host: AgentAddress,
    body: B,
    send: (body: B) => Promise<T>,
  ): Promise<T> {
    const { deckhand } = body;
    if (!deckhand) return send(body);
    const { operation_id: operationId } = deckhand;
    const ticket = await book.of(host.hostUuid, operationId);
    if (ticket === null) return send(body);
    try {
      return await send({ ...body, deckhand: { ...deckhand, ticket } });
    } catch (error) {
      if (!isDeckhandError(error) || error.code !== 'HostRefused') throw error;
      const drawn = await beyond(host, operationId, ticket);
      if (drawn === null) throw error;
      return send({ ...body, deckhand: { ...deckhand, ticket: drawn } });
    }
  }

  /** Null where the refusal has another reason, or is right. */
  async function beyond(host: AgentAddress, operationId: string, ticket: number): Promise<number | null> {
    const seen = readHostObservation((await client.status(host)).body).report?.ticket ?? null;
    if (seen === null || seen <= ticket) return null;
    const drawn = await book.redraw({ hostUuid: host.hostUuid, operationId, seen });
    if (drawn !== null)
      book.warn(
        `Host ${host.name} has accepted ticket ${seen}, which this database did not give out. The database was restored from a backup, or the host had another master. The host's open operations get tickets beyond it.`,
        { host: host.name, deployment_id: operationId, ticket, seen, drawn },
      );
    return drawn;
  }

  return {
    ...client,
    deploy: (host, body, signal) => withTicket(host, body, (one) => client.deploy(host, one, signal)),
    mutate: (host, body, signal) => withTicket(host, body, (one) => client.mutate(host, one, signal)),
    teardown: (host, body, signal) => withTicket(host, body, (one) => client.teardown(host, one, signal)),
  };
}

/**
 * What agents answer, ours and DECNET's: read loosely, so that fields of later versions are kept
 * and not minded.
 */

const healthAnswer = z.looseObject({ status: z.string() });
const acceptedAnswer = z.looseObject({ status: z.string(), deckies: z.array(z.string()) });
const mutateAnswer = z.looseObject({ status: z.string(), decky_id: z.string(), services: z.array(z.string()) });
const teardownAnswer = z.looseObject({ status: z.string(), decky_id: z.string().nullish() });
/**
 * The rest is judged part by part by those who use it: an agent of another version must not become
 * silent for one field.
 */
const statusAnswer = z.looseObject({ deployed: z.boolean(), deckies: z.array(z.unknown()) });

const detailAnswer = z.object({
  detail: z.union([z.string(), z.array(z.looseObject({ loc: z.array(z.unknown()).optional(), msg: z.string() }))]),
});

/** Statuses that say "later", not "no". */
const LATER = new Set([408, 425, 429, 503]);
const WORDS_LIMIT = 1_000;

/**
 * The body of a 2xx. Throws HostRefused where the agent says no, HostFailed where it says that it
 * failed, HostSilent where it makes no sense.
 */
export function readAnswer<T>(schema: z.ZodType<T>, answer: RawAnswer, host: AgentAddress, order: Order): T {
  const json = parseJson(answer.text);
  if (answer.status < 200 || answer.status > 299) throw refusal(answer, json, host, order);
  if (json === undefined) {
    const what = answer.text === '' ? 'is empty' : 'is no JSON; does something else answer in its place?';
    throw silent(host, order, `its ${answer.status} ${what}`);
  }
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const where = result.error.issues.slice(0, 3).map((issue) => `${issue.path.join('.') || 'body'}: ${issue.message}`);
  throw silent(host, order, `its ${answer.status} is not what an agent answers (${where.join('; ')})`);
}

function refusal(answer: RawAnswer, json: unknown, host: AgentAddress, order: Order): DeckhandError {
  const words = wordsOf(json) ?? answer.text.trim();
  const said = `${answer.status}${words ? `, ${words.slice(0, WORDS_LIMIT)}` : ''}`;
  // Our certificate was renewed and the agent pins the old one until its next heartbeat: nothing
  // was done, and it passes.
  if (answer.status === 403)
    return new DeckhandError(
      'HostUnreachable',
      `The agent of ${placeOf(host)} does not take this master's certificate: ${said}. It learns of a renewed one with its next heartbeat; else enrol the host again.`,
    );
  if (LATER.has(answer.status)) return silent(host, order, `it answered ${said}`);
  if (answer.status >= 500)
    return new DeckhandError(
      'HostFailed',
      `The agent of ${placeOf(host)} failed at ${order.method} ${order.path}: ${said}.`,
    );
  return new DeckhandError(
    'HostRefused',
    `The agent of ${placeOf(host)} refuses ${order.method} ${order.path}: ${said}.`,
  );
}

function wordsOf(json: unknown): string | null {
  const parsed = detailAnswer.safeParse(json);
  if (!parsed.success) return null;
  const { detail } = parsed.data;
  if (typeof detail === 'string') return detail;
  return detail.map(({ loc = [], msg }) => `${loc.join('.') || 'body'}: ${msg}`).join('; ');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
