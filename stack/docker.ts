/**
 * Docker: DOCKER_HOST, else the default socket, else a private dockerd of our own, else none. Without one deckies are simulated.
 *
 * 1. which of them
 * 2. whether an engine answers
 * 3. the private dockerd
 * 4. its shims, which outlive it
 */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import Docker from 'dockerode';
import { writeJson } from '../lib/files.ts';
import {
  commandLine,
  identify,
  type ProcessIdentity,
  parentOf,
  signalOne,
  signalProcess,
  waitForExit,
} from '../lib/process-table.ts';
import { findOnPath, runCommand } from './binaries.ts';
import type { Provided, StackContext } from './context.ts';
import { ownDirectory } from './home.ts';

export const DEFAULT_SOCKET = '/var/run/docker.sock';
const SBIN = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

export const findDockerd = (): string | null => findOnPath('dockerd', SBIN);

export async function provideDocker(context: StackContext): Promise<Provided<DockerEngine>> {
  const { environment } = context;
  if (environment.DECKHAND_ENGINE === 'simulated') return simulated('DECKHAND_ENGINE=simulated');
  if (environment.DOCKER_HOST) return external(environment.DOCKER_HOST, 'external, DOCKER_HOST');
  const problem = await dockerAnswers(`unix://${DEFAULT_SOCKET}`);
  if (problem === null) return external(`unix://${DEFAULT_SOCKET}`, `external, ${DEFAULT_SOCKET}`);
  if (process.getuid?.() !== 0)
    return simulated(
      existsSync(DEFAULT_SOCKET)
        ? `${DEFAULT_SOCKET} can’t be used (${problem}), and only root can run a private dockerd`
        : 'there is no Docker Engine, and only root can run a private dockerd',
    );
  const dockerd = findDockerd() ?? (await installFromDebian(context));
  if (typeof dockerd !== 'string') return simulated(dockerd.reason);
  // Where systemd runs, installing the package starts the machine's own engine.
  if ((await dockerAnswers(`unix://${DEFAULT_SOCKET}`)) === null)
    return external(`unix://${DEFAULT_SOCKET}`, `external, ${DEFAULT_SOCKET}`);
  return privateDockerd(context, dockerd);
}

const external = (host: string, origin: string): Provided<DockerEngine> => ({
  process: null,
  origin,
  value: { host, reason: null },
});

export const simulated = (reason: string): Provided<DockerEngine> => ({
  process: null,
  origin: 'simulated',
  value: { host: null, reason },
});

async function installFromDebian(context: StackContext): Promise<string | { readonly reason: string }> {
  const say = context.sayFor('docker');
  if (process.platform !== 'linux' || !findOnPath('apt-get'))
    return { reason: 'there is no Docker Engine, and this is no Debian or Ubuntu to install one on' };
  if (!(await context.confirm('There is no Docker Engine. Install docker.io and iptables with apt-get?')))
    return { reason: 'there is no Docker Engine, and installing one was declined' };
  say('installing docker.io and iptables with apt-get, since there is no Docker Engine');
  try {
    await aptInstall(['docker.io', 'iptables']);
  } catch (error) {
    return { reason: `there is no Docker Engine, and installing docker.io failed: ${(error as Error).message}` };
  }
  return findDockerd() ?? { reason: 'docker.io was installed, but there is no dockerd' };
}

async function aptInstall(packages: readonly string[]): Promise<void> {
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  const install = ['install', '-y', '--no-install-recommends', ...packages];
  try {
    await runCommand('apt-get', install, { env });
  } catch {
    await runCommand('apt-get', ['update'], { env });
    await runCommand('apt-get', install, { env });
  }
}

// 2. Whether an engine answers at an address in DOCKER_HOST's notation

/** Null when it answers, else why not, in a phrase. Addresses other than sockets and plain TCP are for the engine's client to judge: null. */
export function dockerAnswers(host: string, timeoutMs = 2_000): Promise<string | null> {
  const socketPath = /^unix:\/\/(.+)$/.exec(host)?.[1];
  const tcp = /^(?:tcp|http):\/\/([^:/]+):(\d+)/.exec(host);
  if (!socketPath && !tcp) return Promise.resolve(null);
  const address = socketPath ? { socketPath } : { host: tcp?.[1] ?? '', port: Number(tcp?.[2]) };
  return new Promise((resolve) => {
    const asked = request({ ...address, path: '/_ping', timeout: timeoutMs }, (response) => {
      response.resume();
      resolve(response.statusCode === 200 ? null : `it answers ${response.statusCode}`);
    });
    asked.on('timeout', () => asked.destroy(new Error('it does not answer')));
    asked.on('error', (error) => resolve((error as NodeJS.ErrnoException).code ?? error.message));
    asked.end();
  });
}

