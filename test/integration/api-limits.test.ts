/** What a client may cost the operators' listener, what browsers are told, and TLS. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { pino } from 'pino';
import { type Authority, fingerprintOf, openAuthority } from '../../adapters/pki/authority.ts';
import { HSTS, SECURE_HEADERS } from '../../api/middleware.ts';
import { openOperatorTls, type RunningServer, startServer } from '../../api/server.ts';
import { createApiClient } from '../../cli/api-client.ts';
import { resolveConnection } from '../../cli/connection.ts';
import { ADMIN_PASSWORD, type ApiHarness, createApiHarness } from '../support/master/api-harness.ts';
import { testDirectory } from '../support/stack/stack.ts';
import { until } from '../support/until.ts';

const HOST = '127.0.0.1';
const ORIGIN = 'https://console.example';

describe('API: limits', () => {
  let api: ApiHarness;
  before(async () => {
    api = await createApiHarness({ deps: () => ({ corsOrigins: [ORIGIN] }) });
  });
  after(() => api?.close());

  describe('of slow and many clients', () => {
    let server: RunningServer;
    afterEach(() => server.stop());

    /** What came until the other end closed. */
    async function closed(socket: Socket): Promise<string> {
      let text = '';
      socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
      socket.on('error', () => undefined);
      await once(socket, 'close');
      return text;
    }

    // proof: limits
    it('headers that come a byte at a time end the connection, and others are served meanwhile', async () => {
      server = await startServer(api.app, { host: HOST, port: 0, limits: { headersMs: 300, checkMs: 100 } });
      const slow = connect(server.port, HOST);
      slow.write('GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ');
      const dripping = setInterval(() => slow.write('a'), 50);
      assert.equal((await fetch(`http://${HOST}:${server.port}/healthz`)).status, 200);
      const answer = await closed(slow);
      clearInterval(dripping);
      assert.match(answer, /^HTTP\/1\.1 408 /);
    });

    it('a body that never ends does so too', async () => {
      const limits = { headersMs: 300, requestMs: 300, checkMs: 100 };
      server = await startServer(api.app, { host: HOST, port: 0, limits });
      const slow = connect(server.port, HOST);
      slow.write(
        'POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{',
      );
      const dripping = setInterval(() => slow.write(' '), 50);
      const answer = await closed(slow);
      clearInterval(dripping);
      assert.match(answer, /^HTTP\/1\.1 408 /);
    });

    it('a connection on which nothing moves is closed', async () => {
      server = await startServer(api.app, { host: HOST, port: 0, limits: { silenceMs: 300 } });
      assert.equal(await closed(connect(server.port, HOST)), '');
    });

    it('headers larger than 16 KiB are refused', async () => {
      server = await startServer(api.app, { host: HOST, port: 0 });
      const answer = await fetch(`http://${HOST}:${server.port}/healthz`, {
        headers: { 'x-large': 'a'.repeat(20_000) },
      });
      assert.equal(answer.status, 431);
    });

    // proof: limits
    it('connections beyond the limit are closed as they come, and there is room again when one ends', async () => {
      server = await startServer(api.app, { host: HOST, port: 0, maxConnections: 2 });
      const held = [connect(server.port, HOST), connect(server.port, HOST)];
      await Promise.all(held.map((socket) => once(socket, 'connect')));
      assert.equal(await closed(connect(server.port, HOST)), '');
      for (const socket of held) socket.destroy();
      const answers = async (): Promise<boolean> =>
        fetch(`http://${HOST}:${server.port}/healthz`).then(
          ({ status }) => status === 200,
          () => false,
        );
      await until('an answer', answers);
      assert.ok(await answers());
    });
  });

  describe('of browsers', () => {
    const ask = (origin: string, method = 'GET', headers: Record<string, string> = {}) =>
      api.call(method, '/api/v1/deckies', { headers: { origin, ...headers } });

    // proof: limits
    it('every answer says what it may be used for: errors, pages and metrics too', async () => {
      for (const path of ['/healthz', '/metrics', '/openapi.json', '/nowhere', '/api/v1/deckies']) {
        const { headers } = await api.call('GET', path);
        for (const [name, value] of Object.entries(SECURE_HEADERS)) assert.equal(headers.get(name), value, path);
        assert.equal(headers.get('strict-transport-security'), null, 'plain HTTP');
      }
      const page = (await api.call('GET', '/docs')).headers.get('content-security-policy') ?? '';
      assert.match(page, /default-src 'none'/);
      assert.doesNotMatch(page, /script-src|unsafe-eval/);
    });

    it('only origins that were named may read, with no credentials of the browser', async () => {
      const named = await ask(ORIGIN);
      assert.equal(named.headers.get('access-control-allow-origin'), ORIGIN);
      assert.equal(named.headers.get('access-control-allow-credentials'), null);
      for (const origin of ['https://evil.example', `${ORIGIN}.evil.example`, 'null', `${ORIGIN}:8443`])
        assert.equal((await ask(origin)).headers.get('access-control-allow-origin'), null, origin);
    });

    it('and with the contract’s methods and headers, and ours', async () => {
      const { status, headers } = await ask(ORIGIN, 'OPTIONS', { 'access-control-request-method': 'PUT' });
      assert.equal(status, 204);
      const listed = (name: string) => (headers.get(name) ?? '').split(',').map((part) => part.trim());
      assert.deepEqual(listed('access-control-allow-methods'), ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
      const asked = ['Authorization', 'Content-Type', 'Last-Event-ID', 'Idempotency-Key'];
      assert.deepEqual(listed('access-control-allow-headers'), asked);
    });
  });

  describe('with a certificate', () => {
    let server: RunningServer;
    let authority: Authority;
    let secure: ApiHarness;
    const directory = (): string => testDirectory('api-tls');
    let files: { certFile: string; keyFile: string; caFile: string };

    const write = async (name: string): Promise<string> => {
      const identity = await authority.issue({ name, sans: [HOST] });
      writeFileSync(files.certFile, identity.certPem);
      writeFileSync(files.keyFile, identity.keyPem, { mode: 0o600 });
      return identity.fingerprint;
    };
    const shown = async (): Promise<string> => {
      const socket = connectTls({ host: HOST, port: server.port, ca: authority.caPem });
      await once(socket, 'secureConnect');
      const fingerprint = fingerprintOf(socket.getPeerCertificate().raw);
      socket.destroy();
      return fingerprint;
    };
    before(async () => {
      const home = directory();
      files = { certFile: join(home, 'api.crt'), keyFile: join(home, 'api.key'), caFile: join(home, 'ca.crt') };
      authority = await openAuthority(join(home, 'ca'));
      writeFileSync(files.caFile, authority.caPem);
      await write('api-1');
      secure = await createApiHarness({ deps: () => ({ overTls: true }) });
      const tls = openOperatorTls(files, pino({ level: 'silent' }), 50);
      server = await startServer(secure.app, { host: HOST, port: 0, tls });
    });
    after(async () => {
      await server?.stop();
      await secure?.close();
    });

    const clientOf = (environment: NodeJS.ProcessEnv) =>
      createApiClient(
        () =>
          resolveConnection(
            { api: `https://${HOST}:${server.port}` },
            { DECKHAND_USER: 'admin', DECKHAND_PASSWORD: ADMIN_PASSWORD, ...environment },
          ),
        new AbortController().signal,
      );

    it('the command reaches it when told whom to trust, and not otherwise; browsers are told to stay', async () => {
      const client = clientOf({ DECKHAND_CA: files.caFile });
      const { status, headers } = await client.call((asked) => asked.GET('/api/v1/deckies'));
      assert.deepEqual([status, headers.get('strict-transport-security')], [200, HSTS]);
      await assert.rejects(
        clientOf({}).call((asked) => asked.GET('/api/v1/deckies')),
        /does not answer/,
      );
      await assert.rejects(
        async () => clientOf({ DECKHAND_CA: files.keyFile }).call((asked) => asked.GET('/api/v1/deckies')),
        /holds no certificate/,
      );
    });

    it('plain HTTP and old TLS get no answer', async () => {
      await assert.rejects(fetch(`http://${HOST}:${server.port}/healthz`));
      const versions = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
      const socket = connectTls({ host: HOST, port: server.port, ca: authority.caPem, ...versions });
      await assert.rejects(once(socket, 'secureConnect'));
    });

    // proof: tls
    it('a new certificate is taken up, and a pair that is not whole is not', async () => {
      const before = await shown();
      writeFileSync(files.certFile, 'half a file');
      const renewed = await write('api-2');
      assert.notEqual(renewed, before);
      await until('the renewed certificate', async () => (await shown()) === renewed);
      writeFileSync(files.certFile, 'half a file');
      const other = openOperatorTls.bind(null, files, pino({ level: 'silent' }));
      assert.throws(other, /DECKHAND_TLS_CERT .* make no certificate/);
      assert.equal(await shown(), renewed);
    });
  });
});
