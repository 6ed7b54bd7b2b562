import assert from 'node:assert/strict';
import { createSettings } from '../../adapters/postgres/settings.ts';
import { LIMITS } from '../../fleet/limits.ts';
import { createWorld, type World } from '../support/temporal/workflow-fixture.ts';

describe('deckies that change places', () => {
  let world: World;
  before(async () => {
    world = await createWorld();
  });
  after(() => world.close());

  it('get each other’s address, also those that are begun later: what holds one goes before what needs it', async function () {
    this.timeout(180_000);
    // More than are brought up at once, so that the last holder is not yet touched when its address is needed.
    const count = LIMITS.localParallel + 2;
    const at = (last: number): string => world.pool.replace(/0\/24$/, String(last));
    const ini = (shift: number): string =>
      Array.from(
        { length: count },
        (_, index) => `[${world.id}-${index}]\nservices=redis\nip=${at(10 + ((index + shift) % count))}\n`,
      ).join('');
    await createSettings(world.database.sql).setDeploymentLimit(count);
    const options = { minHealthyTimeMs: 0 };
    const before = await world.deploy(ini(0), { options });
    await world.ended(before.lifecycle_ids);
    const after = await world.deploy(ini(1), { replace: true, options });
    const rows = await world.ended(after.lifecycle_ids);
    assert.deepEqual(
      rows.map((row) => [row.status, row.error]),
      rows.map(() => ['succeeded', null]),
    );
  });
});
