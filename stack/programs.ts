/** The API and the worker as processes of the stack: configured by their environment alone. */
import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { LIMITS } from '../fleet/limits.ts';
import { bridgePool } from './bridge-pool.ts';
import type { ProcessSpec, StackContext } from './context.ts';
import { LOOPBACK } from './ports.ts';
import { ROOT } from './root.ts';
import type { Secrets } from './secrets.ts';
import type { Servers } from './servers.ts';

const START_TIMEOUT_MS = 120_000;

export interface Programs {
  readonly apiUrl: string;
  readonly specs: readonly ProcessSpec[];
}

/** Ours first, then what the user set, which wins; addresses come last, since they are the user's already where there are any. */
function environmentFor(context: StackContext, servers: Servers, secrets: Secrets, apiPort: number) {
  const { home, environment } = context;
  const pool = bridgePool(home);
  const defaults = {
    DECKHAND_NETWORK: 'bridge',
    ...(pool ? { DECKHAND_BRIDGE_POOL: pool } : {}),
    DECKHAND_DEPLOYMENT_LIMIT: String(LIMITS.deploymentLimitEmbedded),
    DECKHAND_ADMIN_MUST_CHANGE_PASSWORD: 'false',
    DECKHAND_INSTANCE: home.instance,
  };
  const users = Object.entries(environment).filter(([name, value]) => name in defaults && value);
  return {
    ...defaults,
    ...Object.fromEntries(users.map(([name, value]) => [name, value ?? ''])),
    DECKHAND_HOME: home.directory,
    DECKHAND_API_PORT: String(apiPort),
    DECKHAND_ADMIN_USER: secrets.adminUser,
    DECKHAND_ADMIN_PASSWORD: secrets.adminPassword,
    DECKHAND_JWT_SECRET: secrets.jwtSecret,
    DECKHAND_ENGINE: servers.docker.host ? 'docker' : 'simulated',
    ...(servers.docker.host ? { DOCKER_HOST: servers.docker.host } : {}),
    DATABASE_URL: servers.databaseUrl,
    NATS_URL: servers.natsUrl,
    TEMPORAL_ADDRESS: servers.temporal.address,
    TEMPORAL_NAMESPACE: servers.temporal.namespace,
  };
}

export async function describePrograms(context: StackContext, servers: Servers, secrets: Secrets): Promise<Programs> {
  const given = Number(context.environment.DECKHAND_API_PORT);
  const port = given > 0 ? given : await context.ports.choose('api', false);
  const apiUrl = `http://${LOOPBACK}:${port}`;
  const env = environmentFor(context, servers, secrets, port);
  const program = (
    name: string,
  ): Pick<ProcessSpec, 'name' | 'command' | 'args' | 'env' | 'adoptable' | 'startTimeoutMs'> => ({
    name,
    command: process.execPath,
    args: ['--import', import.meta.resolve('tsx'), join(ROOT, name, 'main.ts')],
    env,
    adoptable: false,
    startTimeoutMs: START_TIMEOUT_MS,
  });
  const api: ProcessSpec = { ...program('api'), ready: () => isReady(apiUrl) };
  const worker: ProcessSpec = {
    ...program('worker'),
    // It drains: activities get the time that Temporal gives them.
    stopTimeoutMs: 30_000,
    ...readyByLog(context.home.logFile('worker'), context.environment.DECKHAND_LOG_LEVEL),
  };
  return { apiUrl, specs: [api, worker] };
}

export async function isReady(apiUrl: string): Promise<boolean> {
  const answer = await fetch(`${apiUrl}/readyz`, { signal: AbortSignal.timeout(3_000) });
  await answer.body?.cancel();
  return answer.status === 200;
}

/** The worker says "worker ready" in its log; only what was written since its start counts. */
function readyByLog(file: string, level: string | undefined): Pick<ProcessSpec, 'prepare' | 'ready'> {
  const says = level === undefined || ['trace', 'debug', 'info'].includes(level);
  let offset = 0;
  return {
    prepare: () => {
      offset = existsSync(file) ? statSync(file).size : 0;
    },
    ready: () => Promise.resolve(!says || readFrom(file, offset).includes('"msg":"worker ready"')),
  };
}

/** From the beginning where the log was put aside meanwhile and a new one is shorter. */
function readFrom(file: string, offset: number): string {
  const { size } = statSync(file);
  const from = size < offset ? 0 : offset;
  const bytes = Buffer.alloc(size - from);
  const handle = openSync(file, 'r');
  try {
    readSync(handle, bytes, 0, bytes.length, from);
  } finally {
    closeSync(handle);
  }
  return bytes.toString('utf8');
}
