/** A PostgreSQL of the drill's own behind a TCP proxy that can cut connections off without closing them. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { LOOPBACK, PortBook } from '../../stack/claims.ts';
import { StackHome } from '../../stack/home.ts';
import { providePostgres } from '../../stack/postgres.ts';
import { Supervisor } from '../../stack/supervisor.ts';

export interface CuttableDatabase {
  /** Through the proxy. */
  readonly url: string;
  /** Past the proxy, for whoever looks. */
  readonly directUrl: string;
  /** From now on the connections that are open carry nothing, in either direction, and stay open. Returns how many. */
  cutOff(): number;
  close(): Promise<void>;
}

/** `directory` is removed by the caller. */
export async function openCuttableDatabase(directory: string): Promise<CuttableDatabase> {
  const home = new StackHome(join(directory, 'postgres-home'));
  const sayFor = () => () => {};
  const supervisor = Supervisor.acquire({ home, sayFor, onRestarted: () => {} });
  if (!supervisor) throw new Error(`${home.directory} is new and yet locked.`);
  const { process: server, value: directUrl } = await providePostgres({
    home,
    sayFor,
    environment: {},
    ports: new PortBook(home, false),
    survives: () => false,
    confirm: () => Promise.resolve(true),
    disposable: true,
  });
  if (server) await supervisor.start(server);
  const target = new URL(directUrl);
  const proxy = await openProxy(Number(target.port));
  const url = new URL(directUrl);
  url.port = String(proxy.port);
  return {
    url: url.href,
    directUrl,
    cutOff: proxy.cutOff,
    close: async () => {
      proxy.close();
      await supervisor.stop();
    },
  };
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

async function openProxy(port: number): Promise<{ port: number; cutOff: () => number; close: () => void }> {
  const pairs = new Set<Pair>();
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const pair = { client, server: connect(port, LOOPBACK) };
    pairs.add(pair);
    for (const [one, other] of [
      [pair.client, pair.server],
      [pair.server, pair.client],
    ] as const) {
      sockets.add(one);
      one.on('error', () => {});
      one.once('close', () => {
        sockets.delete(one);
        // The end of one side of a connection that was cut off does not reach the other.
        if (pairs.delete(pair)) other.destroy();
      });
      one.pipe(other);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, LOOPBACK, resolve));
  return {
    port: portOf(server),
    cutOff: () => {
      const cut = [...pairs];
      pairs.clear();
      for (const { client, server: upstream } of cut) {
        client.unpipe(upstream).pause();
        upstream.unpipe(client).pause();
      }
      return cut.length;
    },
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The proxy does not listen.');
  return address.port;
}
