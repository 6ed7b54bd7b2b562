/** Agents on this machine: enrolled over the path that every host takes, then run as processes of the stack. */

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { writeJson } from '../lib/files.ts';
import { LOGIN_KEY_HEADER, loginKeyOf } from '../lib/login-key.ts';
import { agentName, agentNet, LOOPBACK } from './claims.ts';
import type { ProcessSpec, StackContext } from './context.ts';
import type { Secrets, StackHome } from './home.ts';
import { nodeProgram, readyByLog } from './programs.ts';
import { programArguments } from './root.ts';
import type { Servers } from './servers.ts';
import { MARK, markOf } from './supervised-process.ts';

/** Programs that start at the same moment; more only keep each other waiting. */
const AT_ONCE = 4;
const MEET_LIMIT_MS = 30_000;
const MEET_POLL_MS = 250;

interface AgentsOptions {
  /** How many there shall be at least; of the others only those are started that are still enrolled. */
  readonly count: number;
  readonly context: StackContext;
  readonly servers: Servers;
  readonly master: MasterAccess;
}

const directoryOf = (home: StackHome, number: number): string => home.path('agents', String(number));
const factsFile = (directory: string): string => join(directory, 'agent.json');

/** What the stack reads of `agent.json`; the rest is kept as it is. */
const factsSchema = z.looseObject({ host_uuid: z.string(), master_url: z.string(), agent_port: z.number().int() });

/** 1 … `count`, and those that earlier starts enrolled: their deckies may still run. */
export function agentNumbers(home: StackHome, count: number): number[] {
  const parent = home.path('agents');
  const known = existsSync(parent) ? readdirSync(parent).filter((name) => /^[1-9]\d{0,2}$/.test(name)) : [];
  const enrolled = known.map(Number).filter((number) => existsSync(factsFile(directoryOf(home, number))));
  const wanted = Array.from({ length: count }, (_, index) => index + 1);
  return [...new Set([...wanted, ...enrolled])].sort((a, b) => a - b);
}

/** A few at a time, in order. */
export async function inGroups<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += AT_ONCE)
    results.push(...(await Promise.all(items.slice(at, at + AT_ONCE).map(work))));
  return results;
}

export interface Agents {
  readonly specs: readonly ProcessSpec[];
  /** Resolves once the master knows of each that it is there; called when they run. */
  met(): Promise<void>;
}

/** Enrols those that are not; the API runs already. Rejects with what the master, or the agent, said. */
export async function provideAgents(options: AgentsOptions, numbers: readonly number[]): Promise<Agents> {
  const { context } = options;
  const factsOf = (number: number) => readFacts(directoryOf(context.home, number));
  const specOf = (number: number, port: number) => agentProcess(options, number, port);
  const master = await openMaster(options.master).catch((error: Error) => {
    if (numbers.some((number) => factsOf(number) === null)) throw error;
    // The administrator's password was changed: those that are enrolled need no one to log in.
    context.sayFor('agents')(`started as they were enrolled; the master could not be asked (${error.message})`);
    return null;
  });
  if (master === null) {
    const specs = numbers.map((number) => specOf(number, factsOf(number)?.agent_port ?? 0));
    return { specs, met: () => Promise.resolve() };
  }
  const hosts = await master.hosts();
  const planned: { number: number; port: number }[] = [];
  for (const number of numbers) {
    const stays = number <= options.count || isEnrolled(directoryOf(context.home, number), hosts);
    const port = async () => factsOf(number)?.agent_port ?? (await context.ports.choose(agentName(number), false));
    if (stays) planned.push({ number, port: await port() });
    else rmSync(directoryOf(context.home, number), { recursive: true, force: true });
  }
  await inGroups(planned, ({ number, port }) => ensureEnrolled(options, master, hosts, number, port));
  return {
    specs: planned.map(({ number, port }) => specOf(number, port)),
    met: () =>
      untilMet(
        master,
        planned.map(({ number }) => agentName(number)),
      ),
  };
}

