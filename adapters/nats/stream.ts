/**
 * NATS and the stream of events on it.
 *
 * - connecting as NATS_URL says
 * - why NATS takes no events, in its own words
 * - the stream: found or made, as large as there is room, and never one of somebody else
 */
import { JetStreamApiError, type JetStreamManager, jetstreamManager, type StreamConfig } from '@nats-io/jetstream';
import {
  AuthorizationError,
  type ConnectionOptions,
  connect,
  type NatsConnection,
  NoRespondersError,
  nanos,
  PermissionViolationError,
  UserAuthenticationExpiredError,
} from '@nats-io/transport-node';
import { DeckhandError } from '../../fleet/errors.ts';
import { EVENT_STREAM, EVENT_SUBJECTS } from '../../fleet/lifecycle.ts';

// Connecting. The client itself takes no credentials from an address.

const ADDRESS = /^(?:(?<scheme>[a-z]+):\/\/)?(?:(?<user>[^:@/]*)(?::(?<password>[^@/]*))?@)?(?<server>.*)$/;

/** `nats://user:password@host:port`, `nats://token@host:port`, `tls://…`; several with commas between them. */
export function natsOptions(url: string): ConnectionOptions {
  const found = url.split(',').map((address) => ADDRESS.exec(address.trim())?.groups ?? {});
  const { user, password } = found.find((one) => one.user) ?? {};
  return {
    servers: found.map(({ server = '' }) => server),
    ...(found.some(({ scheme }) => scheme === 'tls') ? { tls: {} } : {}),
    ...(user && password !== undefined ? { user: decoded(user), pass: decoded(password) } : {}),
    ...(user && password === undefined ? { token: decoded(user) } : {}),
  };
}

/** As it stands where a `%` is none of an encoding. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const connectNats = (url: string, options: Omit<ConnectionOptions, 'servers'>): Promise<NatsConnection> =>
  connect({ ...natsOptions(url), ...options });

export const withoutCredentials = (url: string): string => url.replace(/(^|\/\/|,)[^@/,]*@/g, '$1');

// Why NATS takes no events.

/** NATS answers and says no: only an operator can mend that. A bus that is away comes back by itself. */
export class BusRefused extends DeckhandError {}

const NO_JETSTREAM: ReadonlySet<number> = new Set([10_039, 10_076]);
/** A cluster without a leader, for now. */
const PASSING: ReadonlySet<number> = new Set([10_008, 10_009]);
/** Too little storage of the server or of the account. */
const TOO_LITTLE: ReadonlySet<number> = new Set([10_002, 10_023, 10_028, 10_047, 10_122]);
/** The server lets nobody in, or does not let this client do it. */
const NOT_LET_IN = [AuthorizationError, PermissionViolationError, UserAuthenticationExpiredError];

/** A stream of somebody else is in the way. The message completes "NATS at … can’t keep events: ". */
class StreamTaken extends Error {}

/** The error and what it was caused by: the client wraps what the server says. */
function causes(error: unknown): Error[] {
  const found: Error[] = [];
  for (let one = error; one instanceof Error && found.length < 5; one = one.cause) found.push(one);
  return found;
}

const apiError = (error: unknown): JetStreamApiError | undefined =>
  causes(error).find((one) => one instanceof JetStreamApiError);

/** The code of JetStream's own answer; 0 where it gave none. */
const apiCode = (error: unknown): number => apiError(error)?.code ?? 0;

const isTooLittle = (error: unknown): boolean => TOO_LITTLE.has(apiCode(error));

/** Nobody on the server took the message: neither JetStream nor a stream of that subject. */
export const hasNoResponder = (error: unknown): boolean =>
  causes(error).some((one) => one instanceof NoRespondersError);

export function busUnavailable(url: string, cause: unknown, rest: string): DeckhandError {
  const api = apiError(cause);
  const message = cause instanceof Error ? cause.message : '';
  const at = `NATS at ${withoutCredentials(url)}`;
  const refused = (sentence: string): BusRefused =>
    new BusRefused('Unavailable', `${at} ${sentence}; ${rest}`, { cause });
  const away = (why: string): DeckhandError =>
    new DeckhandError('Unavailable', `${at} can’t be reached${why && ` (${why})`}; ${rest}`, { cause });
  if (cause instanceof StreamTaken)
    return refused(
      `can’t keep events: ${message}. Remove or rename that stream, or give Deckhand an account of its own`,
    );
  const denied = causes(cause).find((one) => NOT_LET_IN.some((kind) => one instanceof kind));
  if (denied) return refused(`refuses Deckhand: ${denied.message}. Mend NATS_URL or its rights`);
  if (NO_JETSTREAM.has(apiCode(cause)) || hasNoResponder(cause))
    return refused(`has no JetStream: ${api?.message ?? message}. Start it with JetStream (\`-js\`)`);
  if (!api) return away(causes(cause).at(-1)?.message || message);
  const words = `${api.message} (${api.code})`;
  if (PASSING.has(api.code)) return away(words);
  return refused(
    `can’t keep events: ${words}${isTooLittle(cause) ? '. Give it more storage (max_file_store, or disk)' : ''}`,
  );
}

