/** Whatever a body is, no route of the three listeners answers 5xx to it. The routes are those that the apps have. */
import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import { TLSSocket } from 'node:tls';
import { pino } from 'pino';
import { fingerprintOf } from '../../adapters/pki/certificates.ts';
import { createApp as createAgentApp } from '../../agent/api.ts';
import { createAccessTokens } from '../../api/auth.ts';
import { describe as describeApi } from '../../api/routes/docs.ts';
import { type RunningServer, startServer } from '../../api/server.ts';
import { MASTER_NAME } from '../../fleet/agent-wire.ts';
import { descriptionOf } from '../support/master/document.ts';
import {
  ALL,
  EMPTY,
  NO_OBJECT,
  NOT_JSON,
  PLAIN,
  SAME_AS_PLAIN,
  type StrangeBody,
  UNREADABLE,
  UNWANTED,
} from '../support/master/strange-bodies.ts';
import { createSwarmHarness, type SwarmHarness } from '../support/master/swarm-harness.ts';

type Statuses = ReadonlyMap<StrangeBody, number>;

interface Route {
  readonly method: string;
  readonly path: string;
  /** Whether the route wants a body; null where it takes none. */
  readonly required: boolean | null;
}

const READS_BODY = new Set(['POST', 'PUT', 'PATCH']);
const name = ({ method, path }: Route): string => `${method} ${path}`;
const filled = (path: string): string => path.replace(/\{\w+\}|:\w+/g, 'nobody');

