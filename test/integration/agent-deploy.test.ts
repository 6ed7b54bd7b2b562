import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { loadBuiltinImages } from '../../decoys/images.ts';
import type { Delta } from '../../fleet/agent-wire.ts';
import type { AgentHost } from '../support/agents/agent-host.ts';
import { startedAgent } from '../support/agents/started-agent.ts';
import { leaveBehind } from '../support/docker/left-behind.ts';
import { until } from '../support/until.ts';

const ended = (deltas: readonly Delta[]): Delta[] => deltas.filter(({ status }) => status !== 'running');

describe('the agent at work', () => {
  let host: AgentHost;
  startedAgent((made) => {
    host = made;
  });
  afterEach(() => {
    host.master.heartbeats.length = 0;
  });

  /** Waits until the operation has ended for so many deckies; by name. */
  async function outcomes(operationId: string, count: number): Promise<Record<string, Delta>> {
    const mine = () => ended(host.master.deltas()).filter((delta) => delta.operation_id === operationId);
    await until('the reports', () => mine().length >= count);
    const found = mine();
    assert.equal(found.length, count, JSON.stringify(found));
    return Object.fromEntries(found.map((delta) => [delta.decky_name.slice(host.prefix.length + 1), delta]));
  }

  async function deploy(...args: Parameters<AgentHost['order']>): Promise<Record<string, Delta>> {
    const order = host.order(...args);
    assert.equal((await host.call('POST', '/deploy', order)).status, 202);
    const { operation_id = '', deploy: come = [], remove = [] } = order.deckhand ?? {};
    return outcomes(operation_id, come.length + remove.length);
  }

  const addresses = async (): Promise<Record<string, string>> =>
    Object.fromEntries((await host.status()).deckies.map(({ name, ip }) => [name.slice(host.prefix.length + 1), ip]));

  it('takes a deploy at once, brings the containers up, and reports each decky with its fence', async () => {
    const order = host.order([host.decky('one', 11, { services: ['ssh', 'http'] }), host.decky('two', 12)]);
    const names = order.config.deckies.map(({ name }) => name);
    const answer = await host.call('POST', '/deploy', order);
    assert.deepEqual(answer, { status: 202, body: { status: 'accepted', deckies: names } });
    const deltas = await outcomes(order.deckhand?.operation_id ?? '', 2);
    for (const delta of Object.values(deltas)) {
      assert.equal(delta.status, 'succeeded');
      assert.equal(delta.attempt, 1);
      assert.equal(delta.seen, 'running');
      assert.ok(delta.sequence);
    }
    const [one = '', two = ''] = names;
    const expected = [one, `${one}-http`, `${one}-ssh`, two, `${two}-http`];
    assert.deepEqual(Object.keys(await host.containers()).sort(), expected);
    await until('reports that are acknowledged', async () => (await host.status()).deckhand?.unreported === 0);
    const status = await host.status();
    assert.deepEqual(status.runtime?.[one], { running: true, services: { ssh: 'running', http: 'running' } });
    const decky = status.deckhand?.deckies[one];
    assert.deepEqual(
      [decky?.status, decky?.seen, decky?.operation_id],
      ['succeeded', 'running', order.deckhand?.operation_id],
    );
    assert.match(decky?.config_hash ?? '', /^[0-9a-f]{64}$/);
    assert.deepEqual(status.deckhand?.work, []);
    assert.equal(status.deckhand?.network?.subnet, `${host.net}.0/24`);
  });

  it('B12: gives deckies addresses of its own net, which stay when others come and go', async () => {
    await deploy([host.decky('m', 11), host.decky('z', 12)]);
    assert.deepEqual(await addresses(), { m: `${host.net}.2`, z: `${host.net}.3` });
    const before = await host.containers();
    // DECNET lists the fleet by name, so that a new `a` would take the first address.
    const [a, m, z] = [host.decky('a', 13), host.decky('m', 11), host.decky('z', 12)];
    await deploy([a, m, z], { deploy: [a.name] });
    assert.deepEqual(await addresses(), { a: `${host.net}.4`, m: `${host.net}.2`, z: `${host.net}.3` });
    await deploy([a, z], { deploy: [], remove: [m.name] });
    assert.deepEqual(await addresses(), { a: `${host.net}.4`, z: `${host.net}.3` });
    const after = await host.containers();
    assert.equal(after[z.name], before[z.name], 'a neighbour was made anew');
    assert.ok(!(m.name in after));
  });

  it('reports what goes with the operation as torn down, and removes silently what is merely not in the set', async () => {
    const [one, two, three] = [host.decky('g1', 11), host.decky('g2', 12), host.decky('g3', 13)];
    await deploy([one, two, three]);
    const { g1 } = await deploy([three], { deploy: [], remove: [one.name] });
    assert.deepEqual([g1?.operation, g1?.status, g1?.seen], ['teardown', 'succeeded', 'torn_down']);
    // What is removed silently is announced by nothing, and may go after what is.
    await until('the removal of a decky', async () => !(two.name in (await host.containers())));
    assert.deepEqual(Object.keys(await host.containers()).sort(), [three.name, `${three.name}-http`]);
    assert.equal(
      ended(host.master.deltas()).some((d) => d.decky_name === two.name && d.operation === 'teardown'),
      false,
    );
  });

  it('fails one decky with its evidence, not its neighbour, and removes what never came up', async () => {
    const [good, bad] = [host.decky('good', 11), host.decky('bad', 12, { services: ['broken'] })];
    const outcome = await deploy([good, bad], await exits(bad.name, 'boom-4711'));
    assert.equal(outcome.good?.status, 'succeeded');
    assert.deepEqual([outcome.bad?.status, outcome.bad?.seen], ['failed', 'failed']);
    assert.match(outcome.bad?.error ?? '', /^ContainerExited: .*boom-4711.*what had been started was removed/s);
    assert.deepEqual(Object.keys(await host.containers()).sort(), [good.name, `${good.name}-http`]);
    assert.deepEqual(Object.keys(await addresses()), ['good']);
  });

  // proof: field-2.1-5
  it('fails a decky whose image is no reference before it is touched, and its neighbour comes up', async () => {
    const honey = (image: string) => ({ name: 'honey', image, exec_cmd: '', ports: [] });
    const images = ['registry.example/honey/', 'https://ghcr.io/foo/bar:1', 'a/../../127.0.0.1:9099/secret', 'bb : 1'];
    const bad = images.map((_, index) => host.decky(`i${index}`, 20 + index, { services: ['honey'] }));
    const base = { ...host.decky('base', 30), base_image: 'https://x.example/base' };
    const good = host.decky('innocent', 31);
    const custom_services = Object.fromEntries(bad.map(({ name }, index) => [name, [honey(images[index] ?? '')]]));
    const outcome = await deploy([...bad, base, good], { custom_services });
    for (const name of ['i0', 'i1', 'i2', 'i3', 'base']) {
      assert.equal(outcome[name]?.status, 'failed', name);
      assert.match(outcome[name]?.error ?? '', /^InvalidImage: .* is no image reference: /, name);
    }
    assert.equal(outcome.innocent?.status, 'succeeded');
    assert.deepEqual(Object.keys(await host.containers()).sort(), [good.name, `${good.name}-http`]);
  });

  it('fails a decky that can’t be described, and refuses names that none can have', async () => {
    const [good, bad] = [host.decky('fine', 11), host.decky('strange', 12, { services: ['no-such-service'] })];
    const order = host.order([good, bad]);
    assert.equal((await host.call('POST', '/deploy', order)).status, 202);
    const outcome = await outcomes(order.deckhand?.operation_id ?? '', 2);
    assert.equal(outcome.fine?.status, 'succeeded');
    assert.match(outcome.strange?.error ?? '', /^InvalidDecky: .*no-such-service/);
    const named = (name: string) => ({ ...order, config: { ...order.config, deckies: [{ ...good, name }] } });
    for (const name of ['__proto__', '..', 'a b'])
      assert.equal((await host.call('POST', '/deploy', named(name))).status, 422);
  });

  it('brings the last good version back when a new one does not stay up', async () => {
    const decky = host.decky('back', 11);
    await deploy([decky]);
    const worse = { ...decky, services: ['broken'] };
    const { back } = await deploy([worse], await exits(decky.name, 'x'));
    assert.deepEqual([back?.status, back?.seen], ['failed', 'running']);
    assert.match(back?.error ?? '', /the last good version is back/);
    assert.deepEqual(Object.keys(await host.containers()).sort(), [decky.name, `${decky.name}-http`]);
    const status = await host.status();
    assert.deepEqual(status.deckies[0]?.services, ['http']);
    assert.equal(status.deckhand?.deckies[decky.name]?.seen, 'running');
  });

  it('cuts secrets out of what it reports', async () => {
    const decky = host.decky('quiet', 11, { services: ['broken'] });
    const { quiet } = await deploy([decky], await exits(decky.name, 'hunter2-4711', ' -- --password hunter2-4711'));
    assert.equal(quiet?.status, 'failed');
    assert.match(quiet?.error ?? '', /\[cut\]/);
    assert.doesNotMatch(JSON.stringify(host.master.heartbeats.map(({ body }) => body.lifecycle)), /hunter2-4711/);
  });

  // proof: gap-b3
  it('B3: works off a deploy and a mutation of the same decky one after the other', async () => {
    const decky = host.decky('queue', 11);
    const [first, second] = [host.order([decky]), randomUUID()];
    const { deckhand } = first;
    assert.ok(deckhand);
    await host.call('POST', '/deploy', first);
    const mutation = {
      decky_id: decky.name,
      services: ['ftp', 'ssh'],
      deckhand: { ...deckhand, operation_id: second },
    };
    const answer = await host.call('POST', '/mutate', mutation);
    assert.deepEqual(answer, {
      status: 202,
      body: { status: 'accepted', decky_id: decky.name, services: ['ftp', 'ssh'] },
    });
    const work = (await host.status()).deckhand?.work.map(({ kind, state }) => `${kind} ${state}`);
    assert.deepEqual(work, ['deploy working', 'mutate queued']);
    const { queue } = await outcomes(second, 1);
    assert.deepEqual([queue?.operation, queue?.status], ['mutate', 'succeeded']);
    const done = ended(host.master.deltas()).map(({ operation, sequence = 0 }) => ({ operation, sequence }));
    done.sort((a, b) => a.sequence - b.sequence);
    assert.deepEqual(
      done.map(({ operation }) => operation),
      ['deploy', 'mutate'],
    );
    assert.deepEqual(Object.keys(await host.containers()).sort(), [
      decky.name,
      `${decky.name}-ftp`,
      `${decky.name}-ssh`,
    ]);
  });

  it('fails a mutation of a decky that it does not have, as a report', async () => {
    const { deckhand } = host.order([]);
    const order = { decky_id: `${host.prefix}-nope`, services: ['ftp'], deckhand };
    assert.equal((await host.call('POST', '/mutate', order)).status, 202);
    const { nope } = await outcomes(deckhand?.operation_id ?? '', 1);
    assert.deepEqual([nope?.operation, nope?.status], ['mutate', 'failed']);
  });

  it('works once on an attempt that is sent again, and refuses one that was superseded', async () => {
    const order = host.order([host.decky('again', 11)]);
    const { deckhand } = order;
    assert.ok(deckhand);
    const both = await Promise.all([host.call('POST', '/deploy', order), host.call('POST', '/deploy', order)]);
    assert.deepEqual(
      both.map(({ status }) => status),
      [202, 202],
    );
    await outcomes(deckhand.operation_id, 1);
    assert.equal((await host.call('POST', '/deploy', order)).status, 202);
    const next = { ...order, deckhand: { ...deckhand, attempt: 2 } };
    assert.equal((await host.call('POST', '/deploy', next)).status, 202);
    const late = await host.call('POST', '/deploy', order);
    assert.equal(late.status, 409);
    assert.match(JSON.stringify(late.body), /later attempt/);
    await outcomes(deckhand.operation_id, 2);
    const attempts = ended(host.master.deltas()).map(({ attempt }) => attempt);
    assert.deepEqual(attempts, [1, 2]);
  });

  it('ends in a later attempt what an earlier one, that it works on, has not ended', async () => {
    const order = host.order([host.decky('anew', 11), host.decky('slow', 12)], { min_healthy_time_ms: 20_000 });
    const { deckhand } = order;
    assert.ok(deckhand);
    await host.call('POST', '/deploy', order);
    await until('four containers', async () => Object.keys(await host.containers()).length === 4);
    const next = { ...order, deckhand: { ...deckhand, attempt: 2, min_healthy_time_ms: 0 } };
    await host.call('POST', '/deploy', next);
    await outcomes(deckhand.operation_id, 2);
    assert.deepEqual(
      ended(host.master.deltas()).map(({ attempt, status }) => `${attempt} ${status}`),
      ['2 succeeded', '2 succeeded'],
    );
    await until('an agent without work', async () => (await host.status()).deckhand?.work.length === 0);
  });

  it('starts what its engine left behind when it came back', async () => {
    const decky = host.decky('back', 11);
    await deploy([decky]);
    const before = await host.containers();
    assert.ok(host.docker);
    await leaveBehind(host.docker, decky.name, `${decky.name}-http`);
    // On a busy machine a look may end before the start does; the next one sees it.
    await until('it runs', async () => (await host.status()).runtime?.[decky.name]?.running);
    assert.deepEqual(await host.containers(), before);
  });

  it('answers a teardown when it is down, and the last one takes the network along', async () => {
    const [one, two] = [host.decky('t1', 11), host.decky('t2', 12)];
    await deploy([one, two]);
    const answer = await host.call('POST', '/teardown', {
      decky_id: one.name,
      deckhand: { operation_id: 'x', attempt: 1 },
    });
    assert.deepEqual(answer, { status: 200, body: { status: 'torn_down', decky_id: one.name } });
    assert.deepEqual(Object.keys(await host.containers()).sort(), [two.name, `${two.name}-http`]);
    assert.deepEqual(
      (await host.status()).deckies.map(({ name }) => name),
      [two.name],
    );
    assert.deepEqual(await host.call('POST', '/teardown', {}), {
      status: 200,
      body: { status: 'torn_down', decky_id: null },
    });
    assert.deepEqual(await host.containers(), {});
    const { deckhand, ...status } = await host.status();
    assert.deepEqual(status, { deployed: false, deckies: [] });
    assert.equal(deckhand?.network, null);
    const networks = await host.docker?.listNetworks({
      filters: { label: [`deckhand.instance=instance-${host.prefix}`] },
    });
    assert.deepEqual(networks, []);
  });

  // proof: gap-c18
  it('C18: does and reports nothing at a dry run', async () => {
    const order = host.order([host.decky('dry', 11)]);
    const names = order.config.deckies.map(({ name }) => name);
    const answer = await host.call('POST', '/deploy', { ...order, dry_run: true });
    assert.deepEqual(answer, { status: 202, body: { status: 'accepted', deckies: names } });
    await deploy([host.decky('wet', 12)]);
    assert.deepEqual([...new Set(host.master.deltas().map(({ decky_name }) => decky_name))], [`${host.prefix}-wet`]);
    assert.deepEqual((await host.status()).deckhand?.deckies[names[0] ?? ''], undefined);
  });

  it('takes an order of a master of DECNET, without a fence, and reports without one', async () => {
    const { deckhand: _, ...order } = host.order([host.decky('old', 11)]);
    assert.equal((await host.call('POST', '/deploy', order)).status, 202);
    const mine = () => ended(host.master.deltas()).filter(({ decky_name }) => decky_name === `${host.prefix}-old`);
    await until('a report', () => mine().length > 0);
    assert.deepEqual(
      mine().map(({ completed_at, ...delta }) => delta),
      [{ decky_name: `${host.prefix}-old`, operation: 'deploy', status: 'succeeded' }],
    );
  });
});

/** For a decky: a service that says a word and ends, before it counts as healthy on a busy machine too. */
async function exits(decky: string, word: string, more = ''): Promise<Parameters<AgentHost['order']>[1]> {
  const { baseImage } = await loadBuiltinImages();
  const broken = { name: 'broken', image: baseImage, exec_cmd: `node -e throw/**/"${word}"${more}`, ports: [] };
  return { custom_services: { [decky]: [broken] }, min_healthy_time_ms: 5_000 };
}
