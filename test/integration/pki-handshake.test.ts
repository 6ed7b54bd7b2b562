import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type ConnectionOptions,
  checkServerIdentity,
  connect,
  createServer,
  type Server,
  type TLSSocket,
  type TlsOptions,
} from 'node:tls';
import {
  type Authority,
  createSigningRequest,
  describeCertificate,
  fingerprintOf,
  type Identity,
  openAuthority,
} from '../../adapters/pki/authority.ts';

describe('identities in a TLS handshake', () => {
  let root: string;
  let ours: Authority;
  let foreign: Authority;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'deckhand-tls-'));
    [ours, foreign] = await Promise.all([openAuthority(join(root, 'ours')), openAuthority(join(root, 'foreign'))]);
  });
  after(() => rm(root, { recursive: true, force: true }));

  it('the master and an agent that made its own key know each other by fingerprint and name', async () => {
    const { keyPem, csrPem } = await createSigningRequest('decnet-master');
    const agent = { keyPem, ...(await ours.sign(csrPem, { name: 'h1', sans: ['127.0.0.1'] })) };
    const master = await ours.master();
    const met = await meet(agent, master, '127.0.0.1');
    assert.deepEqual(met, {
      server: { commonName: 'h1', fingerprint: agent.fingerprint },
      client: { commonName: 'decnet-master', fingerprint: master.fingerprint },
    });
  });

  it('an agent reaches the swarm controller by any of its names', async () => {
    const [controller, agent] = await Promise.all([
      ours.server(['192.0.2.1']),
      ours.issue({ name: 'h1', sans: ['192.0.2.9'] }),
    ]);
    for (const name of ['127.0.0.1', 'localhost', 'swarmctl', '192.0.2.1']) {
      assert.equal((await meet(controller, agent, name)).server.commonName, 'swarmctl');
    }
    await assert.rejects(meet(controller, agent, '192.0.2.2'), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  });

  it('a certificate of a foreign CA gets past neither side', async () => {
    const [agent, stranger] = await Promise.all([
      ours.issue({ name: 'h1', sans: ['127.0.0.1'] }),
      foreign.issue({ name: 'h1', sans: ['127.0.0.1'] }),
    ]);
    const posing = { ...stranger, caPem: ours.caPem };
    await assert.rejects(meet(agent, posing, '127.0.0.1'), /alert|ECONNRESET|closed without a word/);
    await assert.rejects(meet(posing, agent, '127.0.0.1'), /signature|unable to|self.signed/);
  });

  // proof: gap-d
  it('names of the master’s own get no certificate, on either way (gaps, D)', async () => {
    const reserved = { code: 'HostNameReserved' };
    const { csrPem } = await createSigningRequest('h1');
    for (const name of ['decnet-master', 'SWARMCTL', 'updater@h1']) {
      await assert.rejects(ours.sign(csrPem, { name, sans: [] }), reserved);
      await assert.rejects(ours.sign(csrPem, { name: 'h1', sans: [name] }), reserved);
    }
    await assert.rejects(ours.issue({ name: 'decnet-master', sans: [] }), reserved);
    await assert.rejects(ours.issue({ name: 'h1', sans: ['swarmctl.'] }), reserved);
    assert.equal(
      describeCertificate((await ours.issue({ name: 'updater@h1', sans: [] })).certPem).commonName,
      'updater@h1',
    );
  });
});

interface Peer {
  readonly commonName: string;
  readonly fingerprint: string;
}

const peer = (raw: Uint8Array): Peer => ({
  commonName: describeCertificate(raw).commonName,
  fingerprint: fingerprintOf(raw),
});
const tls = (identity: Identity): TlsOptions & ConnectionOptions => ({
  key: identity.keyPem,
  cert: identity.certPem,
  ca: identity.caPem,
  rejectUnauthorized: true,
});

/** A mutual handshake: what each side saw of the other. Rejects where either side refuses. */
async function meet(server: Identity, client: Identity, name: string): Promise<{ server: Peer; client: Peer }> {
  const listener: Server = createServer({ ...tls(server), requestCert: true });
  const seen = new Promise<Peer>((resolve) => {
    listener.on('secureConnection', (socket) => {
      socket.on('error', () => {});
      resolve(peer(socket.getPeerCertificate().raw));
      socket.end('met');
    });
  });
  listener.on('tlsClientError', () => {});
  await once(listener.listen(0, '127.0.0.1'), 'listening');
  try {
    const { port } = listener.address() as AddressInfo;
    const socket = connect({
      ...tls(client),
      host: '127.0.0.1',
      port,
      checkServerIdentity: (_, certificate) => checkServerIdentity(name, certificate),
    });
    // In TLS 1.3 a server refuses a client after the client's side of the handshake: what counts is that data came.
    assert.equal(await firstData(socket), 'met');
    const met = { server: peer(socket.getPeerCertificate().raw), client: await seen };
    socket.destroy();
    return met;
  } finally {
    listener.close();
  }
}

/** The first text of a connection; rejects with its error, or where it closes without a word. */
function firstData(socket: TLSSocket): Promise<string> {
  return new Promise((resolve, reject) => {
    socket.once('data', (data) => resolve(String(data)));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed without a word')));
  });
}
