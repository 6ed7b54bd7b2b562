import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { createHostStore } from '../../adapters/postgres/hosts.ts';
import { deployWorkflowId, shardWorkflowId } from '../../fleet/housekeeping.ts';
import { doneStatus } from '../support/agents/scripted-agent.ts';
import { iniOf, statusesOf } from '../support/fixtures/named-deckies.ts';
import { scriptedSwarm } from '../support/temporal/scripted-swarm.ts';
import { until } from '../support/until.ts';

describe('a deploy over hosts', function () {
  this.timeout(120_000);
  const swarm = scriptedSwarm();

  // proof: swarm-web-ui
  it('is a child per host, found by HostUuid, that says what it waits for, sends the whole set and ends with the reports', async () => {
    const [h1, h2] = [await swarm.agent('h1'), await swarm.agent('h2')];
    const accepted = await swarm.world.deploy(iniOf('a', 'b', 'c'));
    assert.equal(accepted.mode, 'swarm');
    const child = shardWorkflowId(accepted.deployment_id, h1.hostUuid);
    const details = async (workflowId: string): Promise<string> => {
      const handle = swarm.world.temporal.client.workflow.getHandle(workflowId);
      return (await handle.query<{ currentDetails?: string }>('__temporal_workflow_metadata')).currentDetails ?? '';
    };
    await until('the child says what it waits for', async () =>
      /\*\*Waiting for\*\* reports of host `h1` on a, c/.test(await details(child).catch(() => '')),
    );
    const parent = await details(deployWorkflowId(accepted.deployment_id));
    assert.match(parent, /2 open/);
    assert.match(parent, new RegExp(`Waiting for\\*\\* \`${child}\`: 2 deckies on host h1`));
    for (const one of [h1, h2]) await one.report('succeeded');
    const rows = await swarm.world.ended(accepted.lifecycle_ids);
    assert.deepEqual(statusesOf(rows), { a: 'succeeded', b: 'succeeded', c: 'succeeded' });
    assert.deepEqual(
      rows.map((row) => row.host_uuid),
      [h1.hostUuid, h2.hostUuid, h1.hostUuid],
    );
    const [order] = h1.orders;
    assert.equal(order?.config.mode, 'swarm');
    assert.deepEqual(order?.deckhand?.deploy, ['a', 'c']);
    assert.deepEqual([order?.deckhand?.operation_id, order?.deckhand?.attempt], [accepted.deployment_id, 1]);
    const { client } = swarm.world.temporal;
    await until('the shard is found by its host', async () => {
      const found = client.workflow.list({ query: `HostUuid = '${h1.hostUuid}' and DeckyName = 'c'` });
      for await (const one of found) return one.workflowId === shardWorkflowId(accepted.deployment_id, h1.hostUuid);
      return false;
    });
    const summary = await client.workflow.getHandle(deployWorkflowId(accepted.deployment_id)).result();
    assert.deepEqual([summary.outcome, summary.succeeded], ['succeeded', 3]);
  });

  // proof: promise-6, host-order, gap-b3
  it('B3: two deploys and a removal for one host run one after another, in order; another host does not wait', async () => {
    const [h1, h2] = [await swarm.agent('h1'), await swarm.agent('h2')];
    h2.onDeploy = () => h2.report('succeeded');
    const first = await swarm.world.deploy(iniOf('a'));
    await until('h1 has the first order', () => h1.orders.length === 1);
    const second = await swarm.world.deploy(iniOf('b', 'c'));
    await until('the second is on h2', () => h2.orders.length === 1);
    assert.deepEqual(
      (await swarm.world.ended([second.lifecycle_ids[1] ?? ''])).map((row) => row.status),
      ['succeeded'],
    );
    await pause(1_000);
    assert.equal(h1.orders.length, 1, 'the second order came before the first had ended');
    h1.onDeploy = () => h1.report('succeeded');
    await h1.report('succeeded');
    await swarm.world.ended([...first.lifecycle_ids, ...second.lifecycle_ids]);
    const removal = await swarm.world.deployments.teardown({ username: 'admin', decky_name: 'a' });
    assert.deepEqual(statusesOf(await swarm.world.ended([removal.lifecycle_id])), { a: 'succeeded' });
    assert.deepEqual(
      h1.orders.map((order) => order.config.deckies.map((decky) => decky.name)),
      [['a'], ['a', 'b']],
    );
    assert.deepEqual(h1.teardowns, ['a']);
  });

  // proof: promise-3, gap-a7
  it('A7: a report that was lost is found out by asking the agent, and one that forgot the order gets it again', async () => {
    const [h1, h2] = [await swarm.agent('h1'), await swarm.agent('h2')];
    h1.onDeploy = (order) => {
      h1.status = doneStatus(order);
    };
    const nothing = { version: 't', network: null, work: [], deckies: {}, unreported: 0 };
    h2.status = { deployed: false, deckies: [], deckhand: nothing };
    // With its disk it lost its count, so that it begins again at one.
    h2.onDeploy = (order) =>
      order.deckhand?.attempt === 2
        ? h2.report('succeeded', undefined, { sequence: 1 })
        : h2.report('running', undefined, { sequence: 50 });
    const accepted = await swarm.world.deploy(iniOf('a', 'b'));
    assert.deepEqual(statusesOf(await swarm.world.ended(accepted.lifecycle_ids, 100_000)), {
      a: 'succeeded',
      b: 'succeeded',
    });
    assert.equal(h1.orders.length, 1);
    assert.deepEqual(
      h2.orders.map((order) => order.deckhand?.attempt),
      [1, 2],
    );
  });

  // proof: promise-4, heartbeats, gap-a7
  it('A8: reports of an earlier attempt, overtaken ones and those of nobody’s row change nothing', async () => {
    const h1 = await swarm.agent('h1');
    const accepted = await swarm.world.deploy(iniOf('a', 'b'));
    await until('h1 has the order', () => h1.orders.length === 1);
    await h1.report('failed', ['a'], { attempt: 0, error: 'ContainerExited: old' });
    await h1.report('running', ['a'], { sequence: 10 });
    await h1.report('failed', ['a'], { sequence: 9, error: 'ContainerExited: overtaken' });
    await h1.report('succeeded', ['b'], { sequence: 11 });
    await until('b has ended', async () => (await swarm.world.rows(accepted.lifecycle_ids))[1]?.status === 'succeeded');
    assert.equal((await swarm.world.rows(accepted.lifecycle_ids))[0]?.status, 'running');
    await h1.report('succeeded', ['a'], { sequence: 12 });
    assert.deepEqual(statusesOf(await swarm.world.ended(accepted.lifecycle_ids)), { a: 'succeeded', b: 'succeeded' });
  });

  it('A5: a host that never answers ends its rows as HostLost, and the others are done long before', async () => {
    const [h1, h2] = [await swarm.agent('h1'), await swarm.agent('h2')];
    await h1.silence();
    h2.onDeploy = () => h2.report('succeeded');
    const accepted = await swarm.world.deploy(iniOf('a', 'b'), {
      options: { minHealthyTimeMs: 0, hostLostAfterMs: 6_000 },
    });
    await swarm.world.ended([accepted.lifecycle_ids[1] ?? '']);
    assert.equal((await swarm.world.rows(accepted.lifecycle_ids))[0]?.status, 'running');
    const [lost, done] = await swarm.world.ended(accepted.lifecycle_ids);
    assert.deepEqual([lost?.status, done?.status], ['failed', 'succeeded']);
    assert.match(lost?.error ?? '', /^HostLost: host h1 gave no sign of life/);
  });

  // proof: gap-c1
  it('C1: a host that comes back in time is given the order then', async () => {
    const h1 = await swarm.agent('h1');
    await h1.silence();
    h1.onDeploy = () => h1.report('succeeded');
    const accepted = await swarm.world.deploy(iniOf('a'));
    await pause(3_000);
    await h1.listen();
    assert.deepEqual(statusesOf(await swarm.world.ended(accepted.lifecycle_ids)), { a: 'succeeded' });
  });

  it('a failed report of an agent without fences takes two observations, and what runs has succeeded', async () => {
    const h1 = await swarm.agent('h1', { fenced: false });
    h1.onDeploy = async (order) => {
      h1.status = {
        deployed: true,
        deckies: order.config.deckies,
        runtime: {
          a: { running: true, services: { ssh: 'running' } },
          b: { running: false, services: { ssh: 'exited' } },
        },
      };
      await h1.report('failed', ['a', 'b'], { unfenced: true, error: 'CalledProcessError: exit 1' });
    };
    const accepted = await swarm.world.deploy(iniOf('a', 'b'));
    const rows = await swarm.world.ended(accepted.lifecycle_ids);
    assert.deepEqual(statusesOf(rows), { a: 'succeeded', b: 'failed' });
    assert.equal(rows[1]?.error, 'CalledProcessError: exit 1');
  });

  // proof: max-parallel
  it('at most max_parallel hosts are at work at once, and an unreachable one gives its slot back', async () => {
    const three = [await swarm.agent('h1'), await swarm.agent('h2'), await swarm.agent('h3')];
    await three[0]?.silence();
    const accepted = await swarm.world.deploy(iniOf('a', 'b', 'c'), {
      options: { minHealthyTimeMs: 0, maxParallel: 1 },
    });
    await until('h2 has its order though h1 is unreachable', () => three[1]?.orders.length === 1);
    await pause(1_500);
    assert.equal(three[2]?.orders.length, 0, 'h3 was begun while h2 held the only slot');
    for (const one of three) one.onDeploy = () => one.report('succeeded');
    await three[1]?.report('succeeded');
    await until('h3 has its order', () => three[2]?.orders.length === 1);
    await three[0]?.listen();
    const rows = await swarm.world.ended(accepted.lifecycle_ids);
    assert.deepEqual(statusesOf(rows), { a: 'succeeded', b: 'succeeded', c: 'succeeded' });
  });

  // proof: bench-swarm
  it('shards of many hosts are begun eight at a time, and each is begun though others say nothing', async () => {
    const ten = await Promise.all(Array.from({ length: 10 }, (_, index) => swarm.agent(`h${index}`)));
    const accepted = await swarm.world.deploy(iniOf(...ten.map((_, index) => `d${index}`)), {
      options: { maxParallel: 10 },
    });
    await until('all have their orders', () => ten.every(({ orders }) => orders.length === 1));
    for (const one of ten) await one.report('succeeded');
    await swarm.world.ended(accepted.lifecycle_ids);
    const { events } = await swarm.world.temporal.client.workflow
      .getHandle(`deploy/${accepted.deployment_id}`)
      .fetchHistory();
    const begun = (events ?? []).flatMap((event) => {
      const by = event.startChildWorkflowExecutionInitiatedEventAttributes?.workflowTaskCompletedEventId;
      return by ? [String(by)] : [];
    });
    assert.deepEqual([begun.length, begun.filter((by) => by === begun[0]).length], [10, 8]);
  });

  it('a shard that was terminated ends its rows as WorkflowLost, with what the host says, and its lane goes on', async () => {
    const h1 = await swarm.agent('h1');
    const accepted = await swarm.world.deploy(iniOf('a'));
    await until('h1 has the order', () => h1.orders.length === 1);
    await swarm.world.temporal.client.workflow
      .getHandle(shardWorkflowId(accepted.deployment_id, h1.hostUuid))
      .terminate();
    const [row] = await swarm.world.ended(accepted.lifecycle_ids);
    assert.match(row?.error ?? '', /^WorkflowLost: /);
    h1.onDeploy = () => h1.report('succeeded');
    const again = await swarm.world.deploy(iniOf('a'));
    assert.deepEqual(statusesOf(await swarm.world.ended(again.lifecycle_ids)), { a: 'succeeded' });
  });

  it('deckies of a host that was removed can be taken down, alone and by a replacement', async () => {
    const h1 = await swarm.agent('h1');
    h1.onDeploy = () => h1.report('succeeded');
    await swarm.world.ended((await swarm.world.deploy(iniOf('a', 'b'))).lifecycle_ids);
    await createHostStore(swarm.world.database.sql).remove(h1.hostUuid);
    const alone = await swarm.world.deployments.teardown({ username: 'admin', decky_name: 'a' });
    await swarm.world.ended([alone.lifecycle_id]);
    const replaced = await swarm.world.deploy(iniOf('here'), { replace: true });
    const ids = [alone.lifecycle_id, ...replaced.removed_lifecycle_ids, ...replaced.lifecycle_ids];
    const rows = await swarm.world.ended(ids);
    assert.deepEqual(statusesOf(rows), { a: 'succeeded', b: 'succeeded', here: 'succeeded' });
  });

  it('the local deckies of a mixed deployment run at the same time', async () => {
    const local = await swarm.world.deploy(iniOf('here'));
    await swarm.world.ended(local.lifecycle_ids);
    const h1 = await swarm.agent('h1');
    const mixed = await swarm.world.deploy(iniOf('here', 'there'), { replace: true });
    const rows = await swarm.world.ended([mixed.lifecycle_ids[0] ?? '']);
    assert.deepEqual(statusesOf(rows), { here: 'succeeded' });
    await until('h1 has the order', () => h1.orders.length === 1);
    assert.equal((await swarm.world.rows([mixed.lifecycle_ids[1] ?? '']))[0]?.status, 'running');
    await h1.report('succeeded');
    assert.deepEqual(statusesOf(await swarm.world.ended(mixed.lifecycle_ids)), {
      here: 'succeeded',
      there: 'succeeded',
    });
  });
});
