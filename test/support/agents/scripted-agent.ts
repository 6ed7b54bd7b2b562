/**
 * An agent that does what a test says: real TLS with a certificate of the world's CA, no containers. Its reports go to the
 * workflow as the heartbeat endpoint sends them; the endpoint itself has tests of its own.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { openAuthority } from '../../../adapters/pki/authority.ts';
import { createHostStore } from '../../../adapters/postgres/hosts.ts';
import {
  type AgentDecky,
  type AgentDeployBody,
  type AgentMutateBody,
  type AgentStatus,
  type AgentTeardownBody,
  type DeckyReport,
  type Fence,
  HEARTBEAT_SIGNAL,
} from '../../../fleet/agent-wire.ts';
import type { DeckyState } from '../../../fleet/lifecycle.ts';
import type { World } from '../temporal/workflow-fixture.ts';

export interface ScriptedAgent {
  readonly hostUuid: string;
  readonly name: string;
  /** Orders as they came, teardowns as `{decky_id}`. */
  readonly orders: AgentDeployBody[];
  readonly teardowns: (string | null)[];
  readonly mutations: AgentMutateBody[];
  /** What `/status` answers; null: 500. */
  status: AgentStatus | null;
  /** Says why a deploy is refused (409); null: it is taken. */
  refuses: (body: AgentDeployBody) => string | null;
  /** Answers with these codes instead, by path. */
  readonly failing: Map<string, number>;
  /** Answers every request in its own way instead. */
  strange: ((response: ServerResponse) => void) | null;
  /** Paths of the requests that came. */
  readonly asked: string[];
  /** Called with every order, after the 202. */
  onDeploy: (body: AgentDeployBody) => void | Promise<void>;
  onMutate: (body: AgentMutateBody) => void | Promise<void>;
  /** Called with every teardown, before its answer. */
  onTeardown: (deckyId: string | null, body: AgentTeardownBody) => void | Promise<void>;
  /** Reports on the deckies of the last order, as of its fence. */
  report(status: DeckyReport['status'], names?: readonly string[], more?: Partial<Report>): Promise<void>;
  /** Stops listening; `listen` starts again on the same port. */
  silence(): Promise<void>;
  listen(): Promise<void>;
  close(): Promise<void>;
}

interface Report {
  error: string | null;
  seen: DeckyState | null;
  attempt: number;
  sequence: number;
  /** True: as an agent without fences. */
  unfenced: boolean;
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString('utf8') || 'null');
}

