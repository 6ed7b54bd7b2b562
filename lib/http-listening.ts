/** Beginning and end of a program's HTTP listener: what every one of them needs, whatever it serves. */
import type { Server } from 'node:http';
import type { AddressInfo, Server as NetServer } from 'node:net';

const IDLE_CHECK_MS = 100;

/** Resolves with the port once it listens; rejects when the address is taken or not ours. */
export function listen(server: NetServer, address: { readonly host: string; readonly port: number }): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(address.port, address.host, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

/** Takes no more connections, lets answers finish within `drainMs`, then closes what is left. */
export function stopServer(
  server: Pick<Server, 'close' | 'closeAllConnections' | 'closeIdleConnections'>,
  drainMs: number,
): Promise<void> {
  return new Promise((resolve) => {
    const drained = setTimeout(() => server.closeAllConnections(), drainMs);
    // A connection that is kept alive gets idle only once its last answer is out.
    const idle = setInterval(() => server.closeIdleConnections(), IDLE_CHECK_MS);
    server.close(() => {
      clearTimeout(drained);
      clearInterval(idle);
      resolve();
    });
  });
}
