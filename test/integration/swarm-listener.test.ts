import assert from 'node:assert/strict';
import { once } from 'node:events';
import { cp, rm } from 'node:fs/promises';
import { connect as connectPlain, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { Hono } from 'hono';
import { pino } from 'pino';
import { type Authority, fingerprintOf, type Identity, openAuthority } from '../../adapters/pki/authority.ts';
import type { ApiEnv } from '../../api/environment.ts';
import { startListener } from '../../api/swarm/controller.ts';
import { createSwarmHarness, type SwarmHarness } from '../support/master/swarm-harness.ts';
import { testDirectory } from '../support/stack/stack.ts';

/** Every operator route, with a body that would be taken. */
const OPERATOR_ROUTES = [
  ['POST', '/swarm/enroll', { name: 'h9', address: '127.0.0.1' }],
  ['GET', '/swarm/hosts'],
  ['GET', '/swarm/hosts/nope'],
  ['DELETE', '/swarm/hosts/nope'],
  ['GET', '/swarm/deckies'],
  ['POST', '/swarm/deploy', {}],
  ['POST', '/swarm/teardown', {}],
  ['POST', '/swarm/check', {}],
] as const;

const HEALTH = 'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n';

describe('the listener of the swarm controller', () => {
  let swarm: SwarmHarness;
  let foreign: Authority;
  before(async () => {
    swarm = await createSwarmHarness();
    foreign = await openAuthority(testDirectory('foreign'));
  });
  after(() => swarm.close());

  /** Sends a request as soon as it may, and reads until the connection ends or an answer is there. */
  async function ask(options: ConnectionOptions): Promise<{ received: string; resumed: boolean }> {
    const socket = connect({ host: '127.0.0.1', port: swarm.port, ca: swarm.authority.caPem, ...options });
    let received = '';
    let resumed = false;
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString();
      if (received.includes('}')) socket.end();
    });
    socket.on('secureConnect', () => {
      resumed = socket.isSessionReused();
      socket.write(HEALTH);
    });
    await closed(socket);
    return { received, resumed };
  }
  const closed = (socket: TLSSocket): Promise<void> =>
    new Promise((resolve) => {
      socket.on('close', () => resolve());
    });
  const shows = (identity: Identity): ConnectionOptions => ({ cert: identity.certPem, key: identity.keyPem });

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const only = { minVersion: version, maxVersion: version };

    // proof: enrolment
    it(`${version}: a certificate of a foreign CA gets no answer at all`, async () => {
      const stranger = await foreign.issue({ name: 'h1', sans: [] });
      assert.equal((await ask({ ...only, ...shows(stranger) })).received, '');
    });

    it(`${version}: one of ours gets one, and so does who shows none`, async () => {
      const known = await swarm.authority.issue({ name: 'h1', sans: [] });
      for (const options of [shows(known), {}])
        assert.match((await ask({ ...only, ...options })).received, /^HTTP\/1\.1 200 [\s\S]*"role":"swarm-controller"/);
    });

    it(`${version}: no session is resumed, so that every connection shows its certificate anew`, async () => {
      const known = await swarm.authority.issue({ name: 'h1', sans: [] });
      const sessions: Buffer[] = [];
      const first = connect({
        host: '127.0.0.1',
        port: swarm.port,
        ca: swarm.authority.caPem,
        ...only,
        ...shows(known),
      });
      first.on('session', (session) => sessions.push(session));
      first.on('error', () => undefined);
      first.on('data', () => first.end());
      first.write(HEALTH);
      await closed(first);
      const session = sessions.at(-1);
      if (session === undefined) return;
      // The stranger's own certificate would not be looked at in a resumed session.
      const stranger = await foreign.issue({ name: 'h1', sans: [] });
      const again = await ask({ ...only, ...shows(stranger), session });
      assert.equal(again.received, '');
      assert.equal((await ask({ ...only, ...shows(known), session })).resumed, false);
    });
  }

  it('speaks nothing older than TLS 1.2', async () => {
    const old = await ask({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' });
    assert.equal(old.received, '');
  });

  it('a self-signed certificate with the master’s name gets no answer', async () => {
    const posing = await foreign.master();
    assert.equal((await ask(shows(posing))).received, '');
  });

  // proof: enrolment
  it('an agent’s certificate opens no operator route, with an admin’s token too', async () => {
    const { identity } = await swarm.enroll('agent-1');
    for (const [method, path, body] of OPERATOR_ROUTES) {
      const answer = await swarm.call(method, path, { identity, token: swarm.admin, ...(body ? { body } : {}) });
      assert.deepEqual([answer.status, answer.json], [403, { detail: 'operator certificate required' }], path);
    }
  });

  it('the master’s certificate opens them with an admin’s token, and not without', async () => {
    const identity = await swarm.authority.master();
    for (const [method, path, body] of OPERATOR_ROUTES) {
      const made = { identity, ...(body ? { body } : {}) };
      assert.equal((await swarm.call(method, path, made)).status, 401, path);
      const answer = await swarm.call(method, path, { ...made, token: swarm.admin });
      assert.notEqual(answer.status, 401, path);
      assert.notEqual(answer.status, 403, path);
    }
    const viewer = await swarm.api.viewer();
    assert.equal((await swarm.call('GET', '/swarm/hosts', { identity, token: viewer })).status, 403);
  });

  it('a certificate with the master’s name and another fingerprint opens none, though our CA signed it', async () => {
    const copy = join(testDirectory('copy'), 'ca');
    await cp(swarm.caDir, copy, { recursive: true });
    await rm(join(copy, 'master'), { recursive: true });
    const other = await (await openAuthority(copy)).master();
    const answer = await swarm.call('GET', '/swarm/hosts', { identity: other, token: swarm.admin });
    assert.deepEqual([answer.status, answer.json.detail], [403, 'operator certificate required']);
  });

  it('has no pages of documentation, and says what it does not know as the original does', async () => {
    for (const path of ['/docs', '/redoc', '/openapi.json', '/swarm/nothing']) {
      const answer = await swarm.call('GET', path);
      assert.deepEqual([answer.status, answer.json], [404, { detail: 'Not Found' }], path);
    }
    const wrong = await swarm.call('GET', '/swarm/heartbeat');
    assert.deepEqual([wrong.status, wrong.json], [405, { detail: 'Method Not Allowed' }]);
  });

  it('tells its CA to everybody', async () => {
    const answer = await swarm.call('GET', '/swarm/ca');
    assert.deepEqual([answer.status, answer.text], [200, swarm.authority.caPem]);
  });

  it('takes no body larger than 4 MiB', async () => {
    const { identity } = await swarm.enroll('agent-2');
    const raw = `{"host_uuid":"x","status":{"a":"${'x'.repeat(4 * 1024 * 1024)}"}}`;
    assert.equal((await swarm.call('POST', '/swarm/heartbeat', { identity, raw })).status, 413);
  });

  /** As from an address on the network, without a certificate. */
  async function fromNetwork(path: string, raw: string): Promise<Response> {
    const incoming = { socket: { remoteAddress: '192.0.2.77' } };
    const headers = { 'content-type': 'application/json' };
    return swarm.app.request(path, { method: 'POST', headers, body: raw }, { incoming });
  }

  it('takes no more than 64 KiB of whom shows no certificate', async () => {
    const heartbeat = (size: number) =>
      fromNetwork('/swarm/heartbeat', `{"host_uuid":"x","status":{"a":"${'x'.repeat(size)}"}}`);
    assert.equal((await heartbeat(60 * 1024)).status, 404);
    assert.equal((await heartbeat(64 * 1024)).status, 413);
    const { identity } = await swarm.enroll('agent-large');
    const raw = `{"host_uuid":"x","status":{"a":"${'x'.repeat(64 * 1024)}"}}`;
    assert.equal((await swarm.call('POST', '/swarm/heartbeat', { identity, raw })).status, 404);
  });

  it('names at most a hundred faults of a report', async () => {
    const { identity } = await swarm.enroll('agent-faulty');
    const raw = `{"host_uuid":"x","status":{},"lifecycle":[${Array.from({ length: 300_000 }, () => 1).join()}]}`;
    const answer = await swarm.call('POST', '/swarm/heartbeat', { identity, raw });
    assert.deepEqual([answer.status, answer.json.detail.length], [422, 100]);
  });

  it('has refused an address thirty times, then says when to come again, and hears others', async () => {
    const refused = { token: 'guessed', csr_pem: 'x' };
    const ask = async () => (await fromNetwork('/swarm/join', JSON.stringify(refused))).status;
    const answers = [];
    for (let turn = 0; turn < 32; turn += 1) answers.push(await ask());
    assert.deepEqual(answers, [...Array.from({ length: 30 }, () => 403), 429, 429]);
    const renewal = await fromNetwork('/swarm/renew', '{"csr_pem":"x"}');
    assert.deepEqual([renewal.status, Number(renewal.headers.get('retry-after')) > 0], [429, true]);
    assert.equal((await swarm.call('POST', '/swarm/join', { body: refused })).status, 403);
  });

  // proof: limits
  it('cuts who is slow with the handshake, with headers and with a body, and who comes beyond the limit', async () => {
    const listener = await startListener(swarm.app, {
      host: '127.0.0.1',
      port: 0,
      names: ['127.0.0.1'],
      authority: swarm.authority,
      logger: pino({ level: 'silent' }),
      maxConnections: 2,
      limits: { handshakeMs: 300, headersMs: 300, requestMs: 300, checkMs: 100 },
    });
    const { identity } = await swarm.enroll('agent-slow');
    const address = { host: '127.0.0.1', port: listener.port };
    const secure = (): TLSSocket => connect({ ...address, ca: swarm.authority.caPem, ...shows(identity) });
    const cut = async (socket: Socket, text: string): Promise<string> => {
      let received = '';
      socket.on('error', () => undefined);
      socket.on('data', (chunk: Buffer) => (received += chunk.toString()));
      const dripping = setInterval(() => socket.write('a'), 50);
      if (text !== '') socket.write(text);
      await once(socket, 'close');
      clearInterval(dripping);
      return received;
    };
    try {
      const mute = connectPlain(address);
      await once(mute, 'connect');
      await once(mute, 'close');
      assert.match(await cut(secure(), 'GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: '), /^HTTP\/1\.1 408 /);
      const post = 'POST /swarm/heartbeat HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{';
      assert.match(await cut(secure(), post), /^HTTP\/1\.1 408 /);
      const held = [connectPlain(address), connectPlain(address)];
      await Promise.all(held.map((socket) => once(socket, 'connect')));
      await assert.rejects(once(secure(), 'secureConnect'));
      for (const socket of held) socket.destroy();
    } finally {
      await listener.stop();
    }
  });

  it('takes up a renewed certificate, and goes on refusing strangers', async () => {
    const served = await Promise.all(
      ['old', 'new'].map((name) => swarm.authority.issue({ name, sans: ['127.0.0.1'] })),
    );
    const [first, renewed] = served;
    assert.ok(first && renewed);
    const due = { now: first };
    const app = new Hono<ApiEnv>();
    app.get('/health', (c) => c.json({}));
    const listener = await startListener(app, {
      host: '127.0.0.1',
      port: 0,
      names: ['127.0.0.1'],
      authority: { ...swarm.authority, server: async () => due.now },
      logger: pino({ level: 'silent' }),
      renewalCheckMs: 20,
    });
    const certificate = async (): Promise<string> => {
      const socket = connect({ host: '127.0.0.1', port: listener.port, ca: swarm.authority.caPem });
      await once(socket, 'secureConnect');
      const fingerprint = fingerprintOf(socket.getPeerCertificate().raw);
      socket.destroy();
      return fingerprint;
    };
    assert.equal(await certificate(), first.fingerprint);
    due.now = renewed;
    for (let turn = 0; turn < 100 && (await certificate()) !== renewed.fingerprint; turn += 1) await pause(20);
    assert.equal(await certificate(), renewed.fingerprint);
    const stranger = await foreign.issue({ name: 'h1', sans: [] });
    const known = await swarm.authority.issue({ name: 'h1', sans: [] });
    assert.equal((await ask({ ...shows(stranger), port: listener.port })).received, '');
    assert.match((await ask({ ...shows(known), port: listener.port })).received, /^HTTP\/1\.1 200 /);
    await listener.stop();
  });
});
