/** Stands before the API while Schemathesis asks: counts the answers, and ends event streams, which would never end. */
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const STREAM_MS = 150;

export interface Front {
  readonly url: string;
  /** How often each status was answered since the last look; 0: no answer. */
  take(): Map<number, number>;
  close(): Promise<void>;
}

export async function startFront(apiUrl: string): Promise<Front> {
  const target = new URL(apiUrl);
  let counts = new Map<number, number>();
  const count = (status: number): void => void counts.set(status, (counts.get(status) ?? 0) + 1);

  const relay = (answer: IncomingMessage, to: ServerResponse): void => {
    count(answer.statusCode ?? 0);
    to.writeHead(answer.statusCode ?? 0, answer.rawHeaders);
    answer.pipe(to);
    answer.on('error', () => to.destroy());
    if (answer.headers['content-type']?.startsWith('text/event-stream'))
      setTimeout(() => {
        answer.destroy();
        to.end();
      }, STREAM_MS);
  };
  const server = createServer((asked, to) => {
    const { method, url: path, rawHeaders: headers } = asked;
    const passed = request(
      { host: target.hostname, port: target.port, method, path, headers, agent: false },
      (answer) => relay(answer, to),
    );
    passed.on('error', () => {
      if (to.headersSent) return;
      count(0);
      to.destroy();
    });
    asked.pipe(passed);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    take() {
      const taken = counts;
      counts = new Map();
      return taken;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
