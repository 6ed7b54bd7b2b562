import assert from 'node:assert/strict';
import type { Delta } from '../../fleet/agent-wire.ts';
import { type AgentHost, agentHost, until } from '../support/agent-host.ts';

const ended = (deltas: readonly Delta[]): Delta[] => deltas.filter(({ status }) => status !== 'running');

describe('the agent at a deploy', () => {
  let host: AgentHost;
  beforeEach(async () => {
    host = await agentHost();
    await host.start();
  });
  afterEach(() => host?.clean());

  it('takes it at once, brings its containers up, and reports each decky with its fence', async () => {
    const order = host.order([host.decky('one', 11, { services: ['ssh', 'http'] }), host.decky('two', 12)]);
    const names = order.config.deckies.map(({ name }) => name);
    const answer = await host.call('POST', '/deploy', order);
    assert.deepEqual(answer, { status: 202, body: { status: 'accepted', deckies: names } });
    await until(() => ended(host.master.deltas()).length === 2);
    const deltas = ended(host.master.deltas());
    assert.deepEqual(deltas.map(({ decky_name }) => decky_name).sort(), names);
    for (const delta of deltas) {
      assert.equal(delta.status, 'succeeded');
      assert.equal(delta.operation_id, order.deckhand?.operation_id);
      assert.equal(delta.attempt, 1);
      assert.equal(delta.seen, 'running');
    }
    const [one = '', two = ''] = names;
    assert.deepEqual(Object.keys(await host.containers()).sort(), [
      one,
      `${one}-http`,
      `${one}-ssh`,
      two,
      `${two}-http`,
    ]);
    await until(async () => (await host.status()).deckhand?.work.length === 0);
    const status = await host.status();
    assert.equal(status.deployed, true);
    assert.deepEqual(status.runtime?.[one], { running: true, services: { ssh: 'running', http: 'running' } });
    assert.equal(status.deckhand?.deckies[one]?.status, 'succeeded');
    assert.equal(status.deckhand?.unreported, 0);
    assert.deepEqual(
      status.deckies.map(({ ip }) => ip),
      [`${host.net}.2`, `${host.net}.3`],
    );
  });
});
