import assert from 'node:assert/strict';
import type { AgentAddress } from '../../adapters/agent/client.ts';
import type { Identity } from '../../adapters/pki/authority.ts';
import { agentCalls, order } from '../support/agents/agent-calls.ts';
import { json, listen, serve } from '../support/agents/test-agents.ts';

// proof: agent-pin, gap-d
describe('the client that talks to agents, on a mismatch has sent not one byte of HTTP (gaps, D: pinning on the connection used)', () => {
  const on = agentCalls();
  const { owned, client, at } = on;

  const mismatch = async (identity: Identity, says: RegExp, host: Partial<AgentAddress> = {}): Promise<void> => {
    const agent = owned(await listen(identity));
    await assert.rejects(client().deploy(at(agent, host), order), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'HostMismatch');
      assert.match(error.message, says);
      assert.match(error.message, new RegExp(`host h1 \\(127\\.0\\.0\\.1:${agent.port}\\)`));
      return true;
    });
    await agent.ended();
    assert.equal(agent.received(), '');
  };

  it('(while a host that is right gets the order)', async () => {
    const agent = owned(await listen(on.h1));
    await assert.rejects(client().deploy(at(agent), order), { code: 'HostSilent' });
    assert.match(agent.received(), /^POST \/deploy HTTP\/1\.1\r\n/);
  });

  it('when another host of the same CA answers', async () => {
    const other = await on.ours.issue({ name: 'h2', sans: ['127.0.0.1'] });
    await mismatch(other, new RegExp(`SHA-256 ${other.fingerprint}, enrolled was ${on.h1.fingerprint}`));
  });

  it('when the certificate is of a foreign CA', async () => {
    const stranger = await on.foreign.issue({ name: 'h1', sans: ['127.0.0.1'] });
    await mismatch(stranger, /can’t be trusted/, { fingerprints: [stranger.fingerprint] });
  });

  it('when the certificate does not name the address', async () => {
    const elsewhere = await on.ours.issue({ name: 'h1', sans: ['192.0.2.7'] });
    await mismatch(elsewhere, /does not name 127\.0\.0\.1/, { fingerprints: [elsewhere.fingerprint] });
  });

  it('when nothing is pinned', () => mismatch(on.h1, /enrolled was none/, { fingerprints: [] }));

  it('unless names are not to be checked (DECKHAND_VERIFY_HOSTNAME=false), which leaves the pin in force', async () => {
    const elsewhere = await on.ours.issue({ name: 'h1', sans: ['192.0.2.7'] });
    const agent = owned(await serve(elsewhere, (_, response) => json(response, 200, { status: 'ok' })));
    const calls = client(undefined, { verifyHostname: false });
    assert.ok(await calls.health(at(agent, { fingerprints: [elsewhere.fingerprint] })));
    await assert.rejects(calls.health(at(agent)), { code: 'HostMismatch' });
  });

  it('also where the server offers to resume a session: every connection shows its certificate anew', async () => {
    const agent = owned(
      await serve(on.h1, (_, response) => json(response, 200, { status: 'ok' }, { connection: 'close' }), {
        maxVersion: 'TLSv1.2',
      }),
    );
    const calls = client();
    for (let call = 0; call < 3; call += 1) await calls.health(at(agent));
    assert.deepEqual(agent.resumed, [false, false, false]);
    const other = await on.ours.issue({ name: 'h2', sans: ['127.0.0.1'] });
    agent.server.setSecureContext({ key: other.keyPem, cert: other.certPem, ca: other.caPem });
    await assert.rejects(calls.health(at(agent)), { code: 'HostMismatch' });
    assert.equal(agent.requests.length, 3);
  });
});
