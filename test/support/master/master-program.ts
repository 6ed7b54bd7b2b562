/** The API program on a world's parts, with both listeners, as a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { programArguments } from '../../../stack/root.ts';
import { freePort } from '../servers/free-port.ts';
import { testServers } from '../stack/stack.ts';
import type { World } from '../temporal/workflow-fixture.ts';

const PASSWORD = 'a password for tests';

export interface MasterProgram {
  readonly apiUrl: string;
  readonly swarmPort: number;
  /** An admin's access token. */
  readonly token: string;
  /** A request to the operators' API, or, with `swarm`, to the swarm controller, as the admin. */
  ask(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }>;
  askSwarm(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }>;
  output(): string;
  kill(signal: NodeJS.Signals): Promise<void>;
}

export async function startMaster(world: World, variables: NodeJS.ProcessEnv = {}): Promise<MasterProgram> {
  const [apiPort, swarmPort] = [await freePort(), await freePort()];
  const child: ChildProcess = spawn(process.execPath, programArguments('api'), {
    env: {
      ...world.environment,
      TEMPORAL_ADDRESS: testServers.temporalAddress,
      DECKHAND_API_PORT: String(apiPort),
      DECKHAND_SWARM_PORT: String(swarmPort),
      DECKHAND_ADMIN_PASSWORD: PASSWORD,
      DECKHAND_ADMIN_MUST_CHANGE_PASSWORD: 'false',
      DECKHAND_NETWORK: 'bridge',
      DECKHAND_BRIDGE_POOL: world.pool,
      ...variables,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const apiUrl = `http://127.0.0.1:${apiPort}`;
  const json = { 'content-type': 'application/json' };
  await until(
    `${apiUrl}/readyz`,
    child,
    () => text,
    async () => (await fetch(`${apiUrl}/readyz`)).status === 200,
  );
  const login = await fetch(`${apiUrl}/api/v1/auth/login`, {
    method: 'POST',
    headers: json,
    body: JSON.stringify({ username: 'admin', password: variables.DECKHAND_ADMIN_PASSWORD ?? PASSWORD }),
  });
  const { access_token: token } = (await login.json()) as { access_token: string };
  const headers = { ...json, authorization: `Bearer ${token}` };
  return {
    apiUrl,
    swarmPort,
    token,
    ask: async (method, path, body) => {
      const answer = await fetch(`${apiUrl}${path}`, {
        method,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const said = await answer.text();
      return { status: answer.status, body: said === '' ? null : JSON.parse(said) };
    },
    askSwarm: (method, path, body) =>
      overTls({ port: swarmPort, method, path, headers, ca: readFileSync(join(world.config.caDir, 'ca.crt')) }, body),
    output: () => text,
    kill: async (signal) => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, 'exit');
      child.kill(signal);
      await exit;
    },
  };
}

async function until(
  what: string,
  child: ChildProcess,
  output: () => string,
  holds: () => Promise<boolean>,
): Promise<void> {
  for (const end = Date.now() + 60_000; Date.now() < end; await pause(100)) {
    if (await holds().catch(() => false)) return;
    if (child.exitCode !== null) break;
  }
  throw new Error(`${what} did not come up:\n${output().slice(-2_000)}`);
}

function overTls(
  options: { port: number; method: string; path: string; headers: Record<string, string>; ca: Buffer },
  body: unknown,
): Promise<{ status: number; body: unknown }> {
  return new Promise((resolve, reject) => {
    const asked = request({ ...options, host: '127.0.0.1', agent: false }, async (response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk as Buffer);
      const said = Buffer.concat(chunks).toString('utf8');
      resolve({ status: response.statusCode ?? 0, body: said === '' ? null : JSON.parse(said) });
    });
    asked.on('error', reject);
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