// The stream.

const HOUR_MS = 3_600_000;
/** Kept: 7 days or 1 GiB; repeats of a message id are dropped for 24 h. */
const STREAM = {
  name: EVENT_STREAM,
  subjects: [EVENT_SUBJECTS],
  max_age: nanos(7 * 24 * HOUR_MS),
  max_bytes: 1024 ** 3,
  duplicate_window: nanos(24 * HOUR_MS),
};
const LEAST_BYTES = 64 * 1024 ** 2;
const ANSWER_MS = 3_000;

/** NATS's codes: https://github.com/nats-io/nats-server/blob/main/server/errors.json */
const NO_STREAM = 10_059;
const NAME_IN_USE = 10_058;
const SUBJECTS_OVERLAP = 10_065;

export type EventStreamConfig = Pick<StreamConfig, 'max_bytes'>;

const managerOf = (nc: NatsConnection, checkAPI = true): Promise<JetStreamManager> =>
  jetstreamManager(nc, { timeout: ANSWER_MS, checkAPI });

/** Null where there is none. Throws StreamTaken where its subjects are not the events'. */
async function findStream(manager: JetStreamManager): Promise<EventStreamConfig | null> {
  try {
    const { config } = await manager.streams.info(EVENT_STREAM);
    const subjects = config.subjects ?? [];
    if (subjects.length === 1 && subjects[0] === EVENT_SUBJECTS) return config;
    const has = subjects.length === 0 ? 'no subjects' : `the subjects ${subjects.join(', ')}`;
    throw new StreamTaken(`its stream ${EVENT_STREAM} has ${has} instead of ${EVENT_SUBJECTS}`);
  } catch (error) {
    if (apiCode(error) === NO_STREAM) return null;
    throw error;
  }
}

/** A stream takes a subject for itself, so the events' can’t be in two. */
async function overlapping(manager: JetStreamManager): Promise<string[]> {
  const names: string[] = [];
  for await (const name of manager.streams.names(EVENT_SUBJECTS)) names.push(name);
  return names.filter((name) => name !== EVENT_STREAM);
}

const overlapSentence = (names: readonly string[]): string =>
  names.length === 0
    ? `another stream has subjects of ${EVENT_SUBJECTS}`
    : `its stream ${names.join(', ')} has subjects of ${EVENT_SUBJECTS}`;

/** Halves the stream until NATS has room for it. Throws what NATS says where there is too little for the least one. */
async function addStream(manager: JetStreamManager, name: string, subjects: string[]): Promise<EventStreamConfig> {
  for (let bytes = STREAM.max_bytes; ; bytes /= 2)
    try {
      return (await manager.streams.add({ ...STREAM, name, subjects, max_bytes: bytes })).config;
    } catch (error) {
      if (!isTooLittle(error) || bytes / 2 < LEAST_BYTES) throw error;
    }
}

/** Makes the stream where there is none: a smaller one where NATS has too little room. */
export async function ensureStream(nc: NatsConnection): Promise<EventStreamConfig> {
  const manager = await managerOf(nc);
  const found = await findStream(manager);
  if (found) return found;
  try {
    return await addStream(manager, EVENT_STREAM, STREAM.subjects);
  } catch (error) {
    if (apiCode(error) === SUBJECTS_OVERLAP) throw new StreamTaken(overlapSentence(await overlapping(manager)));
    // The API and a worker make it at the same time, and the other one’s has another size.
    const others = apiCode(error) === NAME_IN_USE ? await findStream(manager) : null;
    if (others) return others;
    throw error;
  }
}

/** Throws where the stream is gone, or was replaced by another one, since it was ensured. */
export async function checkStream(nc: NatsConnection): Promise<void> {
  if (!(await findStream(await managerOf(nc, false)))) throw new Error(`the stream ${EVENT_STREAM} is gone`);
}

/** Whether the stream is there or could be made; changes nothing: what is made for the trial is removed again. */
export async function tryStream(nc: NatsConnection): Promise<{ exists: boolean; config: EventStreamConfig }> {
  const manager = await managerOf(nc);
  const found = await findStream(manager);
  if (found) return { exists: true, config: found };
  const others = await overlapping(manager);
  if (others.length > 0) throw new StreamTaken(overlapSentence(others));
  const name = `${EVENT_STREAM}_TRIAL_${process.pid}`;
  const config = await addStream(manager, name, [name]);
  await manager.streams.delete(name);
  return { exists: false, config };
}

/** What an operator should know of a stream that is smaller than usual; null for all others. */
export function smallerStream({ max_bytes: bytes }: EventStreamConfig): string | null {
  if (bytes <= 0 || bytes >= STREAM.max_bytes) return null;
  const kept = `${Math.round(bytes / 1024 ** 2)} MiB of events instead of ${STREAM.max_bytes / 1024 ** 3} GiB`;
  return `The stream ${EVENT_STREAM} keeps ${kept}, since NATS has no room for more. Older events go sooner.`;
}

/** How to have the usual size after all. */
export const LARGER_STREAM = `Give NATS more storage (max_file_store, or disk), then: nats stream edit ${EVENT_STREAM} --max-bytes 1GiB`;
