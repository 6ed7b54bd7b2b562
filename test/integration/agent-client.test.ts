import assert from 'node:assert/strict';
import { agentCalls, order } from '../support/agents/agent-calls.ts';
import { json, serve } from '../support/agents/test-agents.ts';

describe('the client that talks to agents', () => {
  const on = agentCalls();
  const { owned, client, at } = on;

  describe('on a connection whose certificate is right', () => {
    it('asks and orders, and tells how far the clocks are apart', async () => {
      const agent = owned(
        await serve(on.h1, (request, response) => {
          const body = request.url === '/health' ? { status: 'ok' } : { deployed: false, deckies: [], later: 1 };
          json(response, 200, body, { date: new Date(Date.now() + 60_000).toUTCString() });
        }),
      );
      const calls = client();
      const health = await calls.health(at(agent));
      assert.deepEqual(health.body, { status: 'ok' });
      assert.ok(Math.abs((health.clockOffsetMs ?? 0) - 60_000) <= 2_000, `${health.clockOffsetMs}`);
      assert.deepEqual((await calls.status(at(agent))).body, { deployed: false, deckies: [], later: 1 });
      assert.deepEqual(agent.peers[0], on.master.fingerprint);
    });

    it('keeps the connection for the next call', async () => {
      const agent = owned(await serve(on.h1, (_, response) => json(response, 200, { status: 'ok' })));
      const calls = client();
      for (let call = 0; call < 5; call += 1) await calls.health(at(agent));
      assert.equal(agent.peers.length, 1);
    });

    it('takes another connection when the master’s identity or the pin changes', async () => {
      const agent = owned(await serve(on.h1, (_, response) => json(response, 200, { status: 'ok' })));
      const renewed = await on.ours.issue({ name: 'updater@renewed', sans: [] });
      let identity = on.master;
      const calls = client(async () => identity, { identityAgeMs: 0 });
      await calls.health(at(agent));
      identity = renewed;
      await calls.health(at(agent));
      assert.deepEqual(agent.peers, [on.master.fingerprint, renewed.fingerprint]);
      const moved = at(agent, { fingerprints: ['00'.repeat(32)] });
      await assert.rejects(calls.health(moved), { code: 'HostMismatch' });
      assert.equal(agent.requests.length, 2, 'the kept connection was not used for a host that is pinned otherwise');
    });

    it('accepts the certificate that is being renewed, and pins in any case of letters', async () => {
      const agent = owned(await serve(on.h1, (_, response) => json(response, 200, { status: 'ok' })));
      const fingerprints = ['00'.repeat(32), on.h1.fingerprint.toUpperCase()];
      assert.deepEqual((await client().health(at(agent, { fingerprints }))).body, { status: 'ok' });
    });

    it('reads the host name of a DNS address', async () => {
      const local = await on.ours.issue({ name: 'h1', sans: ['localhost'] });
      const agent = owned(await serve(local, (_, response) => json(response, 200, { status: 'ok' })));
      const host = at(agent, { address: 'localhost', fingerprints: [local.fingerprint] });
      assert.deepEqual((await client().health(host)).body, { status: 'ok' });
    });
  });

  describe('where an idle connection was closed by the agent', () => {
    it('asks again, but sends no order twice', async () => {
      const doomed = new Set<string>(['/status', '/deploy']);
      const agent = owned(
        await serve(on.h1, (request, response) => {
          const path = request.url ?? '';
          if (doomed.delete(path)) request.socket.destroy();
          else
            json(response, 200, path === '/status' ? { deployed: false, deckies: [] } : { status: 'ok', deckies: [] });
        }),
      );
      const calls = client();
      await calls.health(at(agent));
      assert.equal((await calls.status(at(agent))).body.deployed, false);
      await assert.rejects(calls.deploy(at(agent), order), { code: 'HostSilent' });
      assert.deepEqual(agent.requests, ['/health', '/status', '/status', '/deploy']);
    });
  });
});
