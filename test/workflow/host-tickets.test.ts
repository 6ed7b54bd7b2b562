import assert from 'node:assert/strict';
import { iniOf, statusesOf } from '../support/fixtures/named-deckies.ts';
import { scriptedSwarm } from '../support/temporal/scripted-swarm.ts';

describe('orders to a host', function () {
  this.timeout(120_000);
  const swarm = scriptedSwarm();

  // proof: field-3.10-3
  it('carry tickets that grow with acceptance, whatever they order', async () => {
    const host = await swarm.agent('h1');
    host.onDeploy = () => host.report('succeeded');
    host.onMutate = () => host.report('succeeded');
    const teardowns: (number | undefined)[] = [];
    host.onTeardown = (_, body) => void teardowns.push(body.deckhand?.ticket);
    const { world } = swarm;
    await world.ended((await world.deploy(iniOf('a', 'b'))).lifecycle_ids);
    const mutation = await world.deployments.mutate({
      username: 'admin',
      decky_name: 'a',
      services: ['ftp'],
      options: { minHealthyTimeMs: 0 },
      idempotency: null,
    });
    await world.ended(mutation.lifecycle_ids);
    const removal = await world.deployments.teardown({ username: 'admin', decky_name: 'b' });
    await world.ended([removal.lifecycle_id]);
    assert.deepEqual([host.orders[0]?.deckhand?.ticket, host.mutations[0]?.deckhand?.ticket, ...teardowns], [1, 2, 3]);
  });

  // proof: field-3.10-3
  it('get tickets beyond those that a restored database does not know', async () => {
    const host = await swarm.agent('h1');
    const seen = 500;
    host.status = {
      deployed: false,
      deckies: [],
      deckhand: { version: 't', network: null, work: [], deckies: {}, unreported: 0, ticket: seen },
    };
    host.refuses = ({ deckhand }) => ((deckhand?.ticket ?? 0) < seen ? 'a later operation has overtaken it' : null);
    host.onDeploy = () => host.report('succeeded');
    const { world } = swarm;
    for (const [name, ticket] of [
      ['a', 501],
      ['b', 502],
    ] as const) {
      const { lifecycle_ids } = await world.deploy(iniOf(name));
      assert.deepEqual(statusesOf(await world.ended(lifecycle_ids)), { [name]: 'succeeded' });
      assert.equal(host.orders.at(-1)?.deckhand?.ticket, ticket);
    }
  });

  it('that the host refuses as overtaken end their rows with its words', async () => {
    const host = await swarm.agent('h1');
    host.refuses = () => 'a later operation has overtaken it';
    const { lifecycle_ids } = await swarm.world.deploy(iniOf('a'));
    const [row] = await swarm.world.ended(lifecycle_ids);
    assert.match(row?.error ?? '', /^HostRefused: .*a later operation has overtaken it/);
  });
});
