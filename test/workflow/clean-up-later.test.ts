import assert from 'node:assert/strict';
import { createFleetReader } from '../../adapters/postgres/fleet.ts';
import { ensureHousekeeping } from '../../adapters/temporal/schedules.ts';
import type { ComposeEngine } from '../../engine/engine.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import { housekeepingWorkflowId } from '../../fleet/housekeeping.ts';
import { createWorld, type World } from '../support/temporal/workflow-fixture.ts';
import { until } from '../support/until.ts';

describe('a clean-up on a disk that stays full', function () {
  this.timeout(120_000);
  let world: World;
  let isFull = false;
  const full = () => Promise.reject(new DeckhandError('DiskFull', 'no space left on device'));
  const around = (engine: ComposeEngine): ComposeEngine =>
    new Proxy(engine, {
      get: (target, key) => {
        if (isFull && (key === 'up' || key === 'down')) return full;
        if (isFull && key === 'health') return () => Promise.resolve({ status: 'failed', sentence: 'it is ill' });
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  const options = { minHealthyTimeMs: 600_000, healthyDeadlineMs: 1_000, progressDeadlineMs: 1_000 };

  before(async () => {
    world = await createWorld({ simulated: true, engine: around });
  });
  beforeEach(() => {
    isFull = false;
  });
  after(async () => {
    await world.temporal.client.workflow.getHandle(housekeepingWorkflowId(world.id)).terminate('the test is over');
    await world.close();
  });
  const stateOf = async (name: string) =>
    (await createFleetReader(world.database.sql).overview()).deckies.find((one) => one.name === name)?.state;
  const look = () =>
    ensureHousekeeping(world.temporal.client, {
      taskQueue: world.id,
      searchAttributes: true,
      input: { lookMs: 200, sweepMs: 60_000 },
      anew: false,
    });
  async function endsAsOwed({ lifecycle_ids }: { lifecycle_ids: readonly string[] }): Promise<void> {
    const [row] = await world.ended(lifecycle_ids);
    assert.match(row?.error ?? '', /\(cleaning up did not work yet; it is tried again with each look at the engine\)$/);
  }

  // proof: field-3.14-5
  it('is done once there is room: the last good version is back', async () => {
    const name = `${world.id}-a`;
    const first = await world.deploy(`[${name}]\nservices=redis\n`);
    await world.ended(first.lifecycle_ids);
    isFull = true;
    await endsAsOwed(
      await world.deployments.mutate({
        username: 'admin',
        decky_name: name,
        services: ['ssh'],
        options,
        idempotency: null,
      }),
    );
    assert.equal(await stateOf(name), 'degraded');
    isFull = false;
    await look();
    await until('the last good version', async () => (await stateOf(name)) === 'running', 30_000);
  });

  // proof: field-3.14-5
  it('is done once there is room: what never came up is gone', async () => {
    const name = `${world.id}-b`;
    const accepted = await world.deploy(`[${name}]\nservices=redis\n`, { options });
    await until('its containers', async () => (await world.local.engine.deckies()).includes(name));
    isFull = true;
    await endsAsOwed(accepted);
    assert.ok((await world.local.engine.deckies()).includes(name));
    isFull = false;
    await look();
    await until('it to be gone', async () => !(await world.local.engine.deckies()).includes(name), 30_000);
    await until('its state', async () => (await stateOf(name)) === 'failed');
    const owed = await world.database.sql`select from owed_clean_ups`;
    assert.equal(owed.length, 0);
  });
});
