import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { agentCalls, order } from '../support/agents/agent-calls.ts';
import { json, serve, serveOpenSsl, serveTcp } from '../support/agents/test-agents.ts';

describe('the client that talks to agents names what went wrong', () => {
  const on = agentCalls();
  const { owned, client, at } = on;

  const rejects = (call: Promise<unknown>, code: string, says: RegExp): Promise<void> =>
    assert.rejects(call, (error: Error & { code?: string }) => {
      assert.equal(error.code, code, error.message);
      assert.match(error.message, says);
      return true;
    });

  it('HostUnreachable: nobody listens, or the name is unknown', async () => {
    const agent = await serve(on.h1, () => {});
    await agent.close();
    await rejects(client().health(at(agent)), 'HostUnreachable', /host h1 \(127\.0\.0\.1:\d+\).*ECONNREFUSED/);
    await rejects(client().health(at(agent, { address: 'no-such-host.invalid' })), 'HostUnreachable', /no-such-host/);
  });

  it('HostUnreachable: the connection ends in the handshake', async () => {
    const tcp = owned(await serveTcp((socket) => socket.destroy()));
    await rejects(client().deploy(at(tcp), order), 'HostUnreachable', /host h1/);
  });

  it('HostUnreachable: who listens never answers the handshake', async function () {
    this.timeout(15_000);
    const tcp = owned(await serveTcp(() => {}));
    await rejects(client().deploy(at(tcp), order), 'HostUnreachable', /nothing within 5 s/);
  });

  it('HostUnreachable: an agent on OpenSSL, as DECNET’s, says that it does not take the master’s certificate', async function () {
    const stranger = { ...(await on.foreign.issue({ name: 'h9', sans: [] })), caPem: on.ours.caPem };
    for (const version of ['-tls1_2', '-tls1_3']) {
      const agent = await serveOpenSsl(on.root, on.h1, version);
      if (!agent) return this.skip();
      owned(agent);
      await rejects(client(async () => stranger).deploy(at(agent), order), 'HostUnreachable', /host h1 .*alert/);
    }
  });

  it('HostSilent: an agent on Node, as ours, closes such a connection without a word, and reads no request', async () => {
    const stranger = { ...(await on.foreign.issue({ name: 'h9', sans: [] })), caPem: on.ours.caPem };
    const agent = owned(await serve(on.h1, (_, response) => json(response, 200, { status: 'ok' })));
    await rejects(client(async () => stranger).deploy(at(agent), order), 'HostSilent', /before an answer came/);
    assert.deepEqual(agent.requests, []);
  });

  it('HostRefused: a 4xx, with the agent’s words, be they a sentence or a list', async () => {
    const list = [{ type: 'missing', loc: ['body', 'config', 'interface'], msg: 'Field required', input: {} }];
    const answers: [number, unknown][] = [
      [404, { detail: 'decky ’nope’ not found in worker state' }],
      [422, { detail: list }],
    ];
    const agent = owned(
      await serve(on.h1, (_, response) => {
        const [status, body] = answers.shift() ?? [500, null];
        json(response, status, body);
      }),
    );
    const calls = client();
    await rejects(calls.deploy(at(agent), order), 'HostRefused', /404, decky ’nope’ not found in worker state/);
    await rejects(calls.deploy(at(agent), order), 'HostRefused', /422, body\.config\.interface: Field required/);
  });

  it('HostUnreachable: a 403, as from an agent that pins the master’s certificate of yesterday', async () => {
    const refuse = (_: IncomingMessage, response: ServerResponse): void =>
      json(response, 403, { detail: 'not the master' });
    const agent = owned(await serve(on.h1, refuse));
    await rejects(client().deploy(at(agent), order), 'HostUnreachable', /403, not the master.*next heartbeat/);
  });

  it('HostFailed: a 5xx, with the agent’s words; HostSilent: “later”, nonsense, an answer without end', async () => {
    const scripts: ((response: ServerResponse) => void)[] = [
      (response) => json(response, 500, { detail: 'DockerException: daemon is away' }),
      (response) => json(response, 429, {}),
      (response) => json(response, 200, { nonsense: true }),
      (response) => response.end('<html>'),
      (response) => {
        response.writeHead(200, { 'content-length': '100' });
        response.write('{"status":');
        setTimeout(() => response.socket?.destroy(), 20);
      },
      (response) => {
        response.writeHead(200);
        response.end(`{"status":"${'x'.repeat(5 * 1024 * 1024)}"}`);
      },
      (response) => response.socket?.destroy(),
    ];
    const says = [
      /500, DockerException: daemon is away/,
      /429/,
      /status: /,
      /200 is no JSON/,
      /broke off in the middle of the answer/,
      /larger than/,
      /before an answer/,
    ];
    const agent = owned(await serve(on.h1, (_, response) => scripts.shift()?.(response)));
    for (const [index, words] of says.entries())
      await rejects(client().teardown(at(agent), { decky_id: null }), index === 0 ? 'HostFailed' : 'HostSilent', words);
  });

  it('HostSilent: no answer within 15 s', async function () {
    this.timeout(25_000);
    const agent = owned(await serve(on.h1, () => {}));
    await rejects(client().health(at(agent)), 'HostSilent', /no answer within 15 s/);
  });

  it('the reason of the signal, where the caller gave up', async () => {
    const agent = owned(await serve(on.h1, () => abort.abort(new Error('enough'))));
    const abort = new AbortController();
    await assert.rejects(client().health(at(agent), abort.signal), /enough/);
    await assert.rejects(client().health(at(agent), AbortSignal.abort(new Error('before'))), /before/);
  });
});
