/** What becomes of the bringing up that a workflow does not wait for any more; the engine is held in the middle of it. */
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import type { LifecycleRow } from '../../fleet/rows.ts';
import { HeldEngine } from '../support/docker/held-engine.ts';
import { createWorld, type World } from '../support/temporal/workflow-fixture.ts';

/** Many times what a workflow takes from a cancellation to a row's end, and less than a heartbeat takes to tell of it. */
const A_WHILE_MS = 2_000;

// proof: promise-6
describe('a decky that is on its way up when its operation ends', function () {
  this.timeout(60_000);
  const engine = new HeldEngine();
  let world: World;
  before(async () => {
    world = await createWorld({ simulated: true, engine: engine.around });
  });
  after(async () => {
    await engine.release();
    await world.close();
  });

  const running = (): Promise<readonly string[]> => world.local.engine.deckies();
  /** The row, when the workflow had all the time to end it and the engine then did what it still had to do. */
  async function rowAfter(ids: readonly string[]): Promise<LifecycleRow | undefined> {
    await Promise.race([world.ended(ids), pause(A_WHILE_MS)]);
    await engine.release();
    return (await world.ended(ids))[0];
  }

  for (const [title, place] of [
    [
      'is not created behind the clean-up’s back where it waits for the engine as the deploy is cancelled (gap C4)',
      'queued',
    ],
    ['is waited for, then removed, where the engine has begun already (gap C4)', 'sent'],
  ] as const)
    it(title, async () => {
      const name = `${world.id}-${place}`;
      engine.hold(place);
      const accepted = await world.deploy(`[${name}]\nservices=redis\n`);
      await engine.held();
      await world.deployments.cancel(accepted.deployment_id);
      const row = await rowAfter(accepted.lifecycle_ids);
      assert.match(row?.error ?? '', /^Cancelled: .*\(what had been started was removed\)$/);
      assert.ok(!(await running()).includes(name));
    });

  it('goes too where progress_deadline has passed', async () => {
    const name = `${world.id}-late`;
    engine.hold('sent');
    const accepted = await world.deploy(`[${name}]\nservices=redis\n`, { options: { progressDeadlineMs: 1_000 } });
    await engine.held();
    await pause(1_000);
    const row = await rowAfter(accepted.lifecycle_ids);
    assert.match(row?.error ?? '', /^ProgressDeadline: .*\(what had been started was removed\)$/);
    assert.ok(!(await running()).includes(name));
  });

  it('does not win over the last good version that a cancelled mutation brings back', async () => {
    const name = `${world.id}-mutated`;
    const first = await world.deploy(`[${name}]\nservices=redis\n`);
    await world.ended(first.lifecycle_ids);
    engine.hold('sent');
    const accepted = await world.deployments.mutate({
      username: 'admin',
      decky_name: name,
      services: ['http', 'ssh'],
      options: { minHealthyTimeMs: 0 },
      idempotency: null,
    });
    await engine.held();
    await world.deployments.cancel(accepted.deployment_id);
    const row = await rowAfter(accepted.lifecycle_ids);
    assert.match(row?.error ?? '', /^Cancelled: .*\(the last good version is back\)$/);
    assert.deepEqual(await services(name), ['redis']);
  });

  /** As the engine has them, without the base. */
  async function services(name: string): Promise<string[]> {
    const [desired] = await world.database.sql`
      select decky_config as config, custom_services from fleet_deckies where name = ${name}`;
    const specs = world.local.resolve(desired ? [desired as never] : []).deckies;
    const [seen] = await world.local.engine.observe(specs);
    return (seen?.containers ?? [])
      .map(({ service }) => service)
      .filter((key) => key !== specs[0]?.keys[0])
      .map((key) => key.replace(`${name}-`, ''))
      .sort();
  }
});
