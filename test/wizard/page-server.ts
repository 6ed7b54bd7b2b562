/** Serves the built page, and hands `/api` on to the master: one origin for both, as DECNET serves them. */
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css',
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
};

export interface PageServer {
  readonly url: string;
  close(): void;
}

function handOn(incoming: IncomingMessage, answer: ServerResponse, apiUrl: string): void {
  const asked = request(
    new URL(incoming.url ?? '/', apiUrl),
    { method: incoming.method, headers: { ...incoming.headers, host: new URL(apiUrl).host } },
    (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    },
  );
  asked.on('error', () => (answer.headersSent ? answer.destroy() : answer.writeHead(502).end()));
  answer.on('close', () => asked.destroy());
  incoming.pipe(asked);
}

/** Paths that are no file are pages of the application. */
function sendFile(path: string, answer: ServerResponse, directory: string): void {
  for (const candidate of [normalize(join('/', path)), '/index.html']) {
    try {
      const file = candidate === '/' ? '/index.html' : candidate;
      const content = readFileSync(join(directory, file));
      answer.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' }).end(content);
      return;
    } catch {
      // Not there: the next one.
    }
  }
  answer.writeHead(404).end();
}

export async function servePage(directory: string, apiUrl: string): Promise<PageServer> {
  const server = createServer((incoming, answer) => {
    const { pathname } = new URL(incoming.url ?? '/', 'http://page');
    if (pathname.startsWith('/api/')) handOn(incoming, answer, apiUrl);
    else sendFile(decodeURIComponent(pathname), answer, directory);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
