/** The API in-process on a schema of its own. Deploys are accepted for real; no worker carries them out unless a test brings one. */
import { randomBytes, randomUUID } from 'node:crypto';
import type { OpenAPIHono } from '@hono/zod-openapi';
import { pino } from 'pino';
import { createAudit } from '../../../adapters/postgres/audit.ts';
import { createRotations } from '../../../adapters/postgres/clock-requests.ts';
import type { Sql } from '../../../adapters/postgres/connect.ts';
import { createDeploymentReader, returnedIds, storeRequest } from '../../../adapters/postgres/deployments.ts';
import { createDriftReader } from '../../../adapters/postgres/drift.ts';
import { createFleetReader } from '../../../adapters/postgres/fleet.ts';
import { createLifecycleReader, recordTransitions } from '../../../adapters/postgres/rows.ts';
import { createSettings } from '../../../adapters/postgres/settings.ts';
import { createTokens, createUsers } from '../../../adapters/postgres/users.ts';
import { createApp } from '../../../api/app.ts';
import type { ApiDependencies } from '../../../api/dependencies.ts';
import type { ApiEnv } from '../../../api/environment.ts';
import { ANSWER_DEADLINES } from '../../../api/middleware.ts';
import { describe } from '../../../api/routes/docs.ts';
import { ensureFirstAdmin } from '../../../api/startup.ts';
import { DeckhandError } from '../../../fleet/errors.ts';
import { deployWorkflowId, mutateWorkflowId, teardownWorkflowId } from '../../../fleet/housekeeping.ts';
import { STATUS } from '../../../fleet/lifecycle.ts';
import { ROLLOUT_DEFAULTS } from '../../../fleet/limits.ts';
import type { NetworkContext } from '../../../fleet/plan-deploy.ts';
import { acceptRequest } from '../../../operations/acceptance.ts';
import type { Deployments } from '../../../operations/submit.ts';
import { createTestDatabase, type TestDatabase } from '../servers/database.ts';
import { type Checker, createChecker, descriptionOf } from './document.ts';

export const ADMIN_PASSWORD = 'correct-horse-battery';
export const NETWORK_CONTEXT: NetworkContext = {
  driver: 'macvlan',
  host_ip: null,
  interfaces: ['lo', 'eth0'],
  detected: { interface: 'eth0', subnet: '10.77.0.0/24', gateway: '10.77.0.1' },
  bridge_pool: null,
};
export const GENERAL = '[general]\nnet=10.77.0.0/24\ngw=10.77.0.1\ninterface=eth0\n\n';

export interface Call {
  readonly token?: string | null;
  readonly body?: unknown;
  /** Sent as it is, in place of `body`. */
  readonly raw?: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly json: any;
}

export interface ApiHarness {
  readonly app: OpenAPIHono<ApiEnv>;
  readonly database: TestDatabase;
  readonly deps: ApiDependencies;
  readonly secret: string;
  call(method: string, path: string, call?: Call): Promise<Answer>;
  login(username: string, password: string): Promise<string>;
  /** A viewer who changed the password already. */
  viewer(username?: string): Promise<string>;
  /** Ends every open row, as a worker that succeeds or fails with everything would. */
  settle(status?: 'succeeded' | 'failed'): Promise<void>;
  counts(): Promise<{ deployments: number; rows: number; deckies: number }>;
  close(): Promise<void>;
}

/** Acceptance without Temporal: the real transaction, and rows that stay open. */
export function acceptingOnly(sql: Sql): Deployments {
  const decide = async (id: string): Promise<void> => {
    const outcome = await acceptRequest(sql, id);
    if (!outcome.accepted) throw new DeckhandError(outcome.code, outcome.detail);
  };
  return {
    async deploy({ username, request, options, network, idempotency }) {
      const id = randomUUID();
      const kept = await storeRequest(sql, {
        id,
        kind: 'deploy',
        workflowId: deployWorkflowId(id),
        username,
        request,
        options: { ...ROLLOUT_DEFAULTS, ...options },
        network,
        idempotency: idempotency && { route: 'deploy', ...idempotency },
      });
      await decide(kept.id);
      const detail = await createDeploymentReader(sql).get(kept.id);
      return {
        deployment_id: kept.id,
        mode: 'unihost',
        warnings: [...(detail?.warnings ?? [])],
        ...(await returnedIds(sql, kept.id)),
      };
    },
    async operate(input) {
      const id = randomUUID();
      const options = { ...ROLLOUT_DEFAULTS, ...input.options };
      await storeRequest(sql, { ...input, id, workflowId: deployWorkflowId(id), options, idempotency: null });
      await decide(id);
      return { deployment_id: id, mode: 'unihost', warnings: [], ...(await returnedIds(sql, id)) };
    },
    async mutate({ username, decky_name, services, options, idempotency }) {
      const id = randomUUID();
      const kept = await storeRequest(sql, {
        id,
        kind: 'mutate',
        workflowId: mutateWorkflowId(id),
        username,
        request: { decky_name, services, trigger: 'operator' },
        options: { ...ROLLOUT_DEFAULTS, ...options },
        idempotency: idempotency && { route: 'mutate', ...idempotency },
      });
      await decide(kept.id);
      const detail = await createDeploymentReader(sql).get(kept.id);
      const warnings = [...(detail?.warnings ?? [])];
      return { deployment_id: kept.id, mode: 'unihost', warnings, ...(await returnedIds(sql, kept.id)) };
    },
    async teardown({ username, decky_name }) {
      const id = randomUUID();
      await storeRequest(sql, {
        id,
        kind: 'teardown',
        workflowId: teardownWorkflowId(id),
        username,
        request: { decky_name },
        options: ROLLOUT_DEFAULTS,
        idempotency: null,
      });
      await decide(id);
      return { lifecycle_id: id };
    },
    async cancel() {
      throw new DeckhandError('Unavailable', 'Temporal does not answer. Nothing was cancelled; try again.');
    },
    async waitForRows(ids) {
      const rows = await createLifecycleReader(sql).byIds(ids);
      return rows.every((row) => row.completed_at !== null);
    },
  };
}