/** Asking makes the master ask each agent. An earlier deploy would find hosts of the last start unreachable and skip them. */
async function untilMet(master: OpenMaster, names: readonly string[]): Promise<void> {
  for (const until = Date.now() + MEET_LIMIT_MS; ; await sleep(MEET_POLL_MS)) {
    const hosts = await master.hosts();
    const missing = names.filter((name) => !hosts.some((host) => host.name === name && host.status === 'active'));
    if (missing.length === 0) return;
    if (Date.now() > until) throw new Error(`The master does not reach ${missing.join(', ')}, though they run.`);
  }
}

function readFacts(directory: string): z.infer<typeof factsSchema> | null {
  const file = factsFile(directory);
  if (!existsSync(file)) return null;
  try {
    return factsSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return null;
  }
}

const isEnrolled = (directory: string, hosts: readonly HostEntry[]): boolean => {
  const facts = readFacts(directory);
  return facts !== null && hosts.some(({ uuid }) => uuid === facts.host_uuid);
};

async function ensureEnrolled(
  { context, master: { swarmUrl } }: AgentsOptions,
  master: OpenMaster,
  hosts: readonly HostEntry[],
  number: number,
  port: number,
): Promise<void> {
  const directory = directoryOf(context.home, number);
  const facts = readFacts(directory);
  if (facts && isEnrolled(directory, hosts)) {
    // The swarm controller may have another port than at the last start.
    if (facts.master_url !== swarmUrl) writeJson(factsFile(directory), { ...facts, master_url: swarmUrl });
    return;
  }
  const name = agentName(number);
  // Its identity is worth nothing: the host was removed, or the master's database was lost.
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  // A start that was killed between the enrolment and the writing of its files left the name taken.
  const leftover = hosts.find((host) => host.name === name);
  if (leftover) await master.remove(leftover.uuid);
  const enrollment = await master.enroll({ name, address: LOOPBACK, agent_port: port, sans: ['localhost'] });
  await enrollAgent({ home: context.home, name, directory, port, swarmUrl, enrollment });
  context.sayFor(name)(`enrolled as host ${enrollment.host_uuid}`);
}

function agentProcess({ context, servers }: AgentsOptions, number: number, port: number): ProcessSpec {
  const { home, environment } = context;
  const name = agentName(number);
  const project = environment.DECKHAND_PROJECT || 'decnet';
  const env = {
    DECKHAND_AGENT_DIR: directoryOf(home, number),
    DECKHAND_AGENT_HOST: LOOPBACK,
    DECKHAND_AGENT_PORT: String(port),
    DECKHAND_AGENT_NET: agentNet(home, number, environment.DECKHAND_AGENT_NET || undefined),
    DECKHAND_AGENT_NETWORK_NAME: `${project}_lan_${number}`,
    DECKHAND_PROJECT: `${project}-agent-${number}`,
    // The stack's own, so that one purge removes what all agents made.
    DECKHAND_INSTANCE: environment.DECKHAND_INSTANCE || home.instance,
    DECKHAND_NETWORK: 'bridge',
    DECKHAND_ENGINE: servers.docker.host ? 'docker' : 'simulated',
    // One port can't be everybody's.
    DECKHAND_METRICS_PORT: '0',
    ...(servers.docker.host ? { DOCKER_HOST: servers.docker.host } : {}),
  };
  return {
    ...nodeProgram('agent', env, name),
    stopTimeoutMs: 30_000,
    // As after `host remove --self-destruct`.
    mayEnd: true,
    ...readyByLog(home.logFile(name), '"msg":"agent ready"', environment.DECKHAND_LOG_LEVEL),
  };
}

// Enrolling: the stack asks the master for a token as an operator would, and has the agent join with it

const REQUEST_LIMIT_MS = 30_000;
const JOIN_LIMIT_MS = 60_000;