export async function scriptedAgent(
  world: World,
  name: string,
  { fenced = true }: { fenced?: boolean } = {},
): Promise<ScriptedAgent> {
  const authority = await openAuthority(world.config.caDir);
  const identity = await authority.issue({ name, sans: ['127.0.0.1'] });
  const sequences = { next: 1 };
  const agent = {
    orders: [] as AgentDeployBody[],
    teardowns: [] as (string | null)[],
    mutations: [] as AgentMutateBody[],
    failing: new Map<string, number>(),
    asked: [] as string[],
  };
  let last: Fence | undefined;
  const answer = (response: ServerResponse, status: number, body: unknown): void => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await bodyOf(request);
    const path = request.url ?? '';
    agent.asked.push(path);
    if (scripted.strange) return scripted.strange(response);
    const failure = agent.failing.get(path);
    if (failure !== undefined) return answer(response, failure, { detail: `scripted ${failure}` });
    if (request.url === '/health') return answer(response, 200, { status: 'ok' });
    if (request.url === '/status')
      return scripted.status === null
        ? answer(response, 500, { detail: 'scripted' })
        : answer(response, 200, scripted.status);
    if (request.url === '/teardown') {
      const { decky_id } = body as AgentTeardownBody;
      agent.teardowns.push(decky_id);
      await scripted.onTeardown(decky_id, body as AgentTeardownBody);
      return answer(response, 200, { status: 'torn_down', decky_id });
    }
    if (request.url === '/mutate') {
      const mutation = body as AgentMutateBody;
      agent.mutations.push(mutation);
      last = mutation.deckhand;
      answer(response, 202, { status: 'accepted', decky_id: mutation.decky_id, services: mutation.services });
      return void (await scripted.onMutate(mutation));
    }
    const order = body as AgentDeployBody;
    const detail = scripted.refuses(order);
    if (detail !== null) return answer(response, 409, { detail });
    agent.orders.push(order);
    last = order.deckhand;
    answer(response, 202, { status: 'accepted', deckies: order.config.deckies.map((decky) => decky.name) });
    await scripted.onDeploy(order);
  };
  let server: Server | null = null;
  let port = 0;
  const hostUuid = randomUUID();
  const scripted: ScriptedAgent = {
    hostUuid,
    name,
    ...agent,
    status: { deployed: false, deckies: [] },
    refuses: () => null,
    strange: null,
    onDeploy: () => undefined,
    onMutate: () => undefined,
    onTeardown: () => undefined,
    report: async (status, names, more = {}) => {
      const fence = last;
      if (!fence) throw new Error('nothing was ordered');
      const rows = await world.database.sql<{ id: string; decky_name: string; workflow_id: string }[]>`
        select id, decky_name, workflow_id from decky_lifecycle where deployment_id = ${fence.operation_id} and host_uuid = ${hostUuid}`;
      const { error = null, seen = null, attempt = fence.attempt, unfenced = false } = more;
      const reports = rows
        .filter((row) => !names || names.includes(row.decky_name))
        .map(
          (row): DeckyReport => ({
            lifecycleId: row.id,
            deckyName: row.decky_name,
            status,
            error,
            seen,
            fence: unfenced ? null : { attempt, sequence: more.sequence ?? sequences.next++ },
          }),
        );
      const workflowId = rows[0]?.workflow_id ?? '';
      await world.temporal.client.workflow.getHandle(workflowId).signal(HEARTBEAT_SIGNAL, { hostUuid, reports });
    },
    silence: () =>
      new Promise((resolve) => {
        if (!server) return resolve();
        server.close(() => resolve());
        server.closeAllConnections();
        server = null;
      }),
    listen: () =>
      new Promise((resolve, reject) => {
        const made = createServer(
          {
            key: identity.keyPem,
            cert: identity.certPem,
            ca: identity.caPem,
            requestCert: true,
            rejectUnauthorized: true,
          },
          (request, response) => {
            handle(request, response).catch((error: unknown) => {
              if (!response.headersSent) answer(response, 500, { detail: String(error) });
            });
          },
        );
        server = made;
        made.once('error', reject);
        made.listen(port, '127.0.0.1', () => {
          port = (made.address() as AddressInfo).port;
          resolve();
        });
      }),
    close: () => scripted.silence(),
  };
  await scripted.listen();
  await createHostStore(world.database.sql).enroll({
    uuid: hostUuid,
    name,
    address: '127.0.0.1',
    agentPort: port,
    notes: null,
    useIpvlan: false,
    fingerprint: identity.fingerprint,
    certNotAfter: identity.notAfter,
    fenced,
  });
  return scripted;
}

/** The status of an agent with fences that has done the order. */
export function doneStatus(order: AgentDeployBody, decky: Partial<AgentDecky> = {}): AgentStatus {
  const fence = order.deckhand ?? { operation_id: '', attempt: 0 };
  const entry = (name: string): [string, AgentDecky] => [
    name,
    {
      operation_id: fence.operation_id,
      attempt: fence.attempt,
      operation: 'deploy',
      status: 'succeeded',
      error: null,
      seen: 'running',
      config_hash: null,
      step: null,
      ...decky,
    },
  ];
  return {
    deployed: true,
    deckies: order.config.deckies,
    deckhand: {
      version: 'test',
      network: null,
      work: [],
      unreported: 0,
      deckies: Object.fromEntries(order.config.deckies.map((one) => entry(one.name))),
    },
  };
}
