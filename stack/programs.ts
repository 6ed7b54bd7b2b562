/** The API and the worker as processes of the stack: configured by their environment alone. */
import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import { DEFAULT_TASK_QUEUE } from '../fleet/housekeeping.ts';
import { LIMITS } from '../fleet/limits.ts';
import { bridgePool, LOOPBACK } from './claims.ts';
import { NotReady, type ProcessSpec, type StackContext } from './context.ts';
import type { Secrets } from './home.ts';
import { type ProgramName, programArguments } from './root.ts';
import type { Servers } from './servers.ts';

const START_TIMEOUT_MS = 120_000;

export interface Programs {
  readonly apiUrl: string;
  /** Of the swarm controller: `https://…`, for agents. */
  readonly swarmUrl: string;
  readonly caDir: string;
  readonly api: ProcessSpec;
  readonly worker: ProcessSpec;
}

interface Addresses {
  readonly apiPort: number;
  readonly swarmPort: number;
}

/** Ours first, then what the user set, which wins; addresses come last, since they are the user's already where there are any. */
function environmentFor(context: StackContext, servers: Servers, secrets: Secrets, ports: Addresses) {
  const { home, environment } = context;
  const pool = bridgePool(home);
  const defaults = {
    DECKHAND_NETWORK: 'bridge',
    ...(pool ? { DECKHAND_BRIDGE_POOL: pool } : {}),
    DECKHAND_DEPLOYMENT_LIMIT: String(LIMITS.deploymentLimitEmbedded),
    DECKHAND_ADMIN_MUST_CHANGE_PASSWORD: 'false',
    DECKHAND_INSTANCE: home.instance,
    DECKHAND_CA_DIR: home.path('ca'),
    DECKHAND_SWARM_HOST: LOOPBACK,
    // A worker that another stack left behind on the same Temporal must never get our tasks.
    DECKHAND_TASK_QUEUE: `${DEFAULT_TASK_QUEUE}-${home.instance}`,
  };
  const users = Object.entries(environment).filter(([name, value]) => name in defaults && value);
  return {
    ...defaults,
    ...Object.fromEntries(users.map(([name, value]) => [name, value ?? ''])),
    DECKHAND_HOME: home.directory,
    DECKHAND_API_PORT: String(ports.apiPort),
    DECKHAND_SWARM_PORT: String(ports.swarmPort),
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
  const { environment, home } = context;
  const port = async (name: 'api' | 'swarm', variable: string): Promise<number> =>
    Number(environment[variable]) > 0 ? Number(environment[variable]) : await context.ports.choose(name, false);
  const ports = {
    apiPort: await port('api', 'DECKHAND_API_PORT'),
    swarmPort: await port('swarm', 'DECKHAND_SWARM_PORT'),
  };
  const apiUrl = `http://${LOOPBACK}:${ports.apiPort}`;
  const env = environmentFor(context, servers, secrets, ports);
  const api: ProcessSpec = { ...nodeProgram('api', env), ready: () => isReady(apiUrl) };
  const worker: ProcessSpec = {
    ...nodeProgram('worker', env),
    // It drains: activities get the time that Temporal gives them.
    stopTimeoutMs: 30_000,
    ...readyByLog(home.logFile('worker'), '"msg":"worker ready"', environment.DECKHAND_LOG_LEVEL),
  };
  return { apiUrl, swarmUrl: `https://${LOOPBACK}:${ports.swarmPort}`, caDir: env.DECKHAND_CA_DIR, api, worker };
}

/** A program of ours in a process of its own; `name` where several run of it. */
export const nodeProgram = (program: ProgramName, env: Readonly<Record<string, string>>, name: string = program) => ({
  name,
  command: process.execPath,
  args: programArguments(program),
  env,
  adoptable: false,
  startTimeoutMs: START_TIMEOUT_MS,
});

/** Throws NotReady with what the API says that it misses. */
export async function isReady(apiUrl: string): Promise<boolean> {
  const answer = await fetch(`${apiUrl}/readyz`, { signal: AbortSignal.timeout(3_000) });
  if (answer.status === 200) {
    await answer.body?.cancel();
    return true;
  }
  const body = (await answer.json().catch(() => null)) as { checks?: Readonly<Record<string, string>> } | null;
  const missing = Object.entries(body?.checks ?? {}).filter(([, says]) => says !== 'ok');
  throw new NotReady(
    missing.length === 0
      ? `${apiUrl}/readyz answers ${answer.status}`
      : missing.map(([name, says]) => `${name}: ${says}`).join(' '),
  );
}

/** A program that says so in its log when it is ready; only what was written since its start counts. */
export function readyByLog(
  file: string,
  words: string,
  level: string | undefined,
): Pick<ProcessSpec, 'prepare' | 'ready'> {
  const says = level === undefined || ['trace', 'debug', 'info'].includes(level);
  let offset = 0;
  return {
    prepare: () => {
      offset = existsSync(file) ? statSync(file).size : 0;
    },
    ready: () => Promise.resolve(!says || readFrom(file, offset).includes(words)),
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
