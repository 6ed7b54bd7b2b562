import assert from 'node:assert/strict';
import { createBus } from '../../adapters/nats/bus.ts';
import { drainOutbox } from '../../adapters/postgres/outbox.ts';
import { testServers } from '../support/stack/stack.ts';
import { createWorld, type World } from '../support/temporal/workflow-fixture.ts';

describe('a bus that is down throughout', () => {
  let world: World;
  before(async () => {
    world = await createWorld({ natsUrl: 'nats://127.0.0.1:1' });
  });
  after(() => world.close());

  // proof: promise-5
  it('neither delays nor fails a decky, and its events wait in order (promise 5)', async () => {
    const accepted = await world.deploy(`[${world.id}-n]\nservices=redis\n`);
    const [row] = await world.ended(accepted.lifecycle_ids);
    assert.equal(row?.status, 'succeeded');
    const unsent = await world.database.sql<
      { message_id: string }[]
    >`select message_id from outbox where sent_at is null order by id`;
    assert.deepEqual(
      unsent.map((event) => event.message_id),
      [`${row?.id}:running`, `${row?.id}:succeeded`],
    );
    const bus = createBus(testServers.natsUrl);
    assert.equal(await drainOutbox(world.database.sql, bus.publish), 2);
    await bus.close();
  });
});
