/** `deckhand doctor`: what is there, what is missing, and what to do. Changes nothing. */
import { spawnSync } from 'node:child_process';
import { existsSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { lockHolder } from '../lib/file-lock.ts';
import { findOnPath } from './binaries.ts';
import { NotReady } from './context.ts';
import { diagnoseDocker, diagnoseNats, diagnosePostgres, diagnoseTemporal } from './doctor-servers.ts';
import { type Finding, missing, ok, warn } from './finding.ts';
import { homeDirectory } from './home.ts';
import { DEFAULT_PORTS, isPortFree } from './ports.ts';
import { isReady } from './programs.ts';
import { readStackFile, type StackFile } from './stack-file.ts';
import { lockFilePath } from './supervisor.ts';

export type { Finding } from './finding.ts';

const NEEDED_NODE = [20, 19] as const;
/** The servers' binaries, images of decoys and some history. */
const NEEDED_BYTES = 3 * 1024 ** 3;

function diagnoseNode(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const good = major > NEEDED_NODE[0] || (major === NEEDED_NODE[0] && minor >= NEEDED_NODE[1]);
  return good
    ? ok('Node', process.versions.node)
    : missing('Node', process.versions.node, `Install Node ${NEEDED_NODE.join('.')} or later.`);
}

async function diagnosePorts(running: boolean): Promise<Finding> {
  if (running) return ok('ports', 'held by the running stack');
  const entries = Object.entries(DEFAULT_PORTS);
  const free = await Promise.all(entries.map(([, port]) => isPortFree(port)));
  const taken = entries.filter((_, index) => !free[index]).map(([name, port]) => `${name} ${port}`);
  return taken.length === 0
    ? ok('ports', entries.map(([, port]) => port).join(', '))
    : warn(
        'ports',
        `taken: ${taken.join(', ')}`,
        'Nothing has to be done: the stack takes a free one instead, and stack.json says which.',
      );
}

/** Tried in a network namespace that ends with the command, so that no interface of the machine is touched. */
function canMake(link: string): boolean {
  const script = `ip link add v0 type veth peer name v1 && ip link add ${link}`;
  return spawnSync('unshare', ['--net', 'sh', '-c', script], { stdio: 'ignore', timeout: 5_000 }).status === 0;
}

function diagnoseNetworks(): Finding {
  const part = 'networks';
  if (process.platform !== 'linux')
    return warn(part, 'not Linux', 'Deckies get addresses inside Docker’s own machine only.');
  if (process.getuid?.() !== 0 || !findOnPath('unshare', ['/usr/bin']) || !findOnPath('ip', ['/usr/sbin', '/sbin']))
    return warn(part, 'not tried', 'Trying macvlan, ipvlan and bridge needs root, `unshare` and `ip`.');
  const kinds = {
    macvlan: 'link v0 name w0 type macvlan',
    ipvlan: 'link v0 name w0 type ipvlan',
    bridge: 'w0 type bridge',
  };
  const able = Object.entries(kinds).filter(([, link]) => canMake(link));
  const names = able.map(([name]) => name);
  const lacking = Object.keys(kinds).filter((name) => !names.includes(name));
  const found = names.length > 0 ? names.join(', ') : 'none';
  if (lacking.length === 0) return ok(part, found);
  const advice = `The kernel can’t make ${lacking.join(' and ')}. DECKHAND_NETWORK=bridge, as in the embedded stack, is reachable from this host only.`;
  return names.includes('bridge')
    ? warn(part, `${found}; not ${lacking.join(', ')}`, advice)
    : missing(part, found, advice);
}

function diagnoseDisk(home: string): Finding {
  const place = existsSync(home) ? home : dirname(home);
  const { bavail, bsize } = statfsSync(existsSync(place) ? place : '/');
  const free = bavail * bsize;
  const found = `${(free / 1024 ** 3).toFixed(1)} GiB free for ${home}`;
  return free >= NEEDED_BYTES ? ok('disk', found) : warn('disk', found, 'Make room: 3 GiB are needed with comfort.');
}

async function diagnoseStack(home: string, pid: number | null, file: StackFile | null): Promise<Finding> {
  if (pid === null) return warn('stack', `does not run in ${home}`, '`npm start` brings it up.');
  if (!file) return warn('stack', `pid ${pid} is bringing it up`, 'Wait until it prints its URLs.');
  try {
    await isReady(file.api_url);
    return ok('stack', `pid ${pid}, ${file.api_url}`);
  } catch (error) {
    const says = error instanceof NotReady ? error.message : `${file.api_url}/readyz does not answer`;
    return missing('stack', `pid ${pid}, but it is not ready: ${says}`, `The logs are in ${home}/logs.`);
  }
}

/** In the order in which things are needed. Never throws for what is missing. */
export async function diagnose(environment: NodeJS.ProcessEnv = process.env): Promise<Finding[]> {
  const home = homeDirectory(environment);
  const holder = lockHolder(lockFilePath(home));
  const file = holder ? readStackFile(home) : null;
  const [temporal, database, nats, docker, ports, stack] = await Promise.all([
    diagnoseTemporal(environment, file && { address: file.temporal_address, namespace: file.temporal_namespace }),
    diagnosePostgres(environment),
    diagnoseNats(environment, file?.nats_url),
    diagnoseDocker(environment),
    diagnosePorts(holder !== null),
    diagnoseStack(home, holder?.pid ?? null, file),
  ]);
  return [diagnoseNode(), ...temporal, database, nats, docker, diagnoseNetworks(), ports, diagnoseDisk(home), stack];
}