interface MasterAccess {
  readonly apiUrl: string;
  readonly swarmUrl: string;
  readonly secrets: Pick<Secrets, 'adminUser' | 'adminPassword' | 'jwtSecret'>;
}

const tokenSchema = z.object({ access_token: z.string() });
const hostsSchema = z.array(z.object({ uuid: z.string(), name: z.string(), status: z.string() }));
const enrollmentSchema = z.object({ host_uuid: z.string(), token: z.string(), ca_fingerprint: z.string() });
const refusalSchema = z.object({ detail: z.string() });

type HostEntry = z.infer<typeof hostsSchema>[number];
type EnrollmentTicket = z.infer<typeof enrollmentSchema>;

interface NewAgent {
  readonly name: string;
  readonly address: string;
  readonly agent_port: number;
  readonly sans: readonly string[];
}

type Ask = <T>(method: string, path: string, answer: z.ZodType<T>, body?: unknown) => Promise<T>;

interface OpenMaster {
  /** The master probes each as it answers. */
  hosts(): Promise<HostEntry[]>;
  enroll(agent: NewAgent): Promise<EnrollmentTicket>;
  remove(uuid: string): Promise<void>;
}

/** Logs in with the stack's own administrator. Rejects with the master's sentence. */
async function openMaster({ apiUrl, secrets }: MasterAccess): Promise<OpenMaster> {
  const credentials = { username: secrets.adminUser, password: secrets.adminPassword };
  const key = { [LOGIN_KEY_HEADER]: loginKeyOf(secrets.jwtSecret) };
  const { access_token } = await askWith(apiUrl, key)('POST', '/auth/login', tokenSchema, credentials);
  const ask = askWith(apiUrl, { authorization: `Bearer ${access_token}` });
  return {
    hosts: () => ask('GET', '/swarm/hosts', hostsSchema),
    enroll: (agent) => ask('POST', '/swarm/enrollments', enrollmentSchema, agent),
    remove: async (uuid) => {
      await ask('DELETE', `/swarm/hosts/${uuid}`, z.unknown());
    },
  };
}

function askWith(apiUrl: string, own: Readonly<Record<string, string>>): Ask {
  return async (method, path, schema, body) => {
    const response = await fetch(`${apiUrl}/api/v1${path}`, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...own,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(REQUEST_LIMIT_MS),
    });
    const text = await response.text();
    const json: unknown = text === '' ? null : JSON.parse(text);
    if (response.ok) return schema.parse(json);
    const detail = refusalSchema.safeParse(json).data?.detail ?? `status ${response.status}`;
    throw new Error(`${method} /api/v1${path} was answered with “${detail}”`);
  };
}

interface Joining {
  readonly home: StackHome;
  readonly name: string;
  readonly directory: string;
  readonly port: number;
  readonly swarmUrl: string;
  readonly enrollment: EnrollmentTicket;
}

/** Runs `agent join` to its end, in a process with the stack's mark, so that a kill of the stack leaves no stranger. */
async function enrollAgent({ home, name, directory, port, swarmUrl, enrollment }: Joining): Promise<void> {
  const command = process.execPath;
  const { token, ca_fingerprint } = enrollment;
  const flags = ['--token', token, '--ca-fingerprint', ca_fingerprint, '--dir', directory, '--port', String(port)];
  const child = spawn(command, programArguments('agent', 'join', swarmUrl, ...flags), {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: JOIN_LIMIT_MS,
    killSignal: 'SIGKILL',
    env: { ...process.env, [MARK]: markOf(home.instance, { name, command }) },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  const how = await new Promise<string | null>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) =>
      resolve(code === 0 ? null : signal ? `killed by ${signal}` : `ended with ${code}`),
    );
  });
  if (how !== null) throw new Error(`${name} could not join: ${how}\n${output.trim().slice(-2_000)}`);
}
