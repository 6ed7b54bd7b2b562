/** A node:http server that never listens itself: tcp.mjs hands it guarded connections. */
import { createServer } from 'node:http';
import { log } from '../log.mjs';

const REQUESTS_PER_CONNECTION = 100;

/** `handle(request, response)` answers; bodies of requests are read over. What it throws becomes a 500. */
export function httpServer(handle) {
  const server = createServer(
    { maxHeaderSize: 16 * 1024, keepAliveTimeout: 15_000, noDelay: true },
    (request, response) => {
      request.on('error', () => {});
      response.on('error', () => {});
      request.resume();
      try {
        handle(request, response);
      } catch (error) {
        log({ event: 'error', message: `${error.name}: ${error.message}` });
        if (!response.headersSent) response.statusCode = 500;
        response.end();
      }
    },
  );
  server.maxHeadersCount = 64;
  server.maxRequestsPerSocket = REQUESTS_PER_CONNECTION;
  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    else socket.destroy();
  });
  // An upgrade or CONNECT is no business of a decoy.
  for (const event of ['upgrade', 'connect'])
    server.on(event, (_request, socket) =>
      socket.end('HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'),
    );
  return server;
}

/** Ends a response with JSON. */
export function sendJson(response, status, value, headers = {}) {
  const body = Buffer.from(`${JSON.stringify(value)}\n`);
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers, 'Content-Length': body.length });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}

/** The path without query, as sent. */
export const pathOf = (request) => (request.url ?? '/').split('?', 1)[0];