// 3. A dockerd of our own: own data, exec root, socket and pid file, no bridge, no firewall rules

/** `host` is null when there is no engine: deckies are simulated then, and `reason` says why. */
export interface DockerEngine {
  readonly host: string | null;
  readonly reason: string | null;
}

/** Longest directory for exec root and socket: containerd’s own socket below it must stay under the 107 characters of a socket’s path. */
const RUN_DIRECTORY_LIMIT = 70;

/** `<home>/docker/run`, or a short path keyed by the instance. */
function runDirectory(homePath: string, instance: string): string {
  const wanted = join(homePath, 'docker', 'run');
  return wanted.length <= RUN_DIRECTORY_LIMIT ? wanted : join(tmpdir(), `deckhand-${instance}`);
}

/**
 * Two engines that both manage docker0 and the machine's iptables chains flush each other's rules when they start. Ours leaves
 * both alone, and forwarding too. Deckies are reached from this host over their own bridge, which needs neither; they can't
 * reach out, which is as it should be for a decoy. What it costs: no default bridge, so an image build that downloads something
 * needs `networkmode: host`, and pulls are not concerned (the daemon itself makes them).
 */
const SETTINGS = ['--bridge=none', '--iptables=false', '--ip6tables=false', '--ip-forward=false'];

function privateDockerd(context: StackContext, dockerd: string): Provided<DockerEngine> {
  const { home } = context;
  const run = runDirectory(home.directory, home.instance);
  const exec = join(run, 'exec');
  const data = home.path('docker', 'data');
  const pidFile = join(run, 'docker.pid');
  const host = `unix://${join(run, 'docker.sock')}`;
  let bridges: string[] = [];
  return {
    origin: 'embedded, a private dockerd',
    value: { host, reason: null },
    process: {
      name: 'docker',
      command: dockerd,
      args: [
        ...['--data-root', data, '--exec-root', exec, '--pidfile', pidFile, '-H', host],
        ...['--config-file', join(run, 'daemon.json'), ...SETTINGS],
      ],
      adoptable: true,
      startTimeoutMs: 60_000,
      // It stops its containers first.
      stopTimeoutMs: 60_000,
      prepare: async () => {
        ownDirectory(run);
        mkdirSync(data, { recursive: true, mode: 0o711 });
        setLiveRestore(run, true);
        removeStalePidFile(pidFile);
        await endContainerd(join(exec, 'containerd'));
        endStrayShims(exec, data);
      },
      ready: async () => (await dockerAnswers(host)) === null,
      beforeStop: async () => {
        if (context.disposable) await removeEverything(run);
        bridges = await bridgesOf(clientOf(run));
        await giveUpContainers(run, pidFile);
      },
      cleanUp: () => {
        endShims(exec);
        for (const bridge of bridges) spawnSync('ip', ['link', 'delete', bridge], { stdio: 'ignore' });
        cleanUp(run, home.path('docker'), context.disposable);
      },
    },
  };
}

/** With it, deckies run on while a dockerd that was killed is away. */
const setLiveRestore = (run: string, on: boolean): void => writeJson(join(run, 'daemon.json'), { 'live-restore': on });

const clientOf = (run: string): Docker => new Docker({ socketPath: join(run, 'docker.sock'), timeout: 30_000 });

/**
 * An engine that stops for good stops its containers too; those with a restart policy come back with it. Live restore would leave
 * them running, without anybody who could end them, so it is switched off first, which a running dockerd can do.
 */
