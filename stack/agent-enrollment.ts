/** How the stack enrols an agent: it asks the master for a token as an operator would, and has the agent join with it. */
import { spawn } from 'node:child_process';
import { z } from 'zod';
import { LOGIN_KEY_HEADER, loginKeyOf } from '../adapters/login-key.ts';
import type { StackHome } from './home.ts';
import { programArguments } from './root.ts';
import type { Secrets } from './secrets.ts';
import { MARK, markOf } from './supervised-process.ts';

const REQUEST_LIMIT_MS = 30_000;
const JOIN_LIMIT_MS = 60_000;

export interface MasterAccess {
  readonly apiUrl: string;
  readonly swarmUrl: string;
  readonly secrets: Pick<Secrets, 'adminUser' | 'adminPassword' | 'jwtSecret'>;
}

const tokenSchema = z.object({ access_token: z.string() });
const hostsSchema = z.array(z.object({ uuid: z.string(), name: z.string(), status: z.string() }));
const enrollmentSchema = z.object({ host_uuid: z.string(), token: z.string(), ca_fingerprint: z.string() });
const refusalSchema = z.object({ detail: z.string() });

export type HostEntry = z.infer<typeof hostsSchema>[number];
export type EnrollmentTicket = z.infer<typeof enrollmentSchema>;

export interface NewAgent {
  readonly name: string;
  readonly address: string;
  readonly agent_port: number;
  readonly sans: readonly string[];
}

type Ask = <T>(method: string, path: string, answer: z.ZodType<T>, body?: unknown) => Promise<T>;

export interface OpenMaster {
  /** The master probes each as it answers. */
  hosts(): Promise<HostEntry[]>;
  enroll(agent: NewAgent): Promise<EnrollmentTicket>;
  remove(uuid: string): Promise<void>;
}

/** Logs in with the stack's own administrator. Rejects with the master's sentence. */
export async function openMaster({ apiUrl, secrets }: MasterAccess): Promise<OpenMaster> {
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

export interface Joining {
  readonly home: StackHome;
  readonly name: string;
  readonly directory: string;
  readonly port: number;
  readonly swarmUrl: string;
  readonly enrollment: EnrollmentTicket;
}

/** Runs `agent join` to its end, in a process with the stack's mark, so that a kill of the stack leaves no stranger. */
export async function enrollAgent({ home, name, directory, port, swarmUrl, enrollment }: Joining): Promise<void> {
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
