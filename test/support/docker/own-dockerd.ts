/** A dockerd that a test may end and start again, set up as the stack's own; everything of it is gone at the end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { identify } from '../../../lib/process-table.ts';
import { endShims, endStrayShims, unmountBelow } from '../../../stack/docker.ts';
import { until } from '../until.ts';

const SETTINGS = ['--bridge=none', '--iptables=false', '--ip6tables=false', '--ip-forward=false'];

export interface OwnDockerd {
  /** As in DOCKER_HOST. */
  readonly host: string;
  readonly client: Docker;
  readonly execRoot: string;
  start(): Promise<void>;
  /** Resolves when it has ended, its containerd too. */
  end(signal: NodeJS.Signals): Promise<void>;
  /** Ends it for good. */
  stop(): Promise<void>;
}

export async function ownDockerd(options: { liveRestore: boolean }): Promise<OwnDockerd> {
  const home = await mkdtemp(join(tmpdir(), 'dh-own-'));
  const [execRoot, data, pidFile] = [join(home, 'exec'), join(home, 'data'), join(home, 'pid')];
  const host = `unix://${home}/sock`;
  const client = new Docker({ socketPath: join(home, 'sock') });
  const directories = ['--data-root', data, '--exec-root', execRoot, '--pidfile', pidFile];
  let child: ChildProcess | null = null;

  async function start(): Promise<void> {
    endStrayShims(execRoot, data);
    for (const file of [pidFile, join(execRoot, 'containerd', 'containerd.pid')]) await rm(file, { force: true });
    const live = options.liveRestore ? ['--live-restore'] : [];
    child = spawn('dockerd', [...directories, '-H', host, ...SETTINGS, ...live], { stdio: 'ignore', detached: true });
    const answers = () =>
      client.ping().then(
        () => true,
        () => false,
      );
    await until('dockerd', answers, 60_000);
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    const running = child;
    if (!running?.pid || running.exitCode !== null) return;
    const ended = new Promise((resolve) => running.once('exit', resolve));
    running.kill(signal);
    await ended;
    const pid = Number(await readFile(join(execRoot, 'containerd', 'containerd.pid'), 'utf8').catch(() => '0'));
    await until('the end of containerd', () => pid === 0 || identify(pid) === null);
  }

  async function stop(): Promise<void> {
    await end('SIGTERM');
    endShims(execRoot);
    unmountBelow(home);
    await rm(home, { recursive: true, force: true });
  }

  await start();
  return { host, client, execRoot, start, end, stop };
}
