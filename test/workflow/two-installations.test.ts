import assert from 'node:assert/strict';
import { testServers } from '../support/stack/stack.ts';
import { createWorld, type World } from '../support/temporal/workflow-fixture.ts';

describe('two installations on one engine', () => {
  let one: World;
  let other: World;
  before(async function () {
    if (!testServers.dockerHost) this.skip();
    [one, other] = await Promise.all([createWorld(), createWorld()]);
  });
  after(async () => {
    await one?.close();
    await other?.close();
  });

  const come = async (world: World, name: string) => {
    const accepted = await world.deploy(`[${name}]\nservices=redis\n`);
    return (await world.ended(accepted.lifecycle_ids))[0];
  };

  // proof: two-stacks
  it('see and change what is their own, and nothing else', async () => {
    assert.equal((await come(one, `${one.id}-mine`))?.status, 'succeeded');
    assert.equal((await come(other, `${other.id}-theirs`))?.status, 'succeeded');
    assert.deepEqual(await one.local.engine.deckies(), [`${one.id}-mine`]);
    const taken = await come(other, `${one.id}-mine`);
    assert.match(taken?.error ?? '', /^NameTaken: /);
    assert.deepEqual(await one.local.engine.deckies(), [`${one.id}-mine`]);
    await other.local.engine.purge();
    assert.deepEqual(await other.local.engine.deckies(), []);
    assert.deepEqual(await one.local.engine.deckies(), [`${one.id}-mine`]);
  });
});
