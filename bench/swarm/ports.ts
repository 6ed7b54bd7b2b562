/** Free ports on loopback, for programs that are told theirs. */
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/** Below the ports that the system deals out to connections: agents and servers make thousands while a program starts. */
const FIRST = 18_000;
const LAST = 28_000;
const TRIES = 50;

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });

export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  for (let tries = 0; ports.size < count; tries += 1) {
    if (tries > TRIES) throw new Error(`No ${count} free ports between ${FIRST} and ${LAST}.`);
    const port = randomInt(FIRST, LAST);
    if (await isFree(port)) ports.add(port);
  }
  return [...ports];
}
