/**
 * Services of one decky share its network, and two may want one port: `http` (443) beside `https`, `conpot` (161, 80)
 * beside `snmp` or `http`. For one of them it is a sideline. It lends that port out: it lets go when the service that
 * lives from the port asks. They meet on an abstract Unix socket, which only processes of the same network can reach.
 */
import { connect, createServer } from 'node:net';

const path = (transport, port) => `\0deckhand-decoy/${transport === 'udp' ? 'udp' : 'tcp'}/${port}`;

/** Calls `release` once somebody asks for the port. Resolves when it can be asked. */
export function lend(transport, port, release) {
  return new Promise((resolve) => {
    const server = createServer((asker) => {
      asker.on('error', () => {});
      server.close();
      release().then(
        () => asker.end(),
        () => asker.destroy(),
      );
    });
    server.on('error', () => resolve());
    server.listen({ path: path(transport, port) }, () => resolve());
  });
}

/** Asks for a port; resolves to whether a lender let go of it. */
export function borrow(transport, port) {
  return new Promise((resolve) => {
    const asker = connect({ path: path(transport, port) });
    asker.setTimeout(2_000, () => asker.destroy(new Error('no answer')));
    asker.on('error', () => resolve(false));
    asker.on('end', () => resolve(true));
    asker.on('close', () => resolve(false));
    asker.resume();
  });
}