describe('strange bodies', () => {
  let swarm: SwarmHarness;
  let server: RunningServer;

  before(async () => {
    swarm = await createSwarmHarness();
    server = await startServer(swarm.api.app, { host: '127.0.0.1', port: 0 });
  });
  after(async () => {
    await server?.stop();
    await swarm?.close();
  });

  /** A token of its own for each request: one of the routes is the logout. */
  async function adminToken(): Promise<string> {
    const user = await swarm.api.deps.users.byUsername('admin');
    assert.ok(user);
    return createAccessTokens(swarm.api.deps.jwt).issue(user, Date.now());
  }

  function send(options: RequestOptions, { headers, bytes, chunked }: StrangeBody, token: string | null) {
    const list = headers.flat();
    if (token !== null) list.push('Authorization', `Bearer ${token}`);
    list.push(...(chunked ? ['Transfer-Encoding', 'chunked'] : ['Content-Length', String(bytes.byteLength)]));
    return new Promise<number>((resolve, reject) => {
      const make = options.ca ? httpsRequest : httpRequest;
      const made = make({ host: '127.0.0.1', headers: ['Host', 'localhost', ...list], ...options }, (response) => {
        response.resume();
        response.on('end', () => resolve(response.statusCode ?? 0));
      });
      made.on('error', reject);
      made.end(bytes.byteLength > 0 ? bytes : undefined);
    });
  }

  const toApi = async ({ method, path }: Route, body: StrangeBody, token: string | null) =>
    send({ port: server.port, method, path: filled(path) }, body, token);
  const toSwarm = async ({ method, path }: Route, body: StrangeBody, token: string | null) =>
    send({ port: swarm.port, method, path: filled(path), ca: swarm.authority.caPem, agent: false }, body, token);

  /** What the master knows, but for tokens, the audit and requests that were refused, which may grow. */
  async function facts(): Promise<unknown> {
    const { sql, schema } = swarm.api.database;
    const tables = await sql<{ name: string }[]>`
      select table_name as name from information_schema.tables where table_schema = ${schema} order by 1`;
    const kept = tables.filter((table) => !/token|ticket|audit|migration|^deployments$/.test(table.name));
    return Promise.all(
      kept.map(async (table) => {
        const [row] = await sql`select count(*)::int as n, md5(string_agg(t::text, ',' order by t::text)) as hash
          from ${sql(schema)}.${sql(table.name)} t`;
        return [table.name, row?.n, row?.hash];
      }),
    );
  }

  async function answersOf(
    route: Route,
    ask: (route: Route, body: StrangeBody, token: string | null) => Promise<number>,
    token: () => Promise<string | null>,
  ): Promise<Statuses> {
    return new Map(await Promise.all(ALL.map(async (body) => [body, await ask(route, body, await token())] as const)));
  }

  /** What is wrong with the answers that an admin got of one route. */
  function wrongOf(route: Route, answers: Statuses, mediaTypeCounts: boolean): string[] {
    const wrong = (bodies: readonly StrangeBody[], isRight: (status: number) => boolean): string[] =>
      bodies.flatMap((body) => {
        const status = answers.get(body) ?? 0;
        return isRight(status) ? [] : [`${name(route)}, ${body.what}: ${status}`];
      });
    const isRefusal = (status: number): boolean => [400, 401, 403, 422].includes(status);
    const plain = answers.get(PLAIN);
    const none = answers.get(EMPTY[0] as StrangeBody);
    return [
      ...wrong(ALL, (status) => status >= 200 && status < 500),
      ...wrong(UNWANTED, (status) => status === 415),
      ...(mediaTypeCounts ? wrong(NOT_JSON, (status) => status === 415) : []),
      ...wrong(EMPTY, (status) => status === none),
      ...(route.required === true ? wrong([...EMPTY, ...NO_OBJECT], isRefusal) : []),
      ...(route.required === null ? [] : wrong([...UNREADABLE, ...NO_OBJECT], isRefusal)),
      ...wrong(SAME_AS_PLAIN, (status) => status === plain),
    ];
  }

  const apiRoutes = (): Route[] =>
    Object.entries(descriptionOf(describeApi(swarm.api.app)).paths).flatMap(([path, item]) =>
      Object.entries(item).flatMap(([method, operation]) => {
        const body = operation.requestBody as { required?: boolean } | undefined;
        const required = body === undefined ? null : body.required === true;
        return READS_BODY.has(method.toUpperCase()) ? [{ method: method.toUpperCase(), path, required }] : [];
      }),
    );

  // proof: field-2.5-1
  it('never make a route of the operators’ API answer 5xx, and change nothing', async () => {
    const routes = apiRoutes();
    assert.ok(routes.filter(({ required }) => required).length > 5);
    const before = await facts();
    const wrong: string[] = [];
    for (const route of routes) {
      wrong.push(...wrongOf(route, await answersOf(route, toApi, adminToken), true));
      const strangers = await answersOf(route, toApi, async () => null);
      for (const [body, status] of strangers)
        if (status < 400 || status > 499) wrong.push(`${name(route)}, ${body.what}, without a token: ${status}`);
      // Ten wrong passwords shut the door, which would hide what comes after them: none of these is one.
      assert.ok(![...strangers.values()].includes(429), name(route));
    }
    assert.deepEqual(wrong, []);
    assert.deepEqual(await facts(), before);
  }).timeout(120_000);

  // proof: field-2.5-1
  it('never make a route of the swarm listener answer 5xx, and change nothing', async () => {
    const routes = swarm.app.routes
      .filter(({ method }) => READS_BODY.has(method))
      .map(({ method, path }) => ({ method, path, required: path.endsWith('/check') ? null : true }));
    const unique = [...new Map(routes.map((route) => [name(route), route])).values()];
    assert.ok(unique.length > 5);
    const before = await facts();
    const wrong: string[] = [];
    for (const route of unique) {
      const answers = await answersOf(route, toSwarm, adminToken);
      wrong.push(...wrongOf(route, answers, false));
    }
    assert.deepEqual(wrong, []);
    assert.deepEqual(await facts(), before);
  }).timeout(120_000);

  // proof: field-2.5-1
  it('never make a route of the agent answer 5xx, or take an order', async () => {
    const orders: unknown[] = [];
    const certificate = { raw: Buffer.from('a certificate'), subject: { CN: MASTER_NAME } };
    const socket = Object.assign(Object.create(TLSSocket.prototype), {
      authorized: true,
      getPeerCertificate: () => certificate,
    });
    const app = createAgentApp({
      logger: pino({ level: 'silent' }),
      masterFingerprint: () => fingerprintOf(certificate.raw),
      status: () => Promise.reject(new Error('not asked for')),
      deckyNames: () => null,
      accept: async (order) => void orders.push(order),
      // A teardown without a field is one of everything, as the contract has it.
      finish: async () => undefined,
      selfDestruct: () => undefined,
    });
    const toAgent = async ({ method, path }: Route, { headers, bytes, chunked }: StrangeBody): Promise<number> => {
      const sent = new Headers(headers.map(([header, value]) => [header, value]));
      if (chunked) sent.set('Transfer-Encoding', 'chunked');
      const request = new Request(`https://agent${path}`, { method, headers: sent, body: bytes });
      if (!headers.some(([header]) => header === 'Content-Type')) request.headers.delete('Content-Type');
      return (await app.fetch(request, { incoming: { socket } } as never)).status;
    };
    const routes = app.routes
      .filter(({ method }) => READS_BODY.has(method))
      .map(({ method, path }) => ({ method, path, required: path === '/self-destruct' ? null : true }));
    assert.ok(routes.length > 2);
    const wrong: string[] = [];
    for (const route of routes) wrong.push(...wrongOf(route, await answersOf(route, toAgent, async () => null), false));
    assert.deepEqual(wrong, []);
    assert.deepEqual(orders, []);
  });
});
