import assert from 'node:assert/strict';
import { type AgentHost, agentHost } from '../support/agents/agent-host.ts';
import { until } from '../support/until.ts';

describe('an agent that hears of an earlier operation late', function () {
  this.timeout(60_000);
  let host: AgentHost;
  beforeEach(async () => {
    host = await agentHost({ engine: 'simulated' });
    await host.start();
  });
  afterEach(() => host.clean());

  // proof: field-3.10-2
  it('refuses its orders, says why, and does so after a restart', async () => {
    const order = (ticket: number, ...names: string[]) =>
      host.order(
        names.map((name, n) => host.decky(name, 10 + n)),
        { operation_id: `op-${ticket}`, ticket },
      );
    const idle = () => until('an agent without work', async () => (await host.status()).deckhand?.work.length === 0);
    assert.equal((await host.call('POST', '/deploy', order(5, 'a', 'b'))).status, 202);
    await idle();
    const mutation = { decky_id: `${host.prefix}-a`, services: ['ftp'], deckhand: order(4).deckhand };
    for (const restarts of [false, true]) {
      if (restarts) {
        await host.end('SIGKILL');
        await host.start();
      }
      const late = await host.call('POST', '/deploy', order(4, 'a'));
      assert.equal(late.status, 409);
      assert.match(JSON.stringify(late.body), /has ticket 4, and this host has accepted ticket 5/);
      assert.equal((await host.call('POST', '/mutate', mutation)).status, 409);
      for (const decky_id of [null, `${host.prefix}-a`]) {
        const deckhand = { operation_id: 'op-4', attempt: 1, ticket: 4 };
        assert.equal((await host.call('POST', '/teardown', { decky_id, deckhand })).status, 409);
      }
    }
    const status = await host.status();
    assert.equal(status.deckhand?.ticket, 5);
    assert.deepEqual(
      status.deckies.map(({ name, services }) => [name.slice(host.prefix.length + 1), ...services]),
      [
        ['a', 'http'],
        ['b', 'http'],
      ],
    );
    assert.equal((await host.call('POST', '/deploy', order(5, 'a', 'b'))).status, 202, 'the same order again');
    assert.equal((await host.call('POST', '/deploy', order(6, 'a'))).status, 202);
  });
});
