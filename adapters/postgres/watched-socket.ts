/**
 * Sockets for the PostgreSQL client that end when the server stops answering. The client has no time-out of its own for an open
 * connection: if the server, or something on the way, stops without closing it, its statements would wait for ever.
 */
import { connect, isIP, Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';

/** What the client hands to a socket factory: its options as it has understood them. */
export interface Target {
  readonly host: readonly string[];
  readonly port: readonly number[];
  readonly path?: string | false;
}

export interface TlsChoice {
  /** As in the client: false, a mode of libpq (`require`, `prefer` …), or options of `tls.connect`. */
  readonly ssl: unknown;
  readonly sslnegotiation?: string | null;
}

const SENT = { sync: 0x53, query: 0x51, password: 0x70, terminate: 0x58 } as const;
const READY = 0x5a;
const CANCEL = 80_877_102;
const TLS_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
const YES = 0x53;
/** How long the server may take to say whether it speaks TLS. */
const TLS_ANSWER_MS = 5_000;
/** Answers may wait to be read while this process was busy or stopped: so long is granted for reading them. */
const LAST_CHANCE_MS = 1_000;

/** Longer than the client takes to forget connections that have ended. */
const NEIGHBOURS_MS = 50;

const failure = (code: string, message: string): Error => Object.assign(new Error(message), { code });

/** Calls `seen` with the type of each message of the protocol, however the bytes are cut. */
export function readMessages(seen: (type: number) => void): (chunk: Uint8Array) => void {
  const head = Buffer.alloc(5);
  let have = 0;
  let skip = 0;
  return (chunk) => {
    for (let at = 0; at < chunk.length; ) {
      if (skip > 0) {
        const step = Math.min(skip, chunk.length - at);
        skip -= step;
        at += step;
        continue;
      }
      head[have++] = chunk[at++] ?? 0;
      if (have < head.length) continue;
      seen(head[0] ?? 0);
      // The length counts itself, and not the type.
      skip = Math.max(0, head.readUInt32BE(1) - 4);
      have = 0;
    }
  };
}

/** Whether the server owes an answer: each Sync and each simple query earns one ReadyForQuery, and so does the start. */
class Debt {
  #owed = 0;
  /** Sent without a Sync yet. */
  #unsynced = false;
  #started = false;
  #read = readMessages((type) => {
    if (type === READY && this.#owed > 0) this.#owed -= 1;
  });
  #write = readMessages((type) => {
    if (type === SENT.sync || type === SENT.query) {
      this.#owed += 1;
      this.#unsynced = false;
    } else if (type !== SENT.password) this.#unsynced = type !== SENT.terminate;
  });
  /** The server has let this connection in. */
  ready = false;
  /** A request to cancel a statement: the server closes, and says nothing. */
  cancels = false;

  get any(): boolean {
    return this.#owed > 0 || this.#unsynced;
  }
  wrote(chunk: Uint8Array): void {
    if (this.#started) this.#write(chunk);
    else this.#start(Buffer.from(chunk));
  }
  /** The first message has no type. */
  #start(message: Buffer): void {
    this.#started = true;
    this.#owed = 1;
    this.cancels = message.length >= 8 && message.readUInt32BE(4) === CANCEL;
  }
  got(chunk: Uint8Array): void {
    const before = this.#owed;
    this.#read(chunk);
    if (this.#owed < before) this.ready = true;
  }
}

interface Idle {
  /** When the server sent something last, by this process's steady clock. */
  readonly heardAt: number;
  readonly owed: boolean;
  end(error: Error): void;
}

/**
 * The connections of one pool. Where one of them is silent, the idle ones are likely cut off as well, and each would cost its next
 * statement the whole silence again. So those of which nothing was heard since that statement go too: a new one costs milliseconds.
 */
export class Neighbours {
  readonly #all = new Set<Idle>();

