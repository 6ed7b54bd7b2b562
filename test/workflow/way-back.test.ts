import assert from 'node:assert/strict';
import { createFleetReader } from '../../adapters/postgres/fleet.ts';
import type { ComposeEngine } from '../../engine/engine.ts';
import { createWorld, type World } from '../support/temporal/workflow-fixture.ts';

describe('the last good version of a decky', function () {
  this.timeout(120_000);
  let world: World;
  let name: string;
  /** What the engine says of its health from now on; null: the truth. */
  let illness: string | null = null;
  const around = (engine: ComposeEngine): ComposeEngine => {
    const health: ComposeEngine['health'] = (...given) =>
      illness === null ? engine.health(...given) : Promise.resolve({ status: 'failed', sentence: illness });
    return new Proxy(engine, {
      get: (target, key) => {
        if (key === 'health') return health;
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  };
  before(async () => {
    world = await createWorld({ simulated: true, engine: around });
    name = `${world.id}-a`;
    const accepted = await world.deploy(`[${name}]\nservices=redis\n`);
    await world.ended(accepted.lifecycle_ids);
  });
  after(() => world.close());
  const stateOf = async () =>
    (await createFleetReader(world.database.sql).overview()).deckies.find((one) => one.name === name)?.state;

  async function mutated(): Promise<string> {
    const accepted = await world.deployments.mutate({
      username: 'admin',
      decky_name: name,
      services: ['ssh'],
      options: { minHealthyTimeMs: 600_000, healthyDeadlineMs: 1_000 },
      idempotency: null,
    });
    const [row] = await world.ended(accepted.lifecycle_ids);
    return row?.error ?? '';
  }

  // proof: field-3.4-2
  it('is told as back only when it was seen to run', async () => {
    assert.match(await mutated(), /^HealthyDeadline: .*\(the last good version is back\)$/s);
    assert.equal(await stateOf(), 'running');
  });

  // proof: field-3.4-2
  it('is told as it was seen where it does not run, and the decky is degraded', async () => {
    illness = `container ${name} is exited, exit code 3. Last lines of its log:\nboom`;
    const error = await mutated();
    assert.match(
      error,
      /\(the last good version was started, and does not run: container \S+ is exited, exit code 3\)$/,
    );
    assert.equal(await stateOf(), 'degraded');
  });
});
