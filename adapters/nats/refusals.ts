/** Why the bus takes no events, in the server's own words where it said some. */
import { JetStreamApiError } from '@nats-io/jetstream';
import {
  AuthorizationError,
  NoRespondersError,
  PermissionViolationError,
  UserAuthenticationExpiredError,
} from '@nats-io/transport-node';
import { DeckhandError } from '../../fleet/errors.ts';
import { withoutCredentials } from './connect.ts';

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
export class StreamTaken extends Error {}

/** The error and what it was caused by: the client wraps what the server says. */
function causes(error: unknown): Error[] {
  const found: Error[] = [];
  for (let one = error; one instanceof Error && found.length < 5; one = one.cause) found.push(one);
  return found;
}

/** The code of JetStream's own answer; 0 where it gave none. */
export const apiCode = (error: unknown): number => apiError(error)?.code ?? 0;

const apiError = (error: unknown): JetStreamApiError | undefined =>
  causes(error).find((one) => one instanceof JetStreamApiError);

export const isTooLittle = (error: unknown): boolean => TOO_LITTLE.has(apiCode(error));

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