  join(one: Idle): () => void {
    this.#all.add(one);
    return () => this.#all.delete(one);
  }
  /** `since`: when the statement was sent that was not answered. */
  endIdle(since: number, error: Error): void {
    for (const one of this.#all) if (!one.owed && one.heardAt < since) one.end(error);
  }
}

/**
 * Destroys the socket when the server owes an answer and has sent nothing for `silenceMs`. What else is written meanwhile
 * does not count as a sign of life.
 */
export function watch(socket: Socket, silenceMs: number, neighbours = new Neighbours()): Socket {
  const debt = new Debt();
  let heardAt = performance.now();
  let askedAt = heardAt;
  const leave = neighbours.join({
    get heardAt() {
      return heardAt;
    },
    get owed() {
      return debt.any;
    },
    end: (error) => void socket.destroy(error),
  });
  let timer: NodeJS.Timeout | undefined;
  let warned = false;
  const disarm = (): void => {
    clearTimeout(timer);
    timer = undefined;
    warned = false;
  };
  const arm = (ms: number): void => {
    clearTimeout(timer);
    if (!socket.destroyed) timer = setTimeout(silent, ms);
  };
  function silent(): void {
    if (warned) {
      const seconds = silenceMs / 1_000;
      const error = failure('ETIMEDOUT', `PostgreSQL sent nothing for ${seconds} s while a statement was open`);
      neighbours.endIdle(askedAt, error);
      // The client has forgotten them by the time at which it hears of this one, and takes none of them for the next statement.
      timer = setTimeout(() => socket.destroy(error), NEIGHBOURS_MS);
      return;
    }
    warned = true;
    arm(Math.min(LAST_CHANCE_MS, silenceMs));
  }
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
  const end = socket.end.bind(socket) as (...args: unknown[]) => Socket;
  socket.write = (chunk: Uint8Array | string, ...rest: unknown[]) => {
    debt.wrote(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
    if (debt.any && timer === undefined) {
      askedAt = performance.now();
      arm(silenceMs);
    }
    return write(chunk, ...rest);
  };
  socket.end = (...args: unknown[]) => {
    // The server closes its side too; one that does not would keep the process alive.
    if (timer === undefined) arm(Math.min(silenceMs, TLS_ANSWER_MS));
    return end(...args);
  };
  socket.on('data', (chunk: Buffer) => {
    debt.got(chunk);
    heardAt = performance.now();
    disarm();
    askedAt = heardAt;
    if (debt.any) arm(silenceMs);
  });
  socket.on('end', () => {
    // The client would connect again at once, for ever, when the server closes before it has let the connection in.
    if (!debt.ready && !debt.cancels)
      socket.destroy(failure('CONNECTION_CLOSED', 'The server closed the connection before it was ready'));
  });
  socket.on('close', () => {
    disarm();
    leave();
  });
  endInOrder(socket, () => debt.ready);
  return socket;
}

/**
 * The client loses statements around the end of an open connection. One that comes between `error` and `close` is never answered, and
 * the `rollback` of a transaction, which follows its failed statement, throws in a timer once `close` has come: that ends the process.
 * So its `error` always comes first, `close` waits until what follows from that has been written into the void, and says that there
 * was no error: then the client fails whatever it still has.
 */
function endInOrder(socket: Socket, isReady: () => boolean): void {
  const emit = socket.emit.bind(socket) as (event: string | symbol, ...args: unknown[]) => boolean;
  let failed = false;
  socket.emit = (event: string | symbol, ...args: unknown[]) => {
    if (event === 'error') failed = true;
    if (event !== 'close' || !isReady()) return emit(event, ...args);
    if (!failed) emit('error', failure('CONNECTION_CLOSED', 'The connection to PostgreSQL was closed'));
    // The client writes in an immediate of its own.
    setImmediate(() => setImmediate(() => setImmediate(() => emit('close', false))));
    return true;
  };
}

/** As the client does it; see its `secure()`. Rejects when the server can't speak TLS and must. */
async function secured(raw: Socket, host: string, { ssl, sslnegotiation }: TlsChoice): Promise<Socket> {
  const direct = sslnegotiation === 'direct';
  if (!direct) {
    raw.write(TLS_REQUEST);
    const yes = await answerTo(raw);
    if (!yes && ssl === 'prefer') return raw;
    if (!yes) throw failure('ECONNREFUSED', 'PostgreSQL does not speak TLS, and sslmode demands it');
  }
  const lax = ssl === 'require' || ssl === 'allow' || ssl === 'prefer';
  const options: ConnectionOptions = {
    socket: raw,
    ...(isIP(host) ? {} : { servername: host }),
    ...(direct ? { ALPNProtocols: ['postgresql'] } : {}),
    ...(lax ? { rejectUnauthorized: false } : {}),
    ...(typeof ssl === 'object' ? ssl : {}),
  };
  return connectTls(options);
}

function answerTo(raw: Socket): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => raw.destroy(failure('CONNECT_TIMEOUT', 'PostgreSQL does not answer')),
      TLS_ANSWER_MS,
    );
    const settle = (work: () => void): void => {
      clearTimeout(timer);
      raw.removeAllListeners();
      work();
    };
    raw.once('data', (answer: Buffer) => settle(() => resolve(answer[0] === YES)));
    raw.once('error', (error) => settle(() => reject(error)));
    raw.once('close', () =>
      settle(() => reject(failure('CONNECTION_CLOSED', 'The server closed the connection at its start'))),
    );
  });
}

/** A socket that fails with the error once somebody listens: the client would wait for ever if its factory threw. */
function failed(error: unknown): Socket {
  const socket = new Socket();
  setImmediate(() => socket.destroy(error as Error));
  return socket;
}

/** The client's `socket` option: several hosts are tried in turn, one for each connection. */
export function socketFactory(tls: TlsChoice, silenceMs: number): (target: Target) => Promise<Socket> {
  let next = 0;
  const neighbours = new Neighbours();
  return async ({ host, port, path }) => {
    if (path) return watch(connect(path), silenceMs, neighbours);
    const index = next++ % host.length;
    const address = { host: host[index] ?? 'localhost', port: port[index] ?? 5432 };
    // The client reads both for its messages.
    const raw = Object.assign(connect(address), address);
    if (!tls.ssl) return watch(raw, silenceMs, neighbours);
    try {
      return watch(Object.assign(await secured(raw, address.host, tls), address), silenceMs, neighbours);
    } catch (error) {
      raw.destroy();
      return failed(error);
    }
  };
}
