/** What answers at the engine's socket answers as a test wants, and a stranger's server beside it that must never be asked. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type Answer = (response: ServerResponse, socket: Socket, request: IncomingMessage) => void;

export interface HostileEngine {
  /** As in DOCKER_HOST. */
  readonly host: string;
  /** `METHOD /path?query`, as they came over the wire. */
  readonly requests: string[];
  /** Origin of the stranger's server: where redirects point to. */
  readonly stranger: string;
  readonly strangersRequests: string[];
  answer: Answer;
  close(): Promise<void>;
}

const listen = (server: Server, where: string | number): Promise<void> =>
  new Promise((resolve) =>
    typeof where === 'string' ? server.listen(where, resolve) : server.listen(where, '127.0.0.1', resolve),
  );

const shut = async (server: Server): Promise<void> => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
};

export async function hostileEngine(): Promise<HostileEngine> {
  const directory = await mkdtemp(join(tmpdir(), 'dh-hostile-'));
  const path = join(directory, 'sock');
  const strangersRequests: string[] = [];
  const stranger = createServer((request, response) => {
    strangersRequests.push(`${request.method} ${request.url}`);
    response.end('{}');
  });
  await listen(stranger, 0);
  const engine: Omit<HostileEngine, 'close'> = {
    host: `unix://${path}`,
    requests: [],
    stranger: `http://127.0.0.1:${(stranger.address() as AddressInfo).port}`,
    strangersRequests,
    answer: (response) => response.end('{}'),
  };
  const server = createServer((request, response) => {
    engine.requests.push(`${request.method} ${request.url}`);
    request.resume();
    engine.answer(response, request.socket, request);
  });
  await listen(server, path);
  return Object.assign(engine, {
    close: async () => {
      await shut(server);
      await shut(stranger);
      await rm(directory, { recursive: true, force: true });
    },
  });
}
