/** A socket in front of the Docker Engine that a test can take away. */
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface EngineProxy {
  /** As in DOCKER_HOST. */
  readonly host: string;
  readonly connections: number;
  /** Breaks off what is under way; nobody gets in until {@link back}. */
  away(): Promise<void>;
  back(): Promise<void>;
  close(): Promise<void>;
}

export async function engineProxy(dockerHost: string): Promise<EngineProxy> {
  const directory = await mkdtemp(join(tmpdir(), 'dh-proxy-'));
  const path = join(directory, 'sock');
  const sockets = new Set<Socket>();
  const url = dockerHost.startsWith('unix://') ? null : new URL(dockerHost);
  const engine = (): Socket =>
    url ? connect(Number(url.port), url.hostname) : connect(dockerHost.slice('unix://'.length));
  const open = () => {
    const made = createServer((socket) => {
      proxy.connections += 1;
      const upstream = engine();
      for (const one of [socket, upstream]) {
        sockets.add(one);
        one.on('error', () => {});
        one.once('close', () => {
          sockets.delete(one);
          socket.destroy();
          upstream.destroy();
        });
      }
      socket.pipe(upstream).pipe(socket);
    });
    return new Promise<typeof made>((resolve) => made.listen(path, () => resolve(made)));
  };
  let server: Awaited<ReturnType<typeof open>> | null = null;
  const proxy = {
    host: `unix://${path}`,
    connections: 0,
    away: async () => {
      const closing = server;
      server = null;
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => (closing ? closing.close(() => resolve()) : resolve()));
      await rm(path, { force: true });
    },
    back: async () => {
      server = await open();
    },
    close: async () => {
      await proxy.away();
      await rm(directory, { recursive: true, force: true });
    },
  };
  await proxy.back();
  return proxy;
}
