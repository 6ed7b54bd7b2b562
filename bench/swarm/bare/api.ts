/** The API's part of the bare peers: takes a request, and takes in heartbeats. Ends on SIGTERM. */
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { Client, Connection } from '@temporalio/client';
import type { HeartbeatBody } from '../../../fleet/agent-wire.ts';
import { FLEET_WORKFLOW, type FleetInput, HEARTBEAT, hostWorkflowId, type Report } from './messages.ts';
import { database, identity, sayReady, variable } from './parts.ts';
import { insertRows } from './schema.ts';

interface DeployRequest {
  readonly hosts: readonly string[];
  readonly deckies: number;
  readonly outside: boolean;
}

const sql = database();
const connection = await Connection.connect({ address: variable('TEMPORAL_ADDRESS') });
const client = new Client({ connection, namespace: variable('TEMPORAL_NAMESPACE') });

/** Returns the id of the parent. */
async function deploy({ hosts, deckies, outside }: DeployRequest): Promise<object> {
  const operationId = await insertRows(sql, outside ? hosts : [], deckies);
  const input: FleetInput = { operationId, hosts, outside };
  const workflowId = `bare/${operationId}`;
  await client.workflow.start(FLEET_WORKFLOW, {
    workflowId,
    taskQueue: variable('BENCH_TASK_QUEUE'),
    args: [input],
  });
  return { workflowId, child: hostWorkflowId(operationId, hosts[0] ?? '') };
}

async function heartbeat(request: IncomingMessage): Promise<number> {
  const body = JSON.parse(await textOf(request)) as HeartbeatBody;
  const { fingerprint256 } = (request.socket as TLSSocket).getPeerCertificate();
  const fingerprint = fingerprint256.replaceAll(':', '').toLowerCase();
  const [host] = await sql`update hosts set last_heartbeat = now()
    where uuid = ${body.host_uuid} and fingerprint = ${fingerprint} returning uuid`;
  if (!host) return 403;
  const deltas = body.lifecycle ?? [];
  if (deltas.length === 0) return 204;
  const rows = await sql<{ id: string; decky: string; operation: string }[]>`
    select id, decky, operation from rows
    where host = ${body.host_uuid} and decky = any(${deltas.map((delta) => delta.decky_name)}) and status in ('pending', 'running')`;
  const [first] = rows;
  if (!first) return 204;
  const report: Report = { rows: rows.map(({ id, decky }) => ({ id, decky, status: 'succeeded' })) };
  await client.workflow.getHandle(hostWorkflowId(first.operation, body.host_uuid)).signal(HEARTBEAT, report);
  return 204;
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

/** What goes wrong is a 500, and the bench sees rows that stay open. */
const answering =
  (answer: (request: IncomingMessage) => Promise<number | object>) =>
  (request: IncomingMessage, response: ServerResponse): void => {
    answer(request).then(
      (result) => {
        response.writeHead(typeof result === 'number' ? result : 200, { 'content-type': 'application/json' });
        response.end(typeof result === 'number' ? undefined : JSON.stringify(result));
      },
      (error: unknown) => {
        console.error(error);
        response.writeHead(500);
        response.end();
      },
    );
  };

const portOf = (server: Server): Promise<number> =>
  new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)));

const tls = { ...identity('swarmctl', 'server'), requestCert: true, rejectUnauthorized: true };
const operators = createHttpServer(
  answering(async (request) => deploy(JSON.parse(await textOf(request)) as DeployRequest)),
);
const agents = createServer(tls, answering(heartbeat));
const [port, swarmPort] = await Promise.all([portOf(operators), portOf(agents)]);
sayReady({ ready: true, url: `http://127.0.0.1:${port}`, swarmUrl: `https://127.0.0.1:${swarmPort}` });
await new Promise((resolve) => process.once('SIGTERM', resolve));
for (const server of [operators, agents]) {
  server.closeAllConnections();
  server.close();
}
await connection.close();
await sql.end({ timeout: 2 });
