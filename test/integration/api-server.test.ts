/** The app behind its real HTTP server: large and broken requests, the peer's address, and a stop that lets answers finish. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { BODY_LIMIT_BYTES } from '../../api/middleware.ts';
import { type RunningServer, startServer } from '../../api/server.ts';
import { ADMIN_PASSWORD, type ApiHarness, createApiHarness } from '../support/master/api-harness.ts';

const JSON_TYPE = { 'content-type': 'application/json' };

describe('API: the server', () => {
  let api: ApiHarness;
  let server: RunningServer;
  let url: string;

  beforeEach(async () => {
    api = await createApiHarness();
    server = await startServer(api.app, { host: '127.0.0.1', port: 0 });
    url = `http://127.0.0.1:${server.port}`;
  });
  afterEach(async () => {
    await server.stop();
    await api.close();
  });

  it('reads no more of a body than its limit, announced or not, and goes on answering', async () => {
    for (const [name, value] of [
      ['content-length', String(100 * 1024 * 1024)],
      ['transfer-encoding', 'chunked'],
    ] as const) {
      let sent = 0;
      const body = new Readable({
        read() {
          sent += 64 * 1024;
          this.push(sent > 100 * 1024 * 1024 ? null : Buffer.alloc(64 * 1024, 0x20));
        },
      });
      const call = request(`${url}/api/v1/deckies/deploy`, {
        method: 'POST',
        headers: { ...JSON_TYPE, [name]: value },
      });
      call.on('error', () => undefined);
      body.pipe(call);
      const [answer] = await once(call, 'response');
      assert.equal(answer.statusCode, 422, name);
      body.destroy();
      call.destroy();
      assert.ok(sent < BODY_LIMIT_BYTES * 8, `${name}: ${sent} bytes were taken`);
    }
    assert.equal((await fetch(`${url}/healthz`)).status, 200);
  });

  it('hears a stranger out who sends more than is kept: such a client reads no answer before', async () => {
    const body = `"${'x'.repeat(600_000)}"`;
    const socket = connect(server.port, '127.0.0.1');
    const head = `POST /api/v1/deckies/deploy HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
    await new Promise<void>((sent, failed) => {
      socket.pause().once('error', failed);
      socket.write(head + body, () => sent());
    });
    const [answer] = await once(socket.resume(), 'data');
    assert.match(String(answer), /^HTTP\/1.1 422 /);
    socket.destroy();
  });

  it('answers broken HTTP with 400 and goes on', async () => {
    const socket = connect(server.port, '127.0.0.1');
    socket.end('NONSENSE\r\n\r\n');
    const [data] = await once(socket, 'data');
    assert.match(String(data), /^HTTP\/1\.1 400 /);
    assert.equal((await fetch(`${url}/healthz`)).status, 200);
  });

  it('counts wrong passwords of one address whatever the user, and trusts no header about the address', async () => {
    const login = (username: string, turn: number): Promise<Response> =>
      fetch(`${url}/api/v1/auth/login`, {
        method: 'POST',
        headers: { ...JSON_TYPE, 'x-forwarded-for': `192.0.2.${turn}` },
        body: JSON.stringify({ username, password: 'wrong' }),
      });
    for (let turn = 0; turn < 10; turn += 1) assert.equal((await login(`user-${turn}`, turn)).status, 401);
    assert.equal((await login('another', 11)).status, 429);
    const elsewhere = await api.call('POST', '/api/v1/auth/login', {
      body: { username: 'admin', password: ADMIN_PASSWORD },
    });
    assert.equal(elsewhere.status, 200, 'another address is not concerned');
  });

  it('lets an answer that is under way finish when it stops', async () => {
    let release = (): void => undefined;
    const entered = new Promise<void>((resolve) => {
      Object.assign(api.deps.fleet, {
        deckies: () => {
          resolve();
          return new Promise((answer) => {
            release = () => answer([]);
          });
        },
      });
    });
    const token = await api.login('admin', ADMIN_PASSWORD);
    const answer = fetch(`${url}/api/v1/deckies`, { headers: { authorization: `Bearer ${token}` } });
    await entered;
    const stopped = server.stop();
    await assert.rejects(fetch(`${url}/healthz`), 'no new connection');
    release();
    assert.equal((await answer).status, 200);
    await stopped;
  });

  it('carries the request id of the client, or one of its own', async () => {
    const given = await fetch(`${url}/healthz`, { headers: { 'x-request-id': 'my-request-1' } });
    assert.equal(given.headers.get('x-request-id'), 'my-request-1');
    const evil = await fetch(`${url}/healthz`, { headers: { 'x-request-id': '{"a":"b"}' } });
    assert.match(evil.headers.get('x-request-id') ?? '', /^[0-9a-f-]{36}$/);
  });
});
