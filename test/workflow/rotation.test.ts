import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { createRotationStore, createRotations } from '../../adapters/postgres/clock-requests.ts';
import { createSettings } from '../../adapters/postgres/settings.ts';
import { ensureRotations, rotationScheduleId } from '../../adapters/temporal/schedules.ts';
import { rotateWorkflowId } from '../../fleet/housekeeping.ts';
import { createWorld, type World } from '../support/temporal/workflow-fixture.ts';

const MINUTE = 60_000;

describe('rotation by the clock', function () {
  this.timeout(120_000);
  let world: World;
  let own: string;
  let heir: string;
  before(async () => {
    world = await createWorld();
    [own, heir] = [`${world.id}-own`, `${world.id}-heir`];
    const ini = `[${own}]\nservices=redis\nmutate_interval=7\n[${heir}]\nservices=redis\n`;
    await world.ended((await world.deploy(ini)).lifecycle_ids);
  });
  after(async () => {
    await ensureRotations(world.temporal.client, { own: [] }, options());
    await world.close();
  });

  const options = () => ({ taskQueue: world.id, searchAttributes: true });
  const store = () => createRotationStore(world.database.sql);
  const keep = async (): Promise<void> => ensureRotations(world.temporal.client, await store().plan(), options());
  const schedule = (name: string) => world.temporal.client.schedule.getHandle(rotationScheduleId(world.id, name));
  /** As housekeeping begins it where somebody is due. */
  const rotateInherited = (): Promise<number> =>
    world.temporal.client.workflow.execute('rotateInherited', {
      workflowId: rotateWorkflowId(world.id),
      taskQueue: world.id,
      args: [{ searchAttributes: true }],
    });
  const every = async (handle: ReturnType<typeof schedule>): Promise<number | undefined> =>
    (await handle.describe()).spec.intervals?.[0]?.every;
  const keptEvery = async (name: string): Promise<number | undefined> => {
    await keep();
    return every(schedule(name)).catch(() => 0);
  };
  /** Temporal names what a Schedule starts by its second, and drops a second one of that name without a word. */
  const trigger = async (handle: ReturnType<typeof schedule>): Promise<void> => {
    const last = (await handle.describe()).info.recentActions.at(-1)?.scheduledAt.getTime() ?? 0;
    await until(
      'a second of its own',
      async () => Math.floor(Date.now() / 1_000),
      (now) => now > Math.floor(last / 1_000),
    );
    await handle.trigger();
  };
  const rotations = async (name: string) => [
    ...(await world.database.sql<{ id: string; status: string; trigger: string }[]>`
      select l.id, l.status, d.request->>'trigger' as trigger from decky_lifecycle l join deployments d on d.id = l.deployment_id
      where l.operation = 'mutate' and l.decky_name = ${name} order by l.started_at`),
  ];
  const skips = async () => [
    ...(await world.database.sql<{ decky_name: string; reason: string }[]>`
      select decky_name, reason from rotation_skips order by skipped_at`),
  ];
  async function until<T>(what: string, look: () => Promise<T>, holds: (seen: T) => boolean): Promise<T> {
    for (const end = Date.now() + 30_000; ; await pause(100)) {
      const seen = await look();
      if (holds(seen)) return seen;
      assert.ok(Date.now() < end, `${what}: ${JSON.stringify(seen)}`);
    }
  }

  // proof: rotation, gap-c10
  it('is a Schedule for the decky that has an interval, and none for those that inherit (gap C14)', async () => {
    await createSettings(world.database.sql).setGlobalMutationInterval('2d');
    await keep();
    const { policies, spec, info } = await schedule(own).describe();
    assert.equal(spec.intervals?.[0]?.every, 7 * MINUTE);
    assert.equal(policies.overlap, 'SKIP');
    const [next] = info.nextActionTimes;
    assert.ok(next && next.getTime() - Date.now() > 6 * MINUTE, 'the first is one interval from now');
    await assert.rejects(schedule(heir).describe(), /not found/i);
  });

  // proof: gap-c10
  it('makes a row like one by hand (gap C13)', async () => {
    await trigger(schedule(own));
    const [row] = await until(
      'its row',
      () => rotations(own),
      ([first]) => first?.status === 'succeeded',
    );
    assert.equal(row?.trigger, 'scheduled');
    const [event] = await world.database.sql<{ trigger: string }[]>`
      select payload->>'trigger' as trigger from outbox where message_id = ${`${row?.id}:mutation`}`;
    assert.equal(event?.trigger, 'scheduled');
    const { info } = await schedule(own).describe();
    assert.equal(info.numActionsTaken, 1);
  });

  // proof: rotation
  it('records a skip where the decky has an open row', async () => {
    const mutation = { username: 'admin', decky_name: own, services: ['redis'], idempotency: null };
    const open = await world.deployments.mutate({ ...mutation, options: { minHealthyTimeMs: 4_000 } });
    await trigger(schedule(own));
    const [skip] = await until('the skip', skips, (seen) => seen.length > 0);
    assert.equal(skip?.decky_name, own);
    assert.match(skip?.reason ?? '', new RegExp(`^DeckyBusy: .*${open.deployment_id}`));
    await world.ended(open.lifecycle_ids);
    assert.equal((await rotations(own)).filter((row) => row.trigger === 'scheduled').length, 1);
  });

  it('of those that inherit is due one interval after the last change, also of a decky by its own operator', async () => {
    assert.deepEqual(await store().due(10), []);
    assert.equal(await rotateInherited(), 0);
    await createSettings(world.database.sql).setGlobalMutationInterval('1m');
    await world.database.sql`alter table decky_lifecycle disable trigger guard_lifecycle`;
    await world.database.sql`update decky_lifecycle set completed_at = now() - interval '2 minutes'`;
    await world.database.sql`alter table decky_lifecycle enable trigger guard_lifecycle`;
    assert.deepEqual(await store().due(10), [heir], 'the one with an interval of its own is not among them');
    assert.equal(await rotateInherited(), 1);
    assert.equal((await rotations(heir))[0]?.status, 'succeeded');
    assert.deepEqual(await store().due(10), []);
  });

  it('changes with the interval, stays paused, ends with null and with the decky, and comes back where it was lost', async () => {
    const { setDeckyInterval } = createRotations(world.database.sql);
    await setDeckyInterval(own, 9);
    await setDeckyInterval(heir, 3);
    await schedule(own).pause();
    await until(
      'both',
      async () => keptEvery(own),
      (seen) => seen === 9 * MINUTE,
    );
    assert.equal((await schedule(own).describe()).state.paused, true);
    assert.equal(await every(schedule(heir)), 3 * MINUTE);
    await schedule(heir).delete();
    await until(
      'it again',
      async () => keptEvery(heir),
      (seen) => seen === 3 * MINUTE,
    );
    await setDeckyInterval(heir, null);
    const isGone = async (name: string): Promise<boolean> => {
      await keep();
      return schedule(name)
        .describe()
        .then(
          () => false,
          () => true,
        );
    };
    await until('its end', () => isGone(heir), Boolean);
    assert.deepEqual(await store().due(10), []);
    const { lifecycle_id } = await world.deployments.teardown({ username: 'admin', decky_name: own });
    await world.ended([lifecycle_id]);
    await until('the end of the other', () => isGone(own), Boolean);
  });
});
