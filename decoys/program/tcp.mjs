/** TCP and TLS listeners: they guard each connection and hand it to its protocol. */
import { createServer } from 'node:net';
import { account, admit, destroy } from './connections.mjs';
import { LIMITS } from './limits.mjs';
import { log } from './log.mjs';
import { ProtocolError } from './protocol-error.mjs';

/**
 * Listens on a port. `listener.talk(connection)` is called for each connection and returns the function that takes its
 * bytes; `listener.http` is a node:http server instead. `secure` is the TLS context's provider for `tls` listeners and upgrades.
 * Resolves with the bound port and a `close`; rejects with the system's error.
 */
export function listenTcp(listener, port, host, secure) {
  const server = createServer({ noDelay: true }, (socket) => {
    const entry = admit(socket, listener.transport);
    if (listener.transport !== 'tls') serve(listener, entry, secure);
    else upgrade(entry, secure, () => serve(listener, entry, secure));
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host, backlog: 128 }, () => {
      server.on('error', (error) => log({ event: 'error', message: `listener ${port}: ${error.code ?? error.name}` }));
      resolve({ port: server.address().port, close: () => closeNow(server) });
    });
  });
}

/** The port is free once this resolves; connections that are open stay so. */
function closeNow(server) {
  server.close();
  return new Promise(setImmediate);
}

/** Puts TLS on a connection; `ready` runs after the handshake. */
function upgrade(entry, secure, ready) {
  entry.socket.removeAllListeners('data');
  secure()
    .then(({ TLSSocket, secureContext }) => {
      if (entry.socket.destroyed) return;
      const stream = new TLSSocket(entry.socket, { isServer: true, secureContext, ALPNProtocols: ['http/1.1'] });
      entry.stream = stream;
      stream.on('error', () => destroy(entry));
      stream.once('close', () => destroy(entry));
      stream.once('secure', ready);
    })
    .catch((error) => {
      log({ event: 'error', message: `TLS: ${error.message}` });
      destroy(entry);
    });
}

function serve(listener, entry, secure) {
  const { stream } = entry;
  if (listener.http) {
    listener.http.emit('connection', stream);
    // A listener that is added after node:http took the socket makes it read through the stream again, so that bytes count.
    stream.on('data', (chunk) => account(entry, chunk));
    return;
  }
  const connection = connectionOf(entry, secure);
  let take;
  const guarded = (work) => {
    try {
      work();
    } catch (error) {
      if (!(error instanceof ProtocolError)) log({ event: 'error', message: `${error.name}: ${error.message}` });
      destroy(entry);
    }
  };
  connection.follow = (next) => {
    take = next;
  };
  connection.listen = (on) => {
    on.on('data', (chunk) => {
      if (account(entry, chunk) && !connection.ended) guarded(() => take(chunk));
    });
    on.on('drain', () => on.resume());
  };
  connection.listen(stream);
  guarded(() => {
    take = listener.talk(connection);
  });
}

/** What a protocol may do with its connection. */
function connectionOf(entry, secure) {
  const connection = {
    ended: false,
    peer: entry.peer,
    localPort: entry.localPort,
    /** Writes; a peer that does not read is not read from, and cut when too much waits for it. */
    send(data) {
      if (connection.ended) return;
      if (!entry.stream.write(data)) entry.stream.pause();
      if (entry.stream.writableLength <= LIMITS.unsentBytes) return;
      connection.ended = true;
      destroy(entry);
    },
    /** Writes the last words and closes; a peer that keeps its side open is cut two seconds later. */
    end(data) {
      if (connection.ended) return;
      connection.ended = true;
      entry.stream.end(data);
      entry.stream.resume();
      setTimeout(destroy, 2_000, entry).unref();
    },
    /** Sends `answer` in clear, then speaks TLS; what comes after the handshake goes to the `follow`er. */
    startTls(answer, next) {
      entry.stream.write(answer);
      upgrade(entry, secure, () => {
        entry.transport = 'tls';
        connection.follow(next);
        connection.listen(entry.stream);
      });
    },
  };
  return connection;
}
