import assert from 'node:assert/strict';
import { ADMIN_PASSWORD, type ApiHarness, createApiHarness, GENERAL } from '../support/master/api-harness.ts';

describe('API: mutating', () => {
  let api: ApiHarness;
  let token: string;
  before(async () => {
    api = await createApiHarness();
    token = await api.login('admin', ADMIN_PASSWORD);
    const body = { ini_content: `${GENERAL}[Web_01.a]\nservices=ssh\n[b]\nservices=http\n` };
    assert.equal((await api.call('POST', '/api/v1/deckies/deploy', { token, body })).status, 202);
    await api.settle();
  });
  after(() => api.close());
  afterEach(() => api.settle());

  const mutate = (name: string, body?: unknown, headers = {}) =>
    api.call('POST', `/api/v1/deckies/${name}/mutate`, { token, headers, ...(body === undefined ? {} : { body }) });
  const interval = (body: unknown, name = 'b') =>
    api.call('PUT', `/api/v1/deckies/${name}/mutate-interval`, { token, body });
  const decky = async (name: string) =>
    (await api.deps.fleet.deckies()).find((one) => one.name === name) ?? assert.fail(name);

  it('takes names as a deploy does (gap C22) and services of a body, and answers at once with one row (gaps C11, C21)', async () => {
    const answer = await mutate('Web_01.a', { services: ['ftp', 'http'] });
    assert.equal(answer.status, 202, answer.text);
    assert.deepEqual(Object.keys(answer.json), ['lifecycle_ids']);
    assert.equal(answer.json.lifecycle_ids.length, 1);
    assert.deepEqual((await decky('Web_01.a')).services, ['ftp', 'http']);
  });

  it('needs no body, and one without services draws them', async () => {
    for (const body of [undefined, {}, { services: null }]) {
      assert.equal((await mutate('b', body)).status, 202);
      await api.settle();
    }
  });

  it('refuses what can’t be', async () => {
    assert.equal((await mutate('b', { services: ['nonsense'] })).status, 409);
    assert.equal((await mutate('b', { services: [5] })).status, 400);
    assert.equal((await mutate('b', { services: [] })).status, 422);
    assert.equal((await mutate('nobody')).status, 404);
    assert.equal((await mutate('no%20body')).status, 422);
    assert.equal((await mutate('b')).status, 202);
    const busy = await mutate('b');
    assert.equal(busy.status, 409);
    assert.match(busy.json.detail, /open mutate \(lifecycle id [0-9a-f-]{36}\)/);
  });

  // proof: mutate
  it('gives the first answer to the same Idempotency-Key, and 422 where decky or services differ', async () => {
    const headers = { 'idempotency-key': 'k1' };
    const first = await mutate('b', { services: ['ssh'] }, headers);
    assert.equal(first.status, 202);
    await api.settle();
    assert.deepEqual((await mutate('b', { services: ['ssh'] }, headers)).json, first.json);
    assert.equal((await mutate('b', { services: ['ftp'] }, headers)).status, 422);
    assert.equal((await mutate('Web_01.a', { services: ['ssh'] }, headers)).status, 422);
  });

  // proof: gap-c10
  it('stores an interval in minutes, takes the number that the original’s page sends (gap C21), and null is off (gap C14)', async () => {
    const states: unknown[] = [];
    for (const value of ['5d', '30m', '2M', '1y', 45, null]) {
      const answer = await interval({ mutate_interval: value });
      assert.deepEqual(answer.json, { message: 'Mutation interval updated' }, answer.text);
      const [row] = await api.database.sql<{ off: boolean }[]>`
        select rotation_off as off from fleet_deckies where name = 'b'`;
      states.push([(await decky('b')).mutate_interval, row?.off]);
    }
    assert.deepEqual(states, [
      [7_200, false],
      [30, false],
      [86_400, false],
      [525_600, false],
      [45, false],
      [null, true],
    ]);
    assert.equal((await interval({})).status, 200);
  });

  it('refuses an interval that is none', async () => {
    for (const text of ['soon', '0m', '5h', '30'])
      assert.equal((await interval({ mutate_interval: text })).status, 422);
    for (const value of [true, ['5m'], 0, 1.5]) assert.equal((await interval({ mutate_interval: value })).status, 400);
    assert.deepEqual((await interval({ mutate_interval: '5m' }, 'nobody')).json, { detail: 'Decky not found' });
  });
});
