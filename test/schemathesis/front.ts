/**
 * Stands before the API while Schemathesis asks: counts the answers, keeps the errors of the server, and ends event streams, which
 * would never end.
 */
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const STREAM_MS = 150;

export interface Answers {
  /** How often each status was answered; 0: no answer. */
  readonly counts: ReadonlyMap<number, number>;
  /** Requests that were not answered, or with a 5xx, each with its answer. */
  readonly errors: readonly string[];
}

export interface Front {
  readonly url: string;
  /** Since the last look. */
  take(): Answers;
  close(): Promise<void>;
}

export async function startFront(apiUrl: string): Promise<Front> {
  const target = new URL(apiUrl);
  let counts = new Map<number, number>();
  let errors: string[] = [];

  function note({ method, url }: IncomingMessage, status: number, why: string): void {
    counts.set(status, (counts.get(status) ?? 0) + 1);
    if (status === 0 || status >= 500) errors.push(`${method} ${url}: ${status} ${why}`);
  }

  function relay(asked: IncomingMessage, answer: IncomingMessage, to: ServerResponse): void {
    const { statusCode: status = 0, headers } = answer;
    // Answered before all was sent: the rest is taken here, since who sends it reads no answer before.
    if (!asked.complete) asked.unpipe().resume();
    to.writeHead(status, answer.rawHeaders);
    let text = '';
    if (status >= 500) answer.on('data', (chunk: Buffer) => (text += chunk));
    answer.pipe(to);
    answer.on('error', () => to.destroy());
    answer.on('close', () => note(asked, status, text));
    if (headers['content-type']?.startsWith('text/event-stream'))
      setTimeout(() => {
        answer.destroy();
        to.end();
      }, STREAM_MS);
  }

  const server = createServer((asked, to) => {
    const { method, url: path, rawHeaders: headers } = asked;
    const passed = request(
      { host: target.hostname, port: target.port, method, path, headers, agent: false },
      (answer) => relay(asked, answer, to),
    );
    passed.on('error', (error) => {
      if (to.headersSent) return;
      note(asked, 0, error.message);
      to.destroy();
    });
    asked.pipe(passed);
  });
  // Schemathesis may think for long between two requests, and would send the next one as its connection is closed.
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    take() {
      const taken = { counts, errors };
      counts = new Map();
      errors = [];
      return taken;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
