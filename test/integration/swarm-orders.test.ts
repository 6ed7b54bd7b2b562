/** What the swarm controller is asked to do at once: deploys and teardowns as DECNET’s command orders them. */
import assert from 'node:assert/strict';
import { plainDecky } from '../support/docker/plain-decky.ts';
import { swarmOperator } from '../support/master/swarm-operator.ts';
import { until } from '../support/until.ts';

/** What goes on in the background is soon over. */
const PATIENCE_MS = 10_000;

const config = (name: string, hostUuid: string) => ({
  name,
  ip: '10.77.0.9',
  services: ['ssh'],
  distro: 'debian',
  base_image: 'debian',
  hostname: name,
  host_uuid: hostUuid,
});
const deployBody = (...deckies: object[]) => ({
  config: { mode: 'swarm', interface: 'eth0', subnet: '10.77.0.0/24', gateway: '10.77.0.1', deckies },
});

describe('orders of the swarm controller', function () {
  this.timeout(60_000);
  const on = swarmOperator();
  const { api, hostWithAgent, shards } = on;

  it('teardown of a host is accepted at once, and its end is seen in the shards', async () => {
    const { uuid, agent } = await hostWithAgent('h1');
    await on.swarm.ports.reports.note(uuid, [
      {
        config: { ...plainDecky, ...config('a', uuid) },
        state: 'running',
        lastError: null,
      },
    ]);
    agent.answers.set('/teardown', { status: 500, body: { detail: 'docker is away' } });
    const failing = await api('POST', `/swarm/hosts/${uuid}/teardown`, { decky_id: null });
    assert.deepEqual(
      [failing.status, failing.json.accepted, failing.json.host_name, failing.json.decky_id],
      [202, true, 'h1', null],
    );
    const failed = await until(
      'the failure',
      async () => (await shards()).find((shard: { state: string }) => shard.state === 'teardown_failed'),
      PATIENCE_MS,
    );
    assert.match(failed.last_error, /docker is away/);
    agent.answers.delete('/teardown');
    await api('POST', `/swarm/hosts/${uuid}/teardown`, { decky_id: 'a' });
    await until('the end of the shard', async () => (await shards()).length === 0, PATIENCE_MS);
    assert.deepEqual(
      agent.orders.map((order) => order.body.decky_id),
      [null, 'a'],
    );
    assert.equal((await api('POST', '/swarm/hosts/nope/teardown', {})).status, 404);
  });

  it('orders of the controller reach each host with its own deckies and its own driver (B15)', async () => {
    const one = await hostWithAgent('one');
    const other = await hostWithAgent('other');
    await on.swarm.hosts.change(other.uuid, { useIpvlan: true });
    const { host: dead } = await on.swarm.enroll('dead');
    const body = deployBody(config('a', one.uuid), config('b', other.uuid), config('c', dead.uuid));
    const answer = await on.swarm.call('POST', '/swarm/deploy', { token: on.swarm.admin, body });
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(
      answer.json.results.map((result: { host_name: string; ok: boolean }) => [result.host_name, result.ok]),
      [
        ['one', true],
        ['other', true],
        ['dead', false],
      ],
    );
    const sent = [one, other].map(
      ({ agent }) => agent.orders[0]?.body as { config: { ipvlan: boolean; deckies: { name: string }[] } },
    );
    assert.deepEqual(
      sent.map((order) => [order.config.ipvlan, order.config.deckies.map((decky) => decky.name)]),
      [
        [false, ['a']],
        [true, ['b']],
      ],
    );
    assert.deepEqual(
      (await shards()).map((shard: { decky_name: string; state: string }) => [shard.decky_name, shard.state]),
      [
        ['a', 'pending'],
        ['b', 'pending'],
        ['c', 'failed'],
      ],
    );
  });

  it('what an agent says of a failure is cut free of secrets before it is kept or answered', async () => {
    const { uuid, agent } = await hostWithAgent('h1');
    const password = 'hunter2-of-an-order';
    for (const path of ['/deploy', '/teardown'])
      agent.answers.set(path, { status: 400, body: { detail: `bad --password=${password}` } });
    const decky = { ...config('a', uuid), service_config: { ssh: { password } } };
    const made = { token: on.swarm.admin, body: deployBody(decky) };
    const [deployed] = (await on.swarm.call('POST', '/swarm/deploy', made)).json.results;
    const [down] = (await on.swarm.call('POST', '/swarm/teardown', { token: on.swarm.admin, body: {} })).json.results;
    const [shard] = await shards();
    for (const text of [deployed.detail, down.detail, shard.last_error]) {
      assert.match(text, /bad --password=\[cut\]/);
      assert.ok(!text.includes(password));
    }
  });

  it('a decky of such an order is strict, and has to name its host', async () => {
    const { host } = await on.swarm.enroll('h1');
    const { host_uuid: _, ...homeless } = config('a', '');
    const without = await on.swarm.call('POST', '/swarm/deploy', { token: on.swarm.admin, body: deployBody(homeless) });
    assert.equal(without.status, 400);
    const odd = { ...config('a', host.uuid), surprise: 1 };
    const strict = await on.swarm.call('POST', '/swarm/deploy', { token: on.swarm.admin, body: deployBody(odd) });
    assert.deepEqual(
      [strict.status, strict.json.detail[0]?.type, strict.json.detail[0]?.loc],
      [422, 'extra_forbidden', ['body', 'config', 'deckies', 0, 'surprise']],
    );
  });

  it('orders keep off a host whose lane an operation has', async () => {
    const { uuid, agent } = await hostWithAgent('h1');
    await on.swarm.deploy(['a']);
    const order = { token: on.swarm.admin, body: deployBody(config('b', uuid)) };
    const [deployed] = (await on.swarm.call('POST', '/swarm/deploy', order)).json.results;
    assert.deepEqual([deployed.ok, agent.orders], [false, []]);
    assert.match(deployed.detail, /still open/);
    const [down] = (await on.swarm.call('POST', '/swarm/teardown', { token: on.swarm.admin, body: {} })).json.results;
    assert.deepEqual([down.ok, agent.orders], [false, []]);
    assert.equal((await api('POST', `/swarm/hosts/${uuid}/teardown`, {})).status, 409);
  });
});
