/** The swarm controller on real parts: TLS with a CA of its own, a schema of its own, and workflows that only take signals. */
import { randomUUID } from 'node:crypto';
import { request } from 'node:https';
import { join } from 'node:path';
import { defaultPayloadConverter } from '@temporalio/common';
import type { Hono } from 'hono';
import { pino } from 'pino';
import { createAgentClient } from '../../../adapters/agent/client.ts';
import { type Authority, type Identity, openAuthority } from '../../../adapters/pki/authority.ts';
import { createAudit } from '../../../adapters/postgres/audit.ts';
import type { Sql } from '../../../adapters/postgres/connect.ts';
import { createEnrollments, createEnrollmentTokens } from '../../../adapters/postgres/enrollment.ts';
import { createHostReports, type HostReports } from '../../../adapters/postgres/host-reports.ts';
import { createHostStore, type Host, type HostStore } from '../../../adapters/postgres/hosts.ts';
import { createLifecycleReader, recordTransitions } from '../../../adapters/postgres/rows.ts';
import { openTemporal } from '../../../adapters/temporal/connection.ts';
import { createReportSignals, type ReportSignals } from '../../../adapters/temporal/workflows.ts';
import { createAccessTokens, createGuard } from '../../../api/auth.ts';
import type { SwarmApiPorts } from '../../../api/dependencies.ts';
import type { ApiEnv } from '../../../api/environment.ts';
import { createSwarmApp } from '../../../api/swarm/app.ts';
import { createBundles } from '../../../api/swarm/bundles.ts';
import { startListener } from '../../../api/swarm/controller.ts';
import { HEARTBEAT_SIGNAL, type HostReport } from '../../../fleet/agent-wire.ts';
import type { LifecycleRow } from '../../../fleet/rows.ts';
import type { Deployments } from '../../../operations/submit.ts';
import { testDirectory, testServers } from '../stack/stack.ts';
import { ADMIN_PASSWORD, type ApiHarness, acceptingOnly, createApiHarness, GENERAL } from './api-harness.ts';

export interface SwarmAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly json: any;
}

export interface SwarmCall {
  readonly body?: unknown;
  readonly raw?: string;
  readonly token?: string | null;
  readonly identity?: Pick<Identity, 'certPem' | 'keyPem'>;
}

export interface SwarmHarness {
  readonly api: ApiHarness;
  readonly authority: Authority;
  readonly caDir: string;
  readonly hosts: HostStore;
  readonly ports: SwarmApiPorts;
  readonly port: number;
  /** What the listener serves. */
  readonly app: Hono<ApiEnv>;
  readonly admin: string;
  call(method: string, path: string, call?: SwarmCall): Promise<SwarmAnswer>;
  /** Enrols a host; its identity is that of an agent. */
  enroll(name: string, options?: { fenced?: boolean; agentPort?: number }): Promise<{ host: Host; identity: Identity }>;
  heartbeat(host: { host: Host; identity: Identity }, body?: object): Promise<SwarmAnswer>;
  /** Accepts a deploy of these deckies and starts the workflows that own its rows, which no worker works on. */
  deploy(names: readonly string[]): Promise<LifecycleRow[]>;
  rows(ids: readonly string[]): Promise<LifecycleRow[]>;
  /** As a dispatch does. */
  dispatch(ids: readonly string[]): Promise<void>;
  workflowOf(id: string): Promise<string>;
  /** Reports that the workflow was told, in order. */
  reportsTo(workflowId: string): Promise<HostReport[]>;
  terminate(workflowId: string): Promise<void>;
  close(): Promise<void>;
}

