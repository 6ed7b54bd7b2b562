/** The worker process of the bare peers. Drains on SIGTERM. */
import { Agent, request } from 'node:https';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import type { Sql } from '../../../adapters/postgres/connect.ts';
import type { AgentDeployBody } from '../../../fleet/agent-wire.ts';
import type { EmptyActivities, HostInput, OutsideActivities } from './messages.ts';
import { HEARTBEAT } from './messages.ts';
import { database, identity, sayReady, variable } from './parts.ts';
import { type BareRow, moveRows } from './schema.ts';

const address = variable('TEMPORAL_ADDRESS');
const namespace = variable('TEMPORAL_NAMESPACE');
const sql = database();
const clientConnection = await Connection.connect({ address });
const client = new Client({ connection: clientConnection, namespace });
// As Deckhand's client has it: connections are kept, no session is resumed.
const agent = new Agent({ ...identity('master', 'worker'), keepAlive: true, maxCachedSessions: 0 });

const empty: EmptyActivities = {
  nothing: () => Promise.resolve(),
  tell: ({ workflowId }) => client.workflow.getHandle(workflowId).signal(HEARTBEAT, { rows: [] }),
};

const outside: OutsideActivities = {
  rowsOf: async (input) => (await rowsOfHost(sql, input)).map(({ id }) => id),
  dispatch: async (input) => {
    const [rows, [host]] = await Promise.all([
      rowsOfHost(sql, input),
      sql<{ port: number }[]>`select port from hosts where uuid = ${input.host}`,
    ]);
    await moveRows(
      sql,
      rows.map(({ id }) => id),
      'running',
    );
    await post(host?.port ?? 0, JSON.stringify(orderOf(input.operationId, rows)));
  },
  openRows: async ({ operationId, host }) => {
    const [row] = await sql<{ open: number }[]>`
      select count(*)::int as open from rows where operation = ${operationId} and host = ${host} and status in ('pending', 'running')`;
    return row?.open ?? 0;
  },
  finish: ({ rows }) =>
    moveRows(
      sql,
      rows.map(({ id }) => id),
      'succeeded',
    ),
};

const rowsOfHost = (from: Sql, { operationId, host }: HostInput) => from<BareRow[]>`
  select id, host, decky, config from rows where operation = ${operationId} and host = ${host} order by decky`;

const orderOf = (operationId: string, rows: readonly BareRow[]): AgentDeployBody => ({
  config: {
    mode: 'swarm',
    interface: 'eth0',
    subnet: '10.78.0.0/16',
    gateway: '10.78.0.1',
    deckies: rows.map(({ config }) => config),
    log_file: null,
    ipvlan: false,
    mutate_interval: null,
  },
  dry_run: false,
  no_cache: false,
  deckhand: {
    operation_id: operationId,
    attempt: 1,
    deploy: rows.map(({ decky }) => decky),
    remove: [],
    custom_services: {},
    min_healthy_time_ms: 0,
    healthy_deadline_ms: 300_000,
    progress_deadline_ms: 600_000,
  },
});

function post(port: number, body: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const options = { host: '127.0.0.1', port, path: '/deploy', method: 'POST', headers, agent, timeout: 15_000 };
    const sent = request(options, (answer) => {
      answer.on('error', reject);
      answer.on('end', () => (answer.statusCode === 202 ? resolve() : reject(new Error(`${answer.statusCode}`))));
      answer.resume();
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

const connection = await NativeConnection.connect({ address });
const worker = await Worker.create({
  connection,
  namespace,
  taskQueue: variable('BENCH_TASK_QUEUE'),
  workflowsPath: fileURLToPath(new URL('./workflows.ts', import.meta.url)),
  activities: { ...empty, ...outside },
});
const run = worker.run();
sayReady({ ready: true });
await run;
agent.destroy();
await connection.close();
await clientConnection.close();
await sql.end({ timeout: 2 });
