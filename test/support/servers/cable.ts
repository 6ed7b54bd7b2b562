/** A way to a server that can be cut, held without being closed, or made slow. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface Cable {
  readonly port: number;
  /** Connections that are held take bytes and give none. */
  readonly held: number;
  readonly open: number;
  /** Closes all connections, and takes none. */
  cut(): Promise<void>;
  mend(): Promise<void>;
  /** Nothing comes through any longer, and nothing is closed; `newOnes` says whether that holds for later connections too. */
  hold(newOnes: boolean): void;
  letGo(): void;
  /** What the server says comes so much later. */
  delay(ms: number): void;
  close(): Promise<void>;
}

export async function layCable(host: string, port: number): Promise<Cable> {
  const ways = new Map<Socket, { other: Socket; held: boolean; waiting: Buffer[] }>();
  let holdNew = false;
  let delayMs = 0;
  const lay = (from: Socket, to: Socket, late: () => number): void => {
    const way = { other: to, held: holdNew, waiting: [] as Buffer[] };
    ways.set(from, way);
    const pass = (chunk: Buffer): void => {
      if (way.held) way.waiting.push(chunk);
      else if (!to.destroyed) to.write(chunk);
    };
    from.on('data', (chunk: Buffer) => {
      if (late() > 0) setTimeout(() => pass(chunk), late());
      else pass(chunk);
    });
    from
      .on('error', () => undefined)
      .on('close', () => {
        ways.delete(from);
        to.destroy();
      });
  };
  const server = createServer((near) => {
    const far = connect(port, host);
    lay(near, far, () => 0);
    lay(far, near, () => delayMs);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const at = (server.address() as AddressInfo).port;
  const cut = async (): Promise<void> => {
    const closed = once(server, 'close');
    server.close();
    for (const socket of ways.keys()) socket.destroy();
    await closed;
  };
  return {
    port: at,
    get open() {
      return ways.size / 2;
    },
    get held() {
      return [...ways.values()].filter(({ held }) => held).length / 2;
    },
    cut,
    async mend() {
      server.listen(at, '127.0.0.1');
      await once(server, 'listening');
    },
    hold(newOnes) {
      holdNew = newOnes;
      for (const way of ways.values()) way.held = true;
    },
    letGo() {
      holdNew = false;
      for (const way of ways.values()) {
        way.held = false;
        for (const chunk of way.waiting.splice(0)) way.other.write(chunk);
      }
    },
    delay(ms) {
      delayMs = ms;
    },
    async close() {
      if (server.listening) await cut();
    },
  };
}
