/** Starts the decoy program as a child process on ports of the system's choosing, and talks to it as a client would. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('../../../decoys/program/main.mjs', import.meta.url));
/** Generous: these tests prove what happens, not how fast. */
const PATIENCE_MS = 15_000;

export interface DecoyLine {
  readonly time: string;
  readonly service: string;
  readonly decky: string;
  readonly event: string;
  readonly message?: string;
  readonly peer_address?: string;
  readonly peer_port?: number;
  readonly local_port?: number;
  readonly transport?: string;
  readonly first_bytes?: string;
  readonly lines?: number;
  readonly ports?: readonly { readonly port: number; readonly transport: string; readonly bound: number }[];
}

/** Wakes those who wait for something to change, and at the latest at their deadline. */
class Changes {
  private readonly waiting = new Set<() => void>();

  announce(): void {
    for (const wake of this.waiting) wake();
    this.waiting.clear();
  }

  /** Resolves to whether `done()` became true in time. */
  async until(done: () => boolean): Promise<boolean> {
    const deadline = Date.now() + PATIENCE_MS;
    while (!done() && Date.now() < deadline) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.waiting.add(resolve);
        timer = setTimeout(resolve, deadline - Date.now());
      });
      clearTimeout(timer);
    }
    return done();
  }
}

export class Decoy {
  readonly lines: DecoyLine[] = [];
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  private readonly changes = new Changes();

  constructor(service: string, environment: Readonly<Record<string, string>>) {
    this.child = spawn(process.execPath, [PROGRAM, service], {
      env: {
        NODE_NAME: 'decky-1',
        HOSTNAME: 'SRV-TEST-42',
        DECOY_HOST: '127.0.0.1',
        DECOY_PORTS: 'random',
        ...environment,
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.exited = once(this.child, 'exit').then(([code]) => code as number | null);
    this.read().catch(() => {});
  }

  private async read(): Promise<void> {
    let rest = '';
    for await (const chunk of this.child.stdout ?? []) {
      const lines = (rest + String(chunk)).split('\n');
      rest = lines.pop() ?? '';
      this.lines.push(...lines.map((line) => JSON.parse(line) as DecoyLine));
      this.changes.announce();
    }
  }

  /** The first line, also of those that were written before, that the predicate accepts. */
  async line(accepts: (line: DecoyLine) => boolean): Promise<DecoyLine> {
    let over = false;
    this.child.once('close', () => {
      over = true;
      this.changes.announce();
    });
    await this.changes.until(() => over || this.lines.some(accepts));
    const found = this.lines.find(accepts);
    if (found) return found;
    throw new Error(`no such line; there are: ${JSON.stringify(this.lines.slice(-5))}`);
  }

  /** Where a port of the catalogue is bound. */
  port(port: number, transport?: string): number {
    const ports = this.lines.find((line) => line.event === 'listening')?.ports ?? [];
    const found = ports.find((each) => each.port === port && (transport ?? each.transport) === each.transport);
    if (!found) throw new Error(`port ${port} is not listened on: ${JSON.stringify(ports)}`);
    return found.bound;
  }

  async stop(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGTERM');
    await this.exited;
  }
}

export async function startDecoy(service: string, environment: Readonly<Record<string, string>> = {}): Promise<Decoy> {
  const decoy = new Decoy(service, environment);
  await decoy.line((line) => line.event === 'listening');
  return decoy;
}

/** A client's side of a TCP connection, or of anything that streams bytes. */
export class Talk {
  readonly socket: Socket;
  received: Buffer = Buffer.alloc(0);
  localPort: number | undefined;
  closed = false;
  private readonly changes = new Changes();

  constructor(socket: Socket) {
    this.socket = socket;
    this.localPort = socket.localPort;
    socket.on('data', (chunk: Buffer) => {
      this.received = Buffer.concat([this.received, chunk]);
      this.changes.announce();
    });
    // A decoy may cut a connection; the tests look at what it said before.
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed = true;
      this.changes.announce();
    });
  }

  static async to(port: number, host = '127.0.0.1'): Promise<Talk> {
    const socket = connect({ port, host, noDelay: true });
    await once(socket, 'connect');
    return new Talk(socket);
  }

  send(data: string | Uint8Array): this {
    this.socket.write(data);
    return this;
  }

  /** Waits until the bytes received so far match; takes and returns all of them. */
  async read(enough: RegExp | number): Promise<Buffer> {
    const done = (): boolean =>
      typeof enough === 'number' ? this.received.length >= enough : enough.test(this.received.toString('latin1'));
    await this.until(done, `${enough}`);
    const taken = this.received;
    this.received = Buffer.alloc(0);
    return taken;
  }

  /** As {@link read}, as text. */
  async text(enough: RegExp): Promise<string> {
    return (await this.read(enough)).toString('latin1');
  }

  /** All that comes until the decoy closes. */
  async rest(): Promise<Buffer> {
    await this.until(() => this.closed, 'the end');
    return this.received;
  }

  close(): void {
    this.socket.destroy();
  }

  private async until(done: () => boolean, what: string): Promise<void> {
    await this.changes.until(() => done() || this.closed);
    if (done()) return;
    throw new Error(`waited for ${what}, ${this.closed ? 'closed' : 'got'}: ${JSON.stringify(String(this.received))}`);
  }
}

/** Sends a datagram; resolves with the answer, or undefined when none came in time. */
export function ask(port: number, datagram: Uint8Array, waitMs = PATIENCE_MS): Promise<Buffer | undefined> {
  const socket = createSocket('udp4');
  return new Promise((resolve) => {
    const settle = (answer?: Buffer): void => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(settle, waitMs);
    socket.once('message', settle);
    socket.once('error', () => settle());
    socket.send(datagram, port, '127.0.0.1');
  });
}

/** Runs `work` with a decoy of its own. */
export async function withDecoy(
  service: string,
  environment: Readonly<Record<string, string>>,
  work: (decoy: Decoy) => Promise<void>,
): Promise<void> {
  const decoy = await startDecoy(service, environment);
  try {
    await work(decoy);
  } finally {
    await decoy.stop();
  }
}
