/** What agents answer, ours and DECNET's: read loosely, so that fields of later versions are kept and not minded. */
import { z } from 'zod';
import { DeckhandError } from '../../fleet/errors.ts';
import { type AgentAddress, placeOf } from './address.ts';
import { type Order, type RawAnswer, silent } from './exchange.ts';

export const healthAnswer = z.looseObject({ status: z.string() });
export const acceptedAnswer = z.looseObject({ status: z.string(), deckies: z.array(z.string()) });
export const mutateAnswer = z.looseObject({ status: z.string(), decky_id: z.string(), services: z.array(z.string()) });
export const teardownAnswer = z.looseObject({ status: z.string(), decky_id: z.string().nullish() });
/** The rest is judged part by part by those who use it: an agent of another version must not become silent for one field. */
export const statusAnswer = z.looseObject({ deployed: z.boolean(), deckies: z.array(z.unknown()) });

const detailAnswer = z.object({
  detail: z.union([z.string(), z.array(z.looseObject({ loc: z.array(z.unknown()).optional(), msg: z.string() }))]),
});

/** Statuses that say "later", not "no". */
const LATER = new Set([408, 425, 429, 503]);
const WORDS_LIMIT = 1_000;

/** The body of a 2xx. Throws HostRefused where the agent says no, HostFailed where it says that it failed, HostSilent where it makes no sense. */
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
  // Our certificate was renewed and the agent pins the old one until its next heartbeat: nothing was done, and it passes.
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
