/** What a shard makes of hosts that say odd things, that come and go, and that no retry brings back. */
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { createHostStore } from '../../adapters/postgres/hosts.ts';
import type { AgentStatus } from '../../fleet/agent-wire.ts';
import { shardWorkflowId } from '../../fleet/housekeeping.ts';
import { doneStatus } from '../support/agents/scripted-agent.ts';
import { iniOf, statusesOf } from '../support/fixtures/named-deckies.ts';
import { scriptedSwarm } from '../support/temporal/scripted-swarm.ts';
import { until } from '../support/until.ts';

describe('a shard that listens', function () {
  this.timeout(150_000);
  const swarm = scriptedSwarm();

  const historyOf = async (workflowId: string): Promise<string[]> => {
    const { events } = await swarm.world.temporal.client.workflow.getHandle(workflowId).fetchHistory();
    return (events ?? []).map(
      (event) => event.activityTaskScheduledEventAttributes?.activityType?.name ?? String(event.eventType),
    );
  };

  // proof: field-1.2-3
  it('ends its rows by what the agents say when they are asked, whatever that is', async () => {
    const said: Record<string, object> = {
      long: { status: 'failed', error: 'x'.repeat(5_000), seen: 'failed' },
      nul: { status: 'failed', error: 'ContainerExited: a\0b', seen: 'failed' },
      later: { status: 'succeeded', seen: 'hibernating', mood: 7 },
    };
    const names = Object.keys(said);
    for (const [at, name] of names.entries()) {
      const agent = await swarm.agent(`h${at}`);
      agent.onDeploy = (order) => {
        agent.status = doneStatus(order, said[name] as never) as AgentStatus;
      };
    }
    const accepted = await swarm.world.deploy(iniOf(...names));
    const rows = await swarm.world.ended(accepted.lifecycle_ids);
    const errors = Object.fromEntries(rows.map((row) => [row.decky_name, row.error]));
    assert.deepEqual(statusesOf(rows), { long: 'failed', nul: 'failed', later: 'succeeded' });
    assert.equal(errors.long?.length, 2_000);
    assert.equal(errors.nul, 'ContainerExited: ab');
  });

  // proof: field-1.3-1
  it('takes a report in at once that comes while another host has the only slot', async () => {
    const [h1, h2] = [await swarm.agent('h1'), await swarm.agent('h2')];
    h1.onDeploy = async () => {
      h1.status = { ...doneStatus(h1.orders[0] as never, { status: 'running', seen: 'pending' }) };
      await h1.silence();
    };
    const accepted = await swarm.world.deploy(iniOf('a', 'b'), { options: { minHealthyTimeMs: 0, maxParallel: 1 } });
    await until('h2 has the slot of h1, which is unreachable', () => h2.orders.length === 1, 60_000);
    await h1.listen();
    await until('h1 is asked again', () => h1.asked.filter((path) => path === '/status').length >= 2, 30_000);
    await pause(1_000);
    await h1.report('succeeded');
    const [row] = await swarm.world.ended([accepted.lifecycle_ids[0] ?? ''], 10_000);
    assert.equal(row?.status, 'succeeded');
    assert.equal((await swarm.world.rows([accepted.lifecycle_ids[1] ?? '']))[0]?.status, 'running');
    await h2.report('succeeded');
    assert.deepEqual(statusesOf(await swarm.world.ended(accepted.lifecycle_ids)), { a: 'succeeded', b: 'succeeded' });
  });

  // proof: field-1.4-1
  it('ends its rows at once, with the code, for what no retry cures', async () => {
    const { sql } = swarm.world.database;
    const [gone, other, no] = [await swarm.agent('h1'), await swarm.agent('h2'), await swarm.agent('h3')];
    const accepted = await swarm.world.deploy(iniOf('a', 'b', 'c'));
    await until('all have their orders', () => [gone, other, no].every(({ orders }) => orders.length === 1));
    await createHostStore(sql).remove(gone.hostUuid);
    await sql`update swarm_hosts set client_cert_fingerprint = ${'0'.repeat(64)} where uuid = ${other.hostUuid}`;
    no.failing.set('/status', 404);
    const rows = await swarm.world.ended(accepted.lifecycle_ids, 60_000);
    assert.deepEqual(
      rows.map((row) => row.error?.split(':')[0]),
      ['NotFound', 'HostMismatch', 'HostRefused'],
    );
  });

  // proof: field-1.4-2
  it('adds little to its history while its host is unreachable, or fails at every order', async () => {
    const [silent, failing] = [await swarm.agent('h1'), await swarm.agent('h2')];
    await silent.silence();
    failing.failing.set('/deploy', 500);
    const accepted = await swarm.world.deploy(iniOf('a', 'b'), {
      options: { minHealthyTimeMs: 0, hostLostAfterMs: 30_000, progressDeadlineMs: 30_000 },
    });
    const workflowIds = [silent, failing].map(({ hostUuid }) => shardWorkflowId(accepted.deployment_id, hostUuid));
    await until('both are tried again, and the rows say why and until when', async () => {
      const steps = await swarm.world.database.sql<
        { step: string | null }[]
      >`select step from decky_lifecycle order by decky_name`;
      return (
        /^host h1 is asked again until 20.*Z: .*can’t be reached/.test(steps[0]?.step ?? '') &&
        /^the order is sent again until 20.*Z: .*scripted 500/.test(steps[1]?.step ?? '')
      );
    });
    const rows = await swarm.world.ended(accepted.lifecycle_ids, 60_000);
    assert.deepEqual(
      rows.map((row) => row.error?.split(':')[0]),
      ['HostLost', 'ProgressDeadline'],
    );
    assert.match(rows[1]?.error ?? '', /scripted 500/);
    for (const workflowId of workflowIds) {
      const { length } = await historyOf(workflowId);
      assert.ok(length < 150, `${length} events in half a minute`);
    }
  });
});
