/** A dockerd of our own, beside whatever else runs on the machine: own data, exec root, socket and pid file, no bridge, no firewall rules. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { writeJson } from '../lib/files.ts';
import { commandLine, identify, signalProcess, waitForExit } from '../lib/process-table.ts';
import type { Provided, StackContext } from './context.ts';
import { dockerAnswers } from './docker-ping.ts';
import { ownDirectory } from './own-directory.ts';
import { endShims, endStrayShims } from './shims.ts';

/** `host` is null when there is no engine: deckies are simulated then, and `reason` says why. */
export interface DockerEngine {
  readonly host: string | null;
  readonly reason: string | null;
}

/** Longest directory for exec root and socket: containerd’s own socket below it must stay under the 107 characters of a socket’s path. */
const RUN_DIRECTORY_LIMIT = 70;

/** `<home>/docker/run`, or a short path keyed by the instance. */
export function runDirectory(homePath: string, instance: string): string {
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

export function privateDockerd(context: StackContext, dockerd: string): Provided<DockerEngine> {
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
