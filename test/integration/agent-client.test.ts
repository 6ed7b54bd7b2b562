import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server, type ServerOptions } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { type AgentAddress, type AgentClient, createAgentClient } from '../../adapters/agent/client.ts';
import { type Authority, type Identity, openAuthority } from '../../adapters/pki/authority.ts';
import type { AgentDeployBody } from '../../fleet/agent-wire.ts';

const order: AgentDeployBody = {
  config: {
    mode: 'swarm',
    interface: 'eth0',
    subnet: '192.0.2.0/24',
    gateway: '192.0.2.1',
    deckies: [],
    log_file: null,
    ipvlan: false,
    mutate_interval: null,
  },
  dry_run: false,
  no_cache: false,
};

describe('the client that talks to agents', () => {
  let root: string;
  let ours: Authority;
  let foreign: Authority;
  let master: Identity;
  let h1: Identity;
  const open: { close(): Promise<unknown> }[] = [];
  const owned = <T extends { close(): Promise<unknown> }>(thing: T): T => {
    open.push(thing);
    return thing;
  };
  const client = (identity: () => Promise<Identity> = async () => master, options = {}): AgentClient =>
    owned(createAgentClient(identity, options));

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'deckhand-agent-client-'));
    [ours, foreign] = await Promise.all([openAuthority(join(root, 'ours')), openAuthority(join(root, 'foreign'))]);
    [master, h1] = await Promise.all([ours.master(), ours.issue({ name: 'h1', sans: ['127.0.0.1'] })]);
  });
  afterEach(() => Promise.all(open.splice(0).map((thing) => thing.close())));
  after(() => rm(root, { recursive: true, force: true }));

  const at = (agent: { port: number }, more: Partial<AgentAddress> = {}): AgentAddress => ({
    hostUuid: 'u1',
    name: 'h1',
    address: '127.0.0.1',
    port: agent.port,
    fingerprints: [h1.fingerprint],
    ...more,
  });

  describe('on a connection whose certificate is right', () => {
    it('asks and orders, and tells how far the clocks are apart', async () => {
      const agent = owned(
        await serve(h1, (request, response) => {
          const body = request.url === '/health' ? { status: 'ok' } : { deployed: false, deckies: [], later: 1 };
          json(response, 200, body, { date: new Date(Date.now() + 60_000).toUTCString() });
        }),
      );
      const calls = client();
      const health = await calls.health(at(agent));
      assert.deepEqual(health.body, { status: 'ok' });
      assert.ok(Math.abs((health.clockOffsetMs ?? 0) - 60_000) <= 2_000, `${health.clockOffsetMs}`);
      assert.deepEqual((await calls.status(at(agent))).body, { deployed: false, deckies: [], later: 1 });
      assert.deepEqual(agent.peers[0], master.fingerprint);
    });

    it('keeps the connection for the next call', async () => {
      const agent = owned(await serve(h1, (_, response) => json(response, 200, { status: 'ok' })));
      const calls = client();
      for (let call = 0; call < 5; call += 1) await calls.health(at(agent));
      assert.equal(agent.peers.length, 1);
    });

    it('takes another connection when the master’s identity or the pin changes', async () => {
      const agent = owned(await serve(h1, (_, response) => json(response, 200, { status: 'ok' })));
      const renewed = await ours.issue({ name: 'updater@renewed', sans: [] });
      let identity = master;
      const calls = client(async () => identity, { identityAgeMs: 0 });
      await calls.health(at(agent));
      identity = renewed;
      await calls.health(at(agent));
      assert.deepEqual(agent.peers, [master.fingerprint, renewed.fingerprint]);
      const moved = at(agent, { fingerprints: ['00'.repeat(32)] });
      await assert.rejects(calls.health(moved), { code: 'HostMismatch' });
      assert.equal(agent.requests.length, 2, 'the kept connection was not used for a host that is pinned otherwise');
    });

    it('accepts the certificate that is being renewed, and pins in any case of letters', async () => {
      const agent = owned(await serve(h1, (_, response) => json(response, 200, { status: 'ok' })));
      const fingerprints = ['00'.repeat(32), h1.fingerprint.toUpperCase()];
      assert.deepEqual((await client().health(at(agent, { fingerprints }))).body, { status: 'ok' });
    });

    it('reads the host name of a DNS address', async () => {
      const local = await ours.issue({ name: 'h1', sans: ['localhost'] });
      const agent = owned(await serve(local, (_, response) => json(response, 200, { status: 'ok' })));
      const host = at(agent, { address: 'localhost', fingerprints: [local.fingerprint] });
      assert.deepEqual((await client().health(host)).body, { status: 'ok' });
    });
  });

  describe('on a mismatch has sent not one byte of HTTP (gaps, D: pinning on the connection used)', () => {
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
      const agent = owned(await listen(h1));
      await assert.rejects(client().deploy(at(agent), order), { code: 'HostSilent' });
      assert.match(agent.received(), /^POST \/deploy HTTP\/1\.1\r\n/);
    });

    it('when another host of the same CA answers', async () => {
      const other = await ours.issue({ name: 'h2', sans: ['127.0.0.1'] });
      await mismatch(other, new RegExp(`SHA-256 ${other.fingerprint}, enrolled was ${h1.fingerprint}`));
    });

    it('when the certificate is of a foreign CA', async () => {
      const stranger = await foreign.issue({ name: 'h1', sans: ['127.0.0.1'] });
      await mismatch(stranger, /can’t be trusted/, { fingerprints: [stranger.fingerprint] });
    });

    it('when the certificate does not name the address', async () => {
      const elsewhere = await ours.issue({ name: 'h1', sans: ['192.0.2.7'] });
      await mismatch(elsewhere, /does not name 127\.0\.0\.1/, { fingerprints: [elsewhere.fingerprint] });
    });

    it('when nothing is pinned', () => mismatch(h1, /enrolled was none/, { fingerprints: [] }));

    it('unless names are not to be checked (DECKHAND_VERIFY_HOSTNAME=false), which leaves the pin in force', async () => {
      const elsewhere = await ours.issue({ name: 'h1', sans: ['192.0.2.7'] });
      const agent = owned(await serve(elsewhere, (_, response) => json(response, 200, { status: 'ok' })));
      const calls = client(undefined, { verifyHostname: false });
      assert.ok(await calls.health(at(agent, { fingerprints: [elsewhere.fingerprint] })));
      await assert.rejects(calls.health(at(agent)), { code: 'HostMismatch' });
    });

    it('also where the server offers to resume a session: every connection shows its certificate anew', async () => {
      const agent = owned(
        await serve(h1, (_, response) => json(response, 200, { status: 'ok' }, { connection: 'close' }), {
          maxVersion: 'TLSv1.2',
        }),
      );
      const calls = client();
      for (let call = 0; call < 3; call += 1) await calls.health(at(agent));
      assert.deepEqual(agent.resumed, [false, false, false]);
      const other = await ours.issue({ name: 'h2', sans: ['127.0.0.1'] });
      agent.server.setSecureContext({ key: other.keyPem, cert: other.certPem, ca: other.caPem });
      await assert.rejects(calls.health(at(agent)), { code: 'HostMismatch' });
      assert.equal(agent.requests.length, 3);
    });
  });

  describe('names what went wrong', () => {
    const rejects = (call: Promise<unknown>, code: string, says: RegExp): Promise<void> =>
      assert.rejects(call, (error: Error & { code?: string }) => {
        assert.equal(error.code, code, error.message);
        assert.match(error.message, says);
        return true;
      });

    it('HostUnreachable: nobody listens, or the name is unknown', async () => {
      const agent = await serve(h1, () => {});
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
      const stranger = { ...(await foreign.issue({ name: 'h9', sans: [] })), caPem: ours.caPem };
      for (const version of ['-tls1_2', '-tls1_3']) {
        const agent = await serveOpenSsl(root, h1, version);
        if (!agent) return this.skip();
        open.push(agent);
        await rejects(client(async () => stranger).deploy(at(agent), order), 'HostUnreachable', /host h1 .*alert/);
      }
    });

    it('HostSilent: an agent on Node, as ours, closes such a connection without a word, and reads no request', async () => {
      const stranger = { ...(await foreign.issue({ name: 'h9', sans: [] })), caPem: ours.caPem };
      const agent = owned(await serve(h1, (_, response) => json(response, 200, { status: 'ok' })));
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
        await serve(h1, (_, response) => {
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
      const agent = owned(await serve(h1, refuse));
      await rejects(client().deploy(at(agent), order), 'HostUnreachable', /403, not the master.*next heartbeat/);
    });

    it('HostSilent: a 5xx, with the agent’s words; nonsense; an answer without end', async () => {
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
        /body: /,
        /middle|broke off|aborted/,
        /larger than/,
        /before an answer/,
      ];
      const agent = owned(await serve(h1, (_, response) => scripts.shift()?.(response)));
      for (const words of says) await rejects(client().teardown(at(agent), { decky_id: null }), 'HostSilent', words);
    });

    it('HostSilent: no answer within 15 s', async function () {
      this.timeout(25_000);
      const agent = owned(await serve(h1, () => {}));
      await rejects(client().health(at(agent)), 'HostSilent', /no answer within 15 s/);
    });

    it('the reason of the signal, where the caller gave up', async () => {
      const agent = owned(await serve(h1, () => abort.abort(new Error('enough'))));
      const abort = new AbortController();
      await assert.rejects(client().health(at(agent), abort.signal), /enough/);
      await assert.rejects(client().health(at(agent), AbortSignal.abort(new Error('before'))), /before/);
    });
  });

  describe('where an idle connection was closed by the agent', () => {
    it('asks again, but sends no order twice', async () => {
      const doomed = new Set<string>(['/status', '/deploy']);
      const agent = owned(
        await serve(h1, (request, response) => {
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

interface TestAgent {
  readonly port: number;
  readonly server: Server;
  /** Paths of the requests that came. */
  readonly requests: string[];
  /** Fingerprints of the clients, one for each connection. */
  readonly peers: string[];
  readonly resumed: boolean[];
  close(): Promise<void>;
}

async function serve(
  identity: Identity,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  more: ServerOptions = {},
): Promise<TestAgent> {
  const requests: string[] = [];
  const peers: string[] = [];
  const resumed: boolean[] = [];
  const { keyPem: key, certPem: cert, caPem: ca } = identity;
  const server = createServer(
    { key, cert, ca, requestCert: true, rejectUnauthorized: true, ...more },
    (request, response) => {
      requests.push(request.url ?? '');
      request.resume().once('end', () => answer(request, response));
    },
  );
  server.on('secureConnection', (socket: TLSSocket) => {
    peers.push(socket.getPeerX509Certificate()?.fingerprint256.replaceAll(':', '').toLowerCase() ?? '');
    resumed.push(socket.isSessionReused());
    socket.on('error', () => {});
  });
  server.on('tlsClientError', () => {});
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    server,
    requests,
    peers,
    resumed,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** TLS without HTTP: keeps what comes through it, and closes at the first bytes. */
async function listen(identity: Identity): Promise<Listener & { received(): string; ended(): Promise<void> }> {
  let received = '';
  const { keyPem: key, certPem: cert, caPem: ca } = identity;
  const server = createTlsServer({ key, cert, ca, requestCert: true, rejectUnauthorized: true });
  const ended = new Promise<void>((resolve) => {
    const watch = (socket: Socket): void => {
      socket.on('error', () => {});
      socket.once('close', () => resolve());
    };
    server.on('secureConnection', (socket) => {
      watch(socket);
      socket.on('data', (chunk: Buffer) => {
        received += chunk.toString('latin1');
        socket.destroy();
      });
    });
    server.on('tlsClientError', () => resolve());
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    received: () => received,
    ended: () => ended,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

type Listener = Pick<TestAgent, 'port' | 'close'>;

async function serveTcp(meet: (socket: Socket) => void): Promise<Listener> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    meet(socket);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** OpenSSL's own server, which judges a client's certificate inside the handshake; null where it is not installed. */
async function serveOpenSsl(root: string, identity: Identity, version: string): Promise<Listener | null> {
  const path = (name: string): string => join(root, name);
  await Promise.all([
    writeFile(path('agent.key'), identity.keyPem, { mode: 0o600 }),
    writeFile(path('agent.crt'), identity.certPem),
    writeFile(path('ca.crt'), identity.caPem),
  ]);
  const free = await serveTcp(() => {});
  await free.close();
  const files = ['-key', path('agent.key'), '-cert', path('agent.crt'), '-CAfile', path('ca.crt')];
  const trust = ['-Verify', '2', '-verify_return_error', version];
  const child = spawn('openssl', ['s_server', '-accept', `127.0.0.1:${free.port}`, ...files, ...trust], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const started = await Promise.race([
    once(child, 'error').then(() => false),
    says(child.stdout, 'ACCEPT').then(() => true),
  ]);
  if (!started) return null;
  return {
    port: free.port,
    close: async () => {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    },
  };
}

/** Its first words come before it listens. */
async function says(stream: NodeJS.ReadableStream, word: string): Promise<void> {
  let text = '';
  for await (const chunk of stream) {
    text += String(chunk);
    if (text.includes(word)) return;
  }
}

function json(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}
