import assert from 'node:assert/strict';
import { createFleetReader } from '../../adapters/postgres/fleet.ts';
import { loadBuiltinImages } from '../../decoys/images.ts';
import { createWorld, type World } from '../support/temporal/workflow-fixture.ts';

describe('a row’s failure', () => {
  let world: World;
  before(async () => {
    world = await createWorld();
    // The first deploy builds the base image that the crashing service uses.
    const first = await world.deploy(`[${world.id}-first]\nservices=redis\n`);
    await world.ended(first.lifecycle_ids);
  });
  after(() => world.close());

  const crash = async (exec: string): Promise<string> => {
    const { baseImage } = await loadBuiltinImages({ cacheDir: world.config.cache });
    return `[custom-crash]\nbinary=${baseImage}\nexec=/usr/bin/node -e ${exec}\n`;
  };
  const deckyOf = async (name: string) =>
    (await createFleetReader(world.database.sql).overview()).deckies.find((one) => one.name === name);

  // proof: promise-9, one-bad-decky
  it('carries container, exit code and last lines, with secrets cut out (promises 8, 9, 10, gaps C6, C8)', async () => {
    const name = `${world.id}-crash`;
    const ini = await crash('console.error(process.env.HOSTNAME+":said:hunter2secret");process.exit(3)');
    const accepted = await world.deploy(
      `${ini}[${name}]\nservices=crash,ssh\n[${name}.ssh]\npassword=hunter2secret\n[${name}-well]\nservices=redis\n`,
      { options: { minHealthyTimeMs: 1_000 } },
    );
    const rows = await world.ended(accepted.lifecycle_ids);
    const bad = rows.find((row) => row.decky_name === name);
    assert.equal(rows.find((row) => row.decky_name !== name)?.status, 'succeeded');
    assert.equal(bad?.status, 'failed');
    assert.match(bad?.error ?? '', new RegExp(`^ContainerExited: .*${name}-crash.*3`, 's'));
    assert.match(bad?.error ?? '', /:said:\[cut\]/);
    assert.equal((await deckyOf(name))?.state, 'failed');
  });

  // proof: promise-7
  it('comes within healthy_deadline when a container never runs long enough (promise 7)', async () => {
    const name = `${world.id}-slow`;
    const accepted = await world.deploy(`[${name}]\nservices=redis\n`, {
      options: { minHealthyTimeMs: 600_000, healthyDeadlineMs: 2_000 },
    });
    const [row] = await world.ended(accepted.lifecycle_ids);
    assert.match(row?.error ?? '', /^HealthyDeadline: /);
    assert.ok(!(await world.local.engine.deckies()).includes(name), 'what never came up is removed');
  });

  it('is not written by a neighbour’s address: one that is taken fails its decky (gap C2)', async () => {
    const taken = world.pool.replace('0/24', '99');
    const first = await world.deploy(`[${world.id}-has]\nservices=redis\nip=${taken}\n`);
    await world.ended(first.lifecycle_ids);
    await assert.rejects(world.deploy(`[${world.id}-wants]\nservices=redis\nip=${taken}\n`), { code: 'AddressInUse' });
  });
});

describe('an engine that does not answer', () => {
  let world: World;
  before(async () => {
    world = await createWorld({ dockerHost: 'unix:///nowhere/docker.sock' });
  });
  after(() => world.close());

  // proof: promise-7
  it('is tried until progress_deadline, then the rows say so (promise 7)', async () => {
    const accepted = await world.deploy(`[${world.id}-u]\nservices=redis\n`, {
      options: { progressDeadlineMs: 2_000 },
    });
    const [row] = await world.ended(accepted.lifecycle_ids);
    assert.equal(row?.status, 'failed');
    assert.match(row?.error ?? '', /^EngineUnreachable: .*progress_deadline/s);
  });
});
