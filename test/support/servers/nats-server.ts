/** A NATS of a test's own, with a configuration of its own: to refuse, to freeze, to come back. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect as dial } from 'node:net';
import { join } from 'node:path';
import { locateNats } from '../../../stack/nats.ts';
import { testDirectory } from '../stack/stack.ts';
import { until } from '../until.ts';
import { freePort } from './free-port.ts';

export interface NatsServer {
  readonly url: string;
  signal(signal: NodeJS.Signals): void;
  stop(): Promise<void>;
  /** The same address again, by another configuration. */
  start(config: (directory: string) => string): Promise<void>;
}

const JETSTREAM = (directory: string): string => `jetstream { store_dir: "${directory}" }`;

/** The configuration has all but the address. */
export async function startNats(config: (directory: string) => string = JETSTREAM): Promise<NatsServer> {
  const directory = testDirectory('nats-server');
  const port = await freePort();
  let child: ChildProcess | null = null;
  const start = async (text: (directory: string) => string): Promise<void> => {
    const file = join(directory, 'nats.conf');
    writeFileSync(file, `listen: "127.0.0.1:${port}"\n${text(directory)}\n`);
    child = spawn(locateNats() ?? 'nats-server', ['-c', file], { stdio: 'ignore' });
    await until('NATS', () => answers(port));
  };
  await start(config);
  return {
    url: `nats://127.0.0.1:${port}`,
    signal: (signal) => void child?.kill(signal),
    start,
    async stop() {
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, 'exit');
      child.kill('SIGKILL');
      await exit;
    },
  };
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = dial(port, '127.0.0.1');
    socket.once('data', () => resolve(true)).once('error', () => resolve(false));
    socket.once('data', () => socket.destroy());
  });
