/** Plays what was recorded of DECNET's swarm controller against ours, to the letter, over real TLS. */

import assert from 'node:assert/strict';
import type { Identity } from '../../adapters/pki/authority.ts';
import { recordTransitions } from '../../adapters/postgres/rows.ts';
import exchanges from '../fixtures/exchanges/swarm-controller.json' with { type: 'json' };
import { createSwarmHarness, type SwarmAnswer, type SwarmHarness } from '../support/master/swarm-harness.ts';

interface Step {
  readonly name: string;
  readonly auth: string | null;
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly raw?: string;
  readonly certificate?: string;
  readonly note?: string;
  readonly status: number;
  readonly answer: unknown;
  readonly answer_headers?: Record<string, string>;
}

const PLACEHOLDERS: Readonly<Record<string, RegExp>> = {
  '<uuid>': /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
  '<time>': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/,
  '<sha256>': /^[0-9a-f]{64}$/,
  '<pem>': /^-----BEGIN [A-Z ]+-----\n/,
};
/** Python's own words stand there for what only the recording machine could do. */
const FROM_ELSEWHERE = 'request from 10.1.2.3';

// proof: enrolment
describe('the recorded exchanges of the swarm controller', function () {
  this.timeout(60_000);
  let swarm: SwarmHarness;
  const names = new Map<string, string>();
  const identities = new Map<string, Pick<Identity, 'certPem' | 'keyPem'>>();

  before(async () => {
    swarm = await createSwarmHarness();
    identities.set('of nobody', await swarm.authority.issue({ name: 'nobody', sans: [] }));
  });
  after(() => swarm.close());

  const resolve = (value: unknown): unknown =>
    JSON.parse(
      JSON.stringify(value)
        .replace(/<(row|host|fingerprint):[\w-]+>/g, (name) => names.get(name) ?? name)
        .replaceAll('<time>', new Date().toISOString()),
    );

  function matches(expected: unknown, actual: unknown, where: string): void {
    if (typeof expected === 'string') {
      const pattern = PLACEHOLDERS[expected];
      if (pattern) assert.match(String(actual), pattern, where);
      else if (/^<row:/.test(expected) && !names.has(expected)) names.set(expected, String(actual));
      else assert.equal(actual, names.get(expected) ?? expected, where);
    } else if (Array.isArray(expected)) {
      assert.ok(Array.isArray(actual), where);
      assert.equal(actual.length, expected.length, `${where}: length`);
      for (const [index, item] of expected.entries()) matches(item, actual[index], `${where}[${index}]`);
    } else if (typeof expected === 'object' && expected !== null) {
      assert.ok(typeof actual === 'object' && actual !== null, where);
      assert.deepEqual(Object.keys(actual).sort(), Object.keys(expected).sort(), where);
      for (const [key, value] of Object.entries(expected)) matches(value, Reflect.get(actual, key), `${where}.${key}`);
    } else assert.equal(actual, expected, where);
  }

  async function remember(step: Step, answer: SwarmAnswer): Promise<void> {
    const { name } = (step.body ?? {}) as { name?: string };
    if (step.path === '/swarm/enroll' && answer.status === 201 && name) {
      names.set(`<host:${name}>`, answer.json.host_uuid);
      names.set(`<fingerprint:${name}>`, answer.json.fingerprint);
      identities.set(`of ${name}`, { certPem: answer.json.worker_cert_pem, keyPem: answer.json.worker_key_pem });
    }
  }

  /** What a worker does meanwhile: rows are dispatched, and reports written. */
  async function work(): Promise<void> {
    const ids = [...names].filter(([name]) => name.startsWith('<row:')).map(([, id]) => id);
    for (const id of ids) {
      const told = await swarm.reportsTo(await swarm.workflowOf(id));
      const reports = told.flatMap((report) => report.reports).filter((report) => report.lifecycleId === id);
      const transitions = reports.map(({ lifecycleId, deckyName, status, error }) => ({
        lifecycleId,
        deckyName,
        status,
        ...(error === null ? {} : { error }),
      }));
      await recordTransitions(swarm.api.database.sql, transitions);
    }
  }

  /** Ours answers as if the request came from there where the connection does. */
  async function prepare(step: Step): Promise<void> {
    const row = (name: string): string => names.get(`<row:${name}>`) ?? assert.fail(`no row ${name}`);
    if (step.name === 'delta: running') await swarm.dispatch([row('a')]);
    if (step.name === 'rows: a succeeded, b failed') {
      await swarm.dispatch([row('b')]);
      const identity = identities.get('of h2') ?? assert.fail('h2 has no identity');
      const answer = await swarm.call('POST', '/swarm/heartbeat', {
        identity,
        body: {
          host_uuid: names.get('<host:h2>'),
          status: { deployed: false, deckies: [] },
          lifecycle: [{ decky_name: 'b', operation: 'deploy', status: 'failed', error: 'CalledProcessError: exit 1' }],
        },
      });
      assert.equal(answer.status, 204);
    }
    if (step.path.startsWith('/api/v1/deckies/lifecycle')) await work();
  }

  async function play(step: Step): Promise<SwarmAnswer> {
    const path = String(resolve(step.path));
    const token = step.auth === null ? null : swarm.admin;
    const body = step.body === undefined ? undefined : resolve(step.body);
    if (step.name === 'master API: deploy over two hosts') {
      const rows = await swarm.deploy(['a', 'b', 'c']);
      const json = { ...(step.answer as object), lifecycle_ids: rows.map((row) => row.id) };
      return { status: 202, headers: {}, text: '', json };
    }
    if (path.startsWith('/api/v1/')) {
      const answer = await swarm.api.call(step.method, path, { token, ...(body === undefined ? {} : { body }) });
      return { ...answer, headers: Object.fromEntries(answer.headers) };
    }
    const identity = step.certificate === undefined ? undefined : identities.get(step.certificate);
    return swarm.call(step.method, path, {
      token,
      ...(identity ? { identity } : {}),
      ...(body === undefined ? {} : { body }),
      ...(step.raw === undefined ? {} : { raw: step.raw }),
    });
  }

  for (const step of exchanges as readonly Step[]) {
    // A loopback listener has no peer from elsewhere: test/unit/swarm-gate.test.ts has this one.
    if (step.note === FROM_ELSEWHERE) continue;
    it(step.name, async () => {
      await prepare(step);
      const answer = await play(step);
      assert.equal(answer.status, step.status, answer.text);
      await remember(step, answer);
      if (step.answer === null) assert.equal(answer.text, '');
      else matches(step.answer, answer.json, step.name);
      for (const [name, value] of Object.entries(step.answer_headers ?? {}))
        assert.equal(answer.headers[name.toLowerCase()], value, name);
    });
  }
});
