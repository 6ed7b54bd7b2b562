/**
 * Readers of `GET /events`: each on a connection of its own. They keep what comes, and look at it after the run: what readers do
 * with events is done on other machines, and here would be taken from the deploy.
 */
import { connect, type Socket } from 'node:net';
import type { Operator } from '../swarm/deckhand.ts';

/** All connections are read into this one, one after the other. */
const READ = Buffer.alloc(256 * 1024);
const PART_BYTES = 1024 * 1024;

export class Reader {
  readonly #socket: Socket;
  readonly #parts: Buffer[] = [];
  /** Bytes in the last part. */
  #used = PART_BYTES;
  /** Why it ended; null while it reads. */
  failure: string | null = null;

  private constructor({ url, bearer }: Operator, ready: () => void) {
    const { hostname, port, pathname } = new URL(`${url}/events`);
    const callback = (count: number, bytes: Uint8Array): boolean => {
      this.#keep(bytes.subarray(0, count));
      ready();
      return true;
    };
    this.#socket = connect({ host: hostname, port: Number(port), onread: { buffer: READ, callback } });
    this.#socket.once('error', (error) => {
      this.failure ??= error.message;
      ready();
    });
    this.#socket.once('end', () => {
      this.failure ??= 'the connection ended';
    });
    this.#socket.write(`GET ${pathname} HTTP/1.1\r\nhost: ${hostname}\r\nauthorization: Bearer ${bearer}\r\n\r\n`);
  }

  /** Resolves once it reads. */
  static open(operator: Operator): Promise<Reader> {
    return new Promise((resolve) => {
      const reader: Reader = new Reader(operator, () => resolve(reader));
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  get bytesRead(): number {
    return this.#socket.bytesRead;
  }

  /** Sequences of the stream, as they came. Takes a while: it reads all that came. */
  sequences(): readonly number[] {
    const parts = this.#parts.map((part, index, { length }) =>
      index + 1 < length ? part : part.subarray(0, this.#used),
    );
    // Ids are ASCII; what else is in the text is nobody's business here.
    const answer = Buffer.concat(parts).toString('latin1');
    if (!answer.startsWith('HTTP/1.1 200 ')) this.failure ??= `the answer was ${answer.slice(0, 300)}`;
    const body = bodyOf(answer);
    // What has no data is where the stream begins.
    return [...body.slice(0, body.lastIndexOf('\n\n') + 2).matchAll(/^id: (\d+)\nevent: /gm)].map(([, id]) =>
      Number(id),
    );
  }

  #keep(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      // Filled, so that no page of it is first touched in the middle of the run.
      if (this.#used === PART_BYTES) this.#parts.push(Buffer.alloc(PART_BYTES, 1));
      if (this.#used === PART_BYTES) this.#used = 0;
      const some = bytes.subarray(at, at + PART_BYTES - this.#used);
      this.#parts.at(-1)?.set(some, this.#used);
      this.#used += some.length;
      at += some.length;
    }
  }
}

/** Of an answer in chunks, as far as it has come. */
function bodyOf(answer: string): string {
  const chunks: string[] = [];
  for (let at = answer.indexOf('\r\n\r\n') + 4; ; ) {
    const begin = answer.indexOf('\r\n', at) + 2;
    const length = Number.parseInt(answer.slice(at, begin), 16);
    // What is no length is no chunk, as in an answer that refuses.
    if (!(length > 0)) break;
    chunks.push(answer.slice(begin, begin + length));
    at = begin + length + 2;
  }
  return chunks.join('');
}

/** Sentences about readers that missed an event, got one twice, or not in order; `expected`: how many there were. */
export function problemsOf(readers: readonly Reader[], expected: number): string[] {
  return readers.flatMap((reader, index) => {
    const who = `reader ${index + 1}`;
    const sequences = reader.sequences();
    const unordered = sequences.findIndex((sequence, at) => at > 0 && sequence <= (sequences[at - 1] ?? 0));
    return [
      ...(reader.failure === null ? [] : [`${who}: ${reader.failure}`]),
      ...(sequences.length === expected ? [] : [`${who} got ${sequences.length} of ${expected} events`]),
      ...(unordered === -1 ? [] : [`${who} got ${sequences[unordered]} after ${sequences[unordered - 1]}`]),
    ];
  });
}
