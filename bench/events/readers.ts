/** Readers of `GET /events`: each on a connection of its own, and each notes which events it got, in which order. */
import { type ClientRequest, request } from 'node:http';
import type { Operator } from '../swarm/deckhand.ts';

export class Reader {
  readonly #sequences: number[] = [];
  readonly #request: ClientRequest;
  /** As it came: it is read when somebody asks, after the run, since readers elsewhere would not use these processors. */
  #unread: Buffer[] = [];
  #rest = '';
  /** Why it ended; null while it reads. */
  failure: string | null = null;

  private constructor({ url, bearer }: Operator, ready: () => void) {
    this.#request = request(`${url}/events`, { agent: false, headers: { authorization: `Bearer ${bearer}` } });
    this.#request.once('response', (response) => {
      if (response.statusCode !== 200) this.failure = `the answer was ${response.statusCode}`;
      response.on('data', (chunk: Buffer) => {
        ready();
        this.#unread.push(chunk);
      });
      response.once('end', () => {
        this.failure ??= 'the stream ended';
      });
      response.once('error', (error) => {
        this.failure ??= error.message;
      });
    });
    this.#request.once('error', (error) => {
      this.failure ??= error.message;
      ready();
    });
    this.#request.end();
  }

  /** Resolves once it reads. */
  static open(operator: Operator): Promise<Reader> {
    return new Promise((resolve) => {
      const reader: Reader = new Reader(operator, () => resolve(reader));
    });
  }

  close(): void {
    this.#request.destroy();
  }

  /** Sequences of the stream, as they came. */
  get sequences(): readonly number[] {
    // Ids are ASCII, and a character that a chunk cut in two is nobody's business here.
    const whole = this.#rest + Buffer.concat(this.#unread).toString('latin1');
    this.#unread = [];
    const last = whole.lastIndexOf('\n\n');
    const end = last < 0 ? 0 : last + 2;
    this.#rest = whole.slice(end);
    // What has no data is where the stream begins.
    for (const [, sequence] of whole.slice(0, end).matchAll(/^id: (\d+)\nevent: /gm))
      this.#sequences.push(Number(sequence));
    return this.#sequences;
  }
}

/** Sentences about readers that missed an event, got one twice, or not in order; `expected`: how many there were. */
export function problemsOf(readers: readonly Reader[], expected: number): string[] {
  return readers.flatMap(({ sequences, failure }, index) => {
    const who = `reader ${index + 1}`;
    const unordered = sequences.findIndex((sequence, at) => at > 0 && sequence <= (sequences[at - 1] ?? 0));
    return [
      ...(failure === null ? [] : [`${who}: ${failure}`]),
      ...(sequences.length === expected ? [] : [`${who} got ${sequences.length} of ${expected} events`]),
      ...(unordered === -1 ? [] : [`${who} got ${sequences[unordered]} after ${sequences[unordered - 1]}`]),
    ];
  });
}
