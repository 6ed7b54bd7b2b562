/** Why the bus takes no events, in the server's own words where it said some. */
import type { NatsError } from 'nats';
import { DeckhandError } from '../../fleet/errors.ts';
import { withoutCredentials } from './connect.ts';
import { isTooLittle, StreamTaken } from './stream.ts';

/** NATS answers and says no: only an operator can mend that. A bus that is away comes back by itself. */
export class BusRefused extends DeckhandError {}

const NO_JETSTREAM: ReadonlySet<number> = new Set([10_039, 10_076]);
/** A cluster without a leader, for now. */
const PASSING: ReadonlySet<number> = new Set([10_008, 10_009]);
/** Codes of the client where the server lets nobody in, or does not let this one do it. */
const NOT_LET_IN = /AUTH|PERMISSION|CREDS|ACCOUNT|^TLS$/;

export function busUnavailable(url: string, cause: unknown, rest: string): DeckhandError {
  const { message = '', code = '', api_error: api, chainedError } = cause as Partial<NatsError>;
  const at = `NATS at ${withoutCredentials(url)}`;
  const refused = (sentence: string): BusRefused =>
    new BusRefused('Unavailable', `${at} ${sentence}; ${rest}`, { cause });
  const away = (why: string): DeckhandError =>
    new DeckhandError('Unavailable', `${at} can’t be reached${why && ` (${why})`}; ${rest}`, { cause });
  if (cause instanceof StreamTaken)
    return refused(
      `can’t keep events: ${message}. Remove or rename that stream, or give Deckhand an account of its own`,
    );
  if (NOT_LET_IN.test(code)) return refused(`refuses Deckhand: ${message}. Mend NATS_URL or its rights`);
  const number = api?.err_code ?? 0;
  if (api ? NO_JETSTREAM.has(number) : code === '503')
    return refused(`has no JetStream: ${api?.description ?? message}. Start it with JetStream (\`-js\`)`);
  if (!api) return away(chainedError?.message || message);
  const words = `${api.description} (${number})`;
  if (PASSING.has(number)) return away(words);
  return refused(
    `can’t keep events: ${words}${isTooLittle(cause) ? '. Give it more storage (max_file_store, or disk)' : ''}`,
  );
}
