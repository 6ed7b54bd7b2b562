/** Durations at the door: each route that takes one takes its range and nothing else, and stores what it took. */
import assert from 'node:assert/strict';
import { createRotationStore } from '../../adapters/postgres/clock-requests.ts';
import { DURATIONS, durationText, rangeOf } from '../../fleet/durations.ts';
import { ROLLOUT_DEFAULTS, ROLLOUT_DURATIONS } from '../../fleet/limits.ts';
import { createOperationStore } from '../../operations/store.ts';
import { createSwarmHarness, type SwarmHarness } from '../support/master/swarm-harness.ts';

const INI = '[x]\nservices=ssh\n';
const ALWAYS_REFUSED = ['999999999h', '1e3s', 'NaN', '-1s', '', 'soon', '5'];
/** What any other duration fits to. */
const FITTING = { min_healthy_time: 0, healthy_deadline: '24h' };
const FITTING_MS = { minHealthyTimeMs: 0, healthyDeadlineMs: DURATIONS.healthy_deadline.most };
/** What JSON has besides strings. */
const NO_STRINGS = [-1, 1.5, 90, 1e300, true, false, null, [], {}];

describe('durations at the API', function () {
  this.timeout(60_000);
  let swarm: SwarmHarness;
  let uuid: string;
  before(async () => {
    swarm = await createSwarmHarness();
    uuid = (await swarm.enroll('h1', { fenced: true })).host.uuid;
  });
  after(() => swarm.close());

  const api = (method: string, path: string, body?: unknown) =>
    swarm.api.call(method, `/api/v1${path}`, { token: swarm.admin, ...(body === undefined ? {} : { body }) });
  const deploy = (more: object) => api('POST', '/deckies/deploy', { ini_content: INI, replace_fleet: true, ...more });
  const storedLast = async () => {
    const [row] = await swarm.api.database.sql`select options from deployments order by received_at desc limit 1`;
    return row?.options;
  };
  const outside = (name: (typeof ROLLOUT_DURATIONS)[number][1]): string[] => {
    const { least, most } = DURATIONS[name];
    return [`${most + 1}ms`, '48h', ...(least > 0 ? [`${least - 1}ms`, '0', '0s'] : [])];
  };

  it('are taken at the ends of their range, and stored as given', async () => {
    for (const [option, name] of ROLLOUT_DURATIONS)
      for (const ms of [DURATIONS[name].least, DURATIONS[name].most]) {
        const answer = await deploy({ ...FITTING, [name]: durationText(ms) });
        assert.equal(answer.status, 202, answer.text);
        assert.deepEqual(await storedLast(), { ...ROLLOUT_DEFAULTS, ...FITTING_MS, [option]: ms });
        await swarm.api.settle();
      }
    assert.equal((await deploy({ min_healthy_time: 0 })).status, 202);
    await swarm.api.settle();
  });

  // proof: field-1.1-1
  it('are refused outside, by a sentence with field and range, on every route that takes one', async () => {
    const before = await swarm.api.counts();
    const routes: readonly (readonly [string, (value: unknown) => ReturnType<typeof api>, boolean])[] = [
      ...ROLLOUT_DURATIONS.map(([, name]) => [name, (value: unknown) => deploy({ [name]: value }), true] as const),
      [
        'host_lost_after',
        (value: unknown) => api('POST', `/swarm/hosts/${uuid}/teardown`, { decky_id: null, host_lost_after: value }),
        true,
      ],
      [
        'host_lost_after',
        (value: unknown) => api('DELETE', `/deckies?host_lost_after=${encodeURIComponent(String(value))}`),
        false,
      ],
    ];
    for (const [name, ask, isJson] of routes) {
      const of = name as (typeof ROLLOUT_DURATIONS)[number][1];
      for (const value of [...ALWAYS_REFUSED, ...outside(of), ...(isJson ? NO_STRINGS : [])]) {
        const { status, json, text } = await ask(value);
        assert.equal(status, 422, `${name} ${JSON.stringify(value)}: ${text}`);
        assert.ok(json.detail.startsWith(`${name}: `) && json.detail.includes(rangeOf(of)), json.detail);
      }
    }
    assert.deepEqual(await swarm.api.counts(), before);
  });

  // proof: field-1.1-3
  it('that repeat are refused by a sentence where they are none, or longer than 100 years', async () => {
    const routes = [
      ['/deckies/x/mutate-interval', 'mutate_interval'],
      ['/config/reconcile-interval', 'reconcile_interval'],
      ['/config/global-mutation-interval', 'global_mutation_interval'],
    ] as const;
    for (const [path, field] of routes) {
      for (const text of ['0m', '5', '30s', '24h', '1e3m', '-5m', '5 m', '', '٣m'] as const) {
        const { status, json } = await api('PUT', path, { [field]: text });
        assert.equal(status, 422, `${field} ${text}`);
        // What DECNET's own client reads.
        if (field === 'global_mutation_interval') assert.equal(json.detail, 'Invalid request parameters');
        else
          assert.match(json.detail, new RegExp(`^${field}: '${text}' is no interval\\. Write .* for example 30m\\.$`));
      }
      for (const text of ['101y', '999999999Y', '52560001m']) {
        const { status, json } = await api('PUT', path, { [field]: text });
        assert.deepEqual([status, json.detail.split('. ')[0]], [422, `${field}: '${text}' is longer than 100 years`]);
      }
    }
    const { status, json } = await api('PUT', '/deckies/x/mutate-interval', { mutate_interval: 52_560_001 });
    assert.deepEqual([status, json.detail.includes('is longer than 100 years')], [422, true]);
  });

  // proof: field-1.1-2
  it('that can’t both be met are refused by a sentence with both, also where one is the default', async () => {
    const before = await swarm.api.counts();
    for (const given of [
      { min_healthy_time: '10m' },
      { healthy_deadline: '1s' },
      { min_healthy_time: '2m', healthy_deadline: '1m' },
    ]) {
      const { status, json, text } = await deploy(given);
      assert.equal(status, 422, text);
      assert.match(json.detail, /^min_healthy_time: \w+ is longer than healthy_deadline \(\w+/);
    }
    assert.deepEqual(await swarm.api.counts(), before);
  });

  it('of a fleet that was sent before its change hold for a rotation within the table', async () => {
    await swarm.api.database.sql`update deployments set options = options || '{"progressDeadlineMs": 0}'`;
    await createRotationStore(swarm.api.database.sql).store({ operationId: 'rotates', deckyName: 'x' });
    assert.equal((await storedLast()).progressDeadlineMs, DURATIONS.progress_deadline.least);
    const [old] = await swarm.api.database.sql`select id from deployments where kind = 'deploy' limit 1`;
    const options = await createOperationStore(swarm.api.database.sql).options(old?.id);
    assert.equal(options.progressDeadlineMs, DURATIONS.progress_deadline.least);
  });
});