export async function createSwarmHarness(
  options: {
    signals?: (real: ReportSignals) => ReportSignals;
    reports?: HostReports;
    operations?: (sql: Sql) => Deployments;
    busyAt?: number;
  } = {},
): Promise<SwarmHarness> {
  process.env.TEMPORAL_ADDRESS = testServers.temporalAddress;
  const caDir = join(testDirectory('swarm'), 'ca');
  const authority = await openAuthority(caDir);
  const agents = createAgentClient(() => authority.master());
  const taskQueue = `swarm-${randomUUID()}`;
  const temporal = openTemporal(taskQueue);
  const controller = { name: '127.0.0.1', port: 0 };
  let ports: SwarmApiPorts | undefined;
  const api = await createApiHarness({
    deps: (sql) => {
      const hosts = createHostStore(sql);
      ports = {
        authority,
        agents,
        hosts,
        reports: options.reports ?? createHostReports(sql),
        operations: options.operations?.(sql) ?? acceptingOnly(sql),
        lifecycle: createLifecycleReader(sql),
        rollout: {},
        tokens: createEnrollmentTokens(sql),
        controller,
        bundles: createBundles(sql, authority, controller),
        plainBundles: false,
      };
      return { swarm: ports };
    },
  });
  if (ports === undefined) throw new Error('no ports');
  const { sql } = api.database;
  const { hosts } = ports;
  const logger = pino({ level: process.env.DECKHAND_LOG_LEVEL ?? 'silent' });
  const real = createReportSignals(temporal.client);
  const own = await Promise.all([authority.master(), authority.server(['127.0.0.1'])]);
  const app = createSwarmApp({
    ...ports,
    logger,
    guard: createGuard(createAccessTokens(api.deps.jwt), api.deps.users),
    audit: createAudit(sql),
    enrollments: createEnrollments(sql),
    signals: options.signals?.(real) ?? real,
    ownFingerprints: async () => new Set(own.map((identity) => identity.fingerprint)),
    notReady: () => null,
    ...(options.busyAt === undefined ? {} : { busyAt: options.busyAt }),
  });
  const server = await startListener(app, { host: '127.0.0.1', port: 0, names: ['127.0.0.1'], authority, logger });
  controller.port = server.port;
  const started: string[] = [];
  const reader = createLifecycleReader(sql);
  const call = (method: string, path: string, made: SwarmCall = {}) =>
    overTls({ port: server.port, ca: authority.caPem }, method, path, made);
  const admin = await api.login('admin', ADMIN_PASSWORD);

  return {
    api,
    authority,
    caDir,
    hosts,
    ports,
    port: server.port,
    app,
    admin,
    call,
    async enroll(name, { fenced = false, agentPort = 1 } = {}) {
      const identity = await authority.issue({ name, sans: ['127.0.0.1'] });
      const host = await hosts.enroll({
        uuid: randomUUID(),
        name,
        address: '127.0.0.1',
        agentPort,
        notes: null,
        useIpvlan: false,
        fingerprint: identity.fingerprint,
        certNotAfter: identity.notAfter,
        fenced,
      });
      return { host, identity };
    },
    heartbeat: ({ host, identity }, body = {}) =>
      call('POST', '/swarm/heartbeat', {
        identity,
        body: { host_uuid: host.uuid, status: { deployed: false, deckies: [] }, ...body },
      }),
    async deploy(names) {
      const ini =
        GENERAL + names.map((name) => `[${name}]\nservices=ssh\n[${name}.ssh]\npassword=${SECRET}\n`).join('');
      const answer = await api.call('POST', '/api/v1/deckies/deploy', { token: admin, body: { ini_content: ini } });
      if (answer.status !== 202) throw new Error(`deploy: ${answer.status} ${answer.text}`);
      const ids: string[] = answer.json.lifecycle_ids;
      const owners = await sql<{ workflow_id: string }[]>`
        select distinct workflow_id from decky_lifecycle where id = any(${ids})`;
      for (const { workflow_id: workflowId } of owners) {
        await temporal.client.workflow.start('takesSignals', { taskQueue, workflowId });
        started.push(workflowId);
      }
      return reader.byIds(ids);
    },
    rows: (ids) => reader.byIds(ids),
    async dispatch(ids) {
      const rows = await reader.byIds(ids);
      const running = rows.map((row) => ({
        lifecycleId: row.id,
        deckyName: row.decky_name,
        status: 'running' as const,
      }));
      await recordTransitions(sql, running);
    },
    async workflowOf(id) {
      const [row] = await sql<{ workflow_id: string }[]>`select workflow_id from decky_lifecycle where id = ${id}`;
      return row?.workflow_id ?? '';
    },
    async reportsTo(workflowId) {
      const { events } = await temporal.client.workflow.getHandle(workflowId).fetchHistory();
      return (events ?? []).flatMap((event) => {
        const signal = event.workflowExecutionSignaledEventAttributes;
        const payload = signal?.input?.payloads?.[0];
        return signal?.signalName === HEARTBEAT_SIGNAL && payload
          ? [defaultPayloadConverter.fromPayload<HostReport>(payload)]
          : [];
      });
    },
    terminate: async (workflowId) => {
      await temporal.client.workflow.getHandle(workflowId).terminate();
    },
    async close() {
      await server.stop();
      await agents.close();
      for (const workflowId of started)
        await temporal.client.workflow
          .getHandle(workflowId)
          .terminate()
          .catch(() => undefined);
      await temporal.connection.close();
      await api.close();
    },
  };
}

/** The password of every decky's ssh. */
export const SECRET = 'hunter2-of-the-swarm';

interface Target {
  readonly port: number;
  readonly ca: string;
}

/** One request on a connection of its own. */
export function overTls(target: Target, method: string, path: string, call: SwarmCall): Promise<SwarmAnswer> {
  const payload = call.raw ?? (call.body === undefined ? undefined : JSON.stringify(call.body));
  return new Promise((resolve, reject) => {
    const made = request(
      {
        host: '127.0.0.1',
        port: target.port,
        method,
        path,
        ca: target.ca,
        ...(call.identity ? { cert: call.identity.certPem, key: call.identity.keyPem } : {}),
        agent: false,
        headers: {
          ...(payload === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
          ...(call.token ? { authorization: `Bearer ${call.token}` } : {}),
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          const isJson = response.headers['content-type']?.includes('json') === true;
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text,
            json: isJson ? JSON.parse(text) : null,
          });
          made.destroy();
        });
      },
    );
    made.on('error', reject);
    // What is too large is announced and not sent: who refuses it closes the connection while it is still being written.
    if (payload !== undefined && payload.length > 4 * 1024 * 1024) made.flushHeaders();
    else made.end(payload);
  });
}
