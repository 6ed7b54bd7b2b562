import assert from 'node:assert/strict';
import { ScheduleNotFoundError, ScheduleOverlapPolicy } from '@temporalio/client';
import { returnedIds } from '../../adapters/postgres/deployments.ts';
import { createSettings } from '../../adapters/postgres/settings.ts';
import { ensureHousekeeping, type HousekeepingOptions } from '../../adapters/temporal/schedules.ts';
import {
  CLOCK_EVERY_MS,
  housekeepingWorkflowId,
  rotateWorkflowId,
  runsPerDay,
  SWEEP_EVERY_MS,
} from '../../fleet/housekeeping.ts';
import { acceptRequest } from '../../operations/acceptance.ts';
import { storeDeploy } from '../support/master/requests.ts';
import { createWorld, type World } from '../support/temporal/workflow-fixture.ts';
import { until } from '../support/until.ts';

const HOUR = 3_600_000;
/** So many rounds of each task are twenty minutes of a stack that nobody uses. */
const ROUNDS = 20;

describe('housekeeping', function () {
  this.timeout(120_000);
  let world: World;
  beforeEach(async () => {
    world = await createWorld();
  });
  afterEach(async () => {
    await handle()
      .terminate('the test is over')
      .catch(() => undefined);
    await world.close();
  });

  const handle = () => world.temporal.client.workflow.getHandle(housekeepingWorkflowId(world.id));
  const keep = (
    more: Partial<HousekeepingOptions> & {
      sweepMs?: number;
      lookMs?: number;
      clockMs?: number;
      mostEvents?: number;
    } = {},
  ) => {
    const { sweepMs = 20, lookMs = HOUR, clockMs = 20, mostEvents, anew = false } = more;
    const input = { sweepMs, lookMs, clockMs, ...(mostEvents ? { mostEvents } : {}) };
    return ensureHousekeeping(world.temporal.client, { taskQueue: world.id, searchAttributes: true, input, anew });
  };
  const count = async (query: string): Promise<number> =>
    (await world.temporal.client.workflow.count(`TaskQueue = '${world.id}' ${query}`)).count;
  async function rounds() {
    const { events = [] } = await handle().fetchHistory();
    const of = (name: string) =>
      (events ?? []).filter((one) => one.activityTaskScheduledEventAttributes?.activityType?.name === name).length;
    return {
      sweeps: of('findOrphans'),
      readings: of('readIntervals'),
      asked: of('dueRotations'),
      events: events?.length ?? 0,
      begun: (events ?? []).filter((one) => one.startChildWorkflowExecutionInitiatedEventAttributes).length,
      skipped: (events ?? []).filter((one) => one.startChildWorkflowExecutionFailedEventAttributes).length,
    };
  }
  /** A decky that inherits the global interval of a minute, and for which nothing happened so long. */
  async function heir(ago: string): Promise<string> {
    const { sql } = world.database;
    const name = `${world.id}-heir`;
    await createSettings(sql).setGlobalMutationInterval('1m');
    await world.ended((await world.deploy(`[${name}]\nservices=redis\n`)).lifecycle_ids);
    await sql`alter table decky_lifecycle disable trigger guard_lifecycle`;
    await sql`update decky_lifecycle set completed_at = completed_at - ${ago}::interval`;
    await sql`alter table decky_lifecycle enable trigger guard_lifecycle`;
    return name;
  }

  // proof: field-3.15-1
  it('adds one run to the list in twenty rounds without work, and less than 25 in a day', async () => {
    await keep();
    await until(
      'the rounds',
      async () => {
        const { sweeps, readings } = await rounds();
        return sweeps >= ROUNDS && readings >= ROUNDS;
      },
      90_000,
    );
    const { sweeps, readings, events } = await rounds();
    await until('the list to have it', async () => (await count('')) > 0);
    assert.equal(await count(''), 1);
    // Of a sweep and a reading; a reading alone is less than half of it.
    const each = Math.ceil(events / Math.min(sweeps, readings));
    const day = runsPerDay([
      { everyMs: SWEEP_EVERY_MS, events: each },
      { everyMs: CLOCK_EVERY_MS, events: each / 2 },
    ]);
    assert.ok(day < 25, `${each} events a round, ${day} runs a day`);
  });

  it('goes on as a new run of the same kind, and is hidden by a query for work', async () => {
    await keep({ mostEvents: 60 });
    await until('three runs', async () => (await count("and DeckhandKind = 'housekeeping'")) >= 3);
    const accepted = await world.deploy(`[${world.id}-a]\nservices=redis\n`);
    await world.ended(accepted.lifecycle_ids);
    await until('its deployment and child', async () => (await count("and DeckhandKind = 'work'")) === 2);
    const names = [];
    for await (const { type } of world.temporal.client.workflow.list({
      query: `TaskQueue = '${world.id}' and DeckhandKind = 'work'`,
    }))
      names.push(type);
    assert.deepEqual(names.sort(), ['deployFleet', 'deployLocal']);
  });

  // proof: field-3.15-1
  it('begins a rotation of those that inherit where one is due', async () => {
    const name = await heir('2 minutes');
    await keep({ sweepMs: HOUR, clockMs: 200 });
    const id = rotateWorkflowId(world.id);
    // Longer than the interval: what the first round misses on a busy machine, the next minute brings.
    await until('a rotation', async () => (await rounds()).begun > 0, 90_000);
    assert.equal(await world.temporal.client.workflow.getHandle(id).result(), 1);
    const rows = await world.database
      .sql`select status from decky_lifecycle where decky_name = ${name} and operation = 'mutate'`;
    assert.deepEqual([...rows], [{ status: 'succeeded' }]);
    await until(
      'the list',
      async () => (await count("and WorkflowType = 'rotateInherited' and DeckhandKind = 'housekeeping'")) === 1,
    );
  });

  // proof: field-3.15-1
  it('begins none where nothing is due', async () => {
    await heir('0 minutes');
    await keep();
    await until('a look for what is due', async () => (await rounds()).asked > 0, 30_000);
    const { readings } = await rounds();
    await until('more rounds', async () => (await rounds()).readings > readings + 3, 30_000);
    assert.deepEqual([(await rounds()).begun, await count("and WorkflowType = 'rotateInherited'")], [0, 0]);
  });

  // proof: field-3.15-1
  it('leaves a rotation alone that still runs, and outlives it', async () => {
    await heir('2 minutes');
    const { workflow } = world.temporal.client;
    const before = await workflow.start('rotateInherited', {
      workflowId: rotateWorkflowId(world.id),
      taskQueue: `${world.id}-nobody`,
      args: [{ searchAttributes: true }],
    });
    await keep();
    await until('one that is not begun', async () => (await rounds()).skipped > 0, 30_000);
    const { readings } = await rounds();
    await until('more rounds', async () => (await rounds()).readings > readings, 30_000);
    assert.equal((await before.describe()).runId, before.firstExecutionRunId);
    await before.terminate('the test is over');
  });

  it('begins an accepted operation that Temporal has lost, and goes on after a round that failed', async () => {
    await keep({ sweepMs: 200 });
    const { sql } = world.database;
    await sql`alter table host_tickets rename to elsewhere`;
    await until(
      'a round that failed',
      async () => {
        const { events = [] } = await handle().fetchHistory();
        return (events ?? []).some((one) => one.activityTaskFailedEventAttributes);
      },
      60_000,
    );
    await sql`alter table elsewhere rename to host_tickets`;
    const request = await storeDeploy(sql, `[${world.id}-a]\nservices=redis\n`);
    await acceptRequest(sql, request);
    await sql`alter table decky_lifecycle disable trigger guard_lifecycle`;
    await sql`update decky_lifecycle set started_at = started_at - interval '10 minutes'`;
    await sql`alter table decky_lifecycle enable trigger guard_lifecycle`;
    const { lifecycle_ids } = await returnedIds(sql, request);
    assert.deepEqual(
      (await world.ended(lifecycle_ids)).map((row) => row.status),
      ['succeeded'],
    );
  });

  it('is begun anew by a worker that starts, left alone by the next look, and takes the place of Schedules', async () => {
    const { schedule } = world.temporal.client;
    const old = ['sweep', 'look', 'rotate/global', 'reconcile'].map((name) => `${name}/${world.id}`);
    for (const scheduleId of old)
      await schedule.create({
        scheduleId,
        spec: { intervals: [{ every: '1h' }] },
        action: { type: 'startWorkflow', workflowType: 'sweep', workflowId: scheduleId, taskQueue: world.id, args: [] },
        policies: { overlap: ScheduleOverlapPolicy.SKIP },
      });
    const run = async () => (await handle().describe()).runId;
    await keep({ anew: true, sweepMs: 60_000, lookMs: 60_000 });
    for (const id of old) await assert.rejects(schedule.getHandle(id).describe(), ScheduleNotFoundError);
    const first = await run();
    await keep();
    assert.equal(await run(), first);
    await keep({ anew: true });
    assert.notEqual(await run(), first);
    await handle().terminate('by an operator');
    await keep();
    assert.equal((await handle().describe()).status.name, 'RUNNING');
  });
});