async function giveUpContainers(run: string, pidFile: string): Promise<void> {
  const docker = clientOf(run);
  setLiveRestore(run, false);
  process.kill(Number.parseInt(readFileSync(pidFile, 'utf8'), 10), 'SIGHUP');
  for (let round = 0; round < 50; round++) {
    const { LiveRestoreEnabled: on } = (await docker.info()) as { LiveRestoreEnabled: boolean };
    if (!on) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('dockerd did not switch live restore off; its containers may go on running');
}

/**
 * The containerd of a killed dockerd dies with it, but a moment later, and may stay a zombie for another; a new dockerd that finds
 * its pid in the file waits for it in vain, for 15 s. So it is ended, and the file removed.
 */
async function endContainerd(directory: string): Promise<void> {
  const file = join(directory, 'containerd.pid');
  const pid = existsSync(file) ? Number.parseInt(readFileSync(file, 'utf8'), 10) : 0;
  const identity = pid > 0 ? identify(pid) : null;
  if (identity && commandLine(pid).some((argument) => argument.startsWith(directory))) {
    if (!(await waitForExit(identity, 1_000))) signalProcess(identity, 'SIGTERM');
    if (!(await waitForExit(identity, 5_000))) signalProcess(identity, 'SIGKILL');
  }
  rmSync(file, { force: true });
}

/** A dockerd refuses to start when the pid in its file runs, whoever that is by now. */
function removeStalePidFile(file: string): void {
  if (!existsSync(file)) return;
  const pid = Number.parseInt(readFileSync(file, 'utf8'), 10);
  if (!(pid > 0) || !commandLine(pid).includes(file)) rmSync(file, { force: true });
}

/** Interfaces of the engine's networks. A dockerd that ends leaves them on the host; one that starts makes what is missing. */
async function bridgesOf(docker: Docker): Promise<string[]> {
  const networks = await docker.listNetworks({ filters: { driver: ['bridge'] } });
  return networks.map(({ Id, Options }) => Options?.['com.docker.network.bridge.name'] ?? `br-${Id.slice(0, 12)}`);
}

/** Of disposable engines nothing stays. */
async function removeEverything(run: string): Promise<void> {
  const docker = clientOf(run);
  const containers = await docker.listContainers({ all: true });
  await Promise.allSettled(containers.map(({ Id }) => docker.getContainer(Id).remove({ force: true, v: true })));
  const networks = (await docker.listNetworks()).filter(({ Name }) => !['none', 'host', 'bridge'].includes(Name));
  await Promise.allSettled(networks.map(({ Id }) => docker.getNetwork(Id).remove()));
}

/** What an ended dockerd leaves: mounts (its data, network namespaces) and sockets; for test servers the data goes too. */
function cleanUp(run: string, directory: string, disposable: boolean): void {
  unmountBelow(run);
  unmountBelow(directory);
  rmSync(run, { recursive: true, force: true });
  if (disposable) rmSync(directory, { recursive: true, force: true });
}

/** Nothing that runs may use what is mounted there. */
export function unmountBelow(directory: string): void {
  if (!existsSync('/proc/self/mounts')) return;
  const points = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((point) => point.startsWith(`${directory}/`))
    .reverse();
  if (points.length > 0) spawnSync('umount', ['--lazy', ...points]);
}

// 4. The processes that hold the containers of our own dockerd: containerd's shims, which outlive it. A dockerd that was
// killed while it started a container does not know that container's shim any more. Its program runs on unseen, with an
// address that the decky has elsewhere by then, and no container of that id can be started again.

interface Shim extends ProcessIdentity {
  /** Id of its container. */
  readonly container: string;
}

/** Those whose command line names a containerd below this exec root. */
function shimsOf(execRoot: string): Shim[] {
  return processes().flatMap((pid) => {
    const [program = '', ...args] = commandLine(pid);
    if (!basename(program).startsWith('containerd-shim')) return [];
    const valueAfter = (option: string): string => args[args.indexOf(option) + 1] ?? '';
    const identity = identify(pid);
    if (!identity || !args.includes('-address') || !valueAfter('-address').startsWith(`${execRoot}/`)) return [];
    return [{ ...identity, container: args.includes('-id') ? valueAfter('-id') : '' }];
  });
}

/** As the engine wrote it down before it ended. */
function wasRunning(dataRoot: string, container: string): boolean {
  try {
    const file = join(dataRoot, 'containers', container, 'config.v2.json');
    const { State } = JSON.parse(readFileSync(file, 'utf8')) as { State?: { Running?: unknown } };
    return State?.Running === true;
  } catch {
    return false;
  }
}

/** To be called while the engine is away. Ends what it will not know when it comes back; returns how many. */
export function endStrayShims(execRoot: string, dataRoot: string): number {
  return end(shimsOf(execRoot).filter(({ container }) => !wasRunning(dataRoot, container)));
}

/** To be called when the engine has ended for good. */
export const endShims = (execRoot: string): number => end(shimsOf(execRoot));

function end(shims: readonly Shim[]): number {
  const table = processes();
  for (const shim of shims) {
    // The first process of a container: its others end with it.
    for (const pid of table.filter((one) => parentOf(one) === shim.pid)) {
      const identity = identify(pid);
      if (identity) signalOne(identity, 'SIGKILL');
    }
    signalOne(shim, 'SIGKILL');
  }
  return shims.length;
}

function processes(): number[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}