function dependencies(sql: Sql, secret: string): ApiDependencies {
  return {
    logger: pino({ level: process.env.DECKHAND_LOG_LEVEL ?? 'silent' }),
    users: createUsers(sql),
    tokens: createTokens(sql),
    settings: createSettings(sql),
    fleet: createFleetReader(sql),
    drift: createDriftReader(sql),
    lookAtEngine: async () => {},
    rotations: createRotations(sql),
    lifecycle: createLifecycleReader(sql),
    deployments: acceptingOnly(sql),
    deploymentReader: createDeploymentReader(sql),
    audit: createAudit(sql),
    simulated: null,
    network: async () => NETWORK_CONTEXT,
    probes: { postgres: () => sql`select 1` },
    notReady: () => null,
    jwt: { secret, lifetimeMinutes: 5 },
    limiterEnabled: true,
    corsOrigins: [],
    rolloutDefaults: {},
    deadlines: ANSWER_DEADLINES,
    teardownWaitMs: 1_000,
  };
}

const checkers = new WeakMap<OpenAPIHono<ApiEnv>, Checker>();

/** Every answer that a test sees is held against the document. */
function checkerOf(app: OpenAPIHono<ApiEnv>): Checker {
  const known = checkers.get(app);
  if (known !== undefined) return known;
  const made = createChecker(descriptionOf(describe(app)));
  checkers.set(app, made);
  return made;
}

async function callApp(app: OpenAPIHono<ApiEnv>, method: string, path: string, call: Call): Promise<Answer> {
  const headers = new Headers(call.headers);
  if (call.token) headers.set('authorization', `Bearer ${call.token}`);
  if (call.body !== undefined && !headers.has('content-type')) headers.set('content-type', 'application/json');
  const body = call.raw ?? (call.body === undefined ? undefined : JSON.stringify(call.body));
  const response = await app.request(path, { method, headers, ...(body === undefined ? {} : { body }) });
  const text = await response.text();
  const contentType = response.headers.get('content-type');
  const isJson = contentType?.includes('json') === true;
  const undescribed = checkerOf(app).problem(method, path, { status: response.status, contentType, text });
  if (undescribed !== null) throw new Error(undescribed);
  return { status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) : undefined };
}

async function settleAll(sql: Sql, status: 'succeeded' | 'failed'): Promise<void> {
  const open = await sql<{ id: string; decky_name: string; status: string }[]>`
    select id, decky_name, status from decky_lifecycle where status in ('pending', 'running') order by position`;
  const about = open.map((row) => ({ lifecycleId: row.id, deckyName: row.decky_name }));
  await recordTransitions(
    sql,
    about.map((row) => ({ ...row, status: STATUS.running })),
  );
  const error = status === 'failed' ? { error: 'ContainerExited: made to fail' } : {};
  await recordTransitions(
    sql,
    about.map((row) => ({ ...row, status, ...error })),
  );
  await sql`update host_tickets set closed_at = now() where closed_at is null`;
}

/** `options.deps` replaces single ports, `options.database` is another's and stays; the first admin is `admin`, and need not change the password unless asked. */
export async function createApiHarness(
  options: { deps?: (sql: Sql) => Partial<ApiDependencies>; mustChange?: boolean; database?: TestDatabase } = {},
): Promise<ApiHarness> {
  const database = options.database ?? (await createTestDatabase());
  const { sql } = database;
  const secret = randomBytes(32).toString('hex');
  const deps = { ...dependencies(sql, secret), ...options.deps?.(sql) };
  await ensureFirstAdmin(
    deps.users,
    {
      DECKHAND_ADMIN_USER: 'admin',
      DECKHAND_ADMIN_PASSWORD: ADMIN_PASSWORD,
      DECKHAND_ADMIN_MUST_CHANGE_PASSWORD: options.mustChange ?? false,
    },
    () => undefined,
  );
  const app = createApp(deps);
  const call = (method: string, path: string, made: Call = {}) => callApp(app, method, path, made);
  const login = async (username: string, password: string): Promise<string> => {
    const answer = await call('POST', '/api/v1/auth/login', { body: { username, password } });
    if (answer.status !== 200) throw new Error(`login of ${username}: ${answer.status} ${answer.text}`);
    return answer.json.access_token;
  };
  const viewer = async (username = 'vera'): Promise<string> => {
    const admin = await login('admin', ADMIN_PASSWORD);
    const body = { username, password: 'viewer-password-1', role: 'viewer' };
    await call('POST', '/api/v1/config/users', { token: admin, body });
    const first = await login(username, 'viewer-password-1');
    const change = { old_password: 'viewer-password-1', new_password: 'viewer-password-2' };
    await call('POST', '/api/v1/auth/change-password', { token: first, body: change });
    return login(username, 'viewer-password-2');
  };
  const counts = async () => {
    const [row] = await sql<{ deployments: number; rows: number; deckies: number }[]>`
      select (select count(*)::int from deployments) as deployments, (select count(*)::int from decky_lifecycle) as rows,
        (select count(*)::int from fleet_deckies) as deckies`;
    return row ?? { deployments: -1, rows: -1, deckies: -1 };
  };
  const settle = (status: 'succeeded' | 'failed' = 'succeeded') => settleAll(sql, status);
  const close = options.database ? async () => undefined : database.drop;
  return { app, database, deps, secret, call, login, viewer, settle, counts, close };
}
