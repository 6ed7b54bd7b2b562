import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Authority, fingerprintOf, openAuthority, openAuthorityFiles } from '../../adapters/pki/authority.ts';
import { generateKeys, importSigningKey, leafCertificate, privateKeyPem } from '../../adapters/pki/certificates.ts';
import * as x509 from '../../adapters/pki/x509.ts';
import { loadIdentity, writeIdentity } from '../../agent/identity.ts';
import { programArguments } from '../../stack/root.ts';
import { type AgentHost, agentHost } from '../support/agents/agent-host.ts';
import { type Answer, type SwarmDouble, swarmDouble } from '../support/master/swarm-double.ts';
import { until } from '../support/until.ts';

interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

const agent = (args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Ran> =>
  new Promise((resolve) => {
    const options = { env: { ...process.env, ...environment } };
    const child = execFile(process.execPath, programArguments('agent', ...args), options, (_, out, err) =>
      resolve({ code: child.exitCode, out, err }),
    );
  });

describe('joining a swarm', () => {
  let directory: string;
  let authority: Authority;
  let master: SwarmDouble;
  const bodies: unknown[] = [];
  const home = () => join(directory, 'agent');
  const joinAs = (token: string, more: readonly string[] = [], fingerprint = authority.fingerprint): Promise<Ran> =>
    agent(['join', master.url, '--token', token, '--ca-fingerprint', fingerprint, '--dir', home(), ...more]);
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'dh-join-'));
    authority = await openAuthority(join(directory, 'ca'));
    master = await swarmDouble(authority);
    master.answer = async (_path, body): Promise<Answer> => {
      const { token, csr_pem } = body as { token: string; csr_pem: string };
      bodies.push(body);
      if (token !== 'good') return { status: 403, body: { detail: 'The enrolment token is used.' } };
      const { certPem, caPem } = await authority.sign(csr_pem, { name: 'web-1', sans: ['127.0.0.1'] });
      const { fingerprint } = await authority.master();
      const names = { host_uuid: 'uuid-1', name: 'web-1', agent_port: 8765 };
      return {
        status: 200,
        body: { ...names, worker_cert_pem: certPem, ca_cert_pem: caPem, master_fingerprint: fingerprint },
      };
    };
  });
  after(async () => {
    await master?.away();
    await rm(directory, { recursive: true, force: true });
  });
  beforeEach(() => {
    bodies.length = 0;
  });

  it('says how to join where there is no identity, with all else that is wrong said first', async () => {
    const missing = await agent(['run'], { DECKHAND_AGENT_DIR: join(directory, 'nothing') });
    assert.equal(missing.code, 2);
    assert.match(missing.err, /lacks ca\.crt, worker\.crt, worker\.key, agent\.json.*deckhand host enroll/s);
    const wrong = await agent([], { DECKHAND_AGENT_NET: 'x', DECKHAND_AGENT_PORT: '-1', DECKHAND_NETWORK: 'tin' });
    assert.equal(wrong.code, 2);
    for (const name of ['DECKHAND_AGENT_NET', 'DECKHAND_AGENT_PORT', 'DECKHAND_NETWORK'])
      assert.match(wrong.err, new RegExp(name));
  });

  it('makes its key here, keeps it here, and writes what DECNET’s agent has, and agent.json', async () => {
    const ran = await joinAs('good', ['--port', '9999']);
    assert.deepEqual([ran.code, ran.err], [0, '']);
    assert.match(ran.out, /web-1 \(uuid-1\)/);
    assert.deepEqual((await readdir(home())).sort(), ['agent.json', 'ca.crt', 'worker.crt', 'worker.key']);
    for (const name of await readdir(home())) assert.equal((await stat(join(home(), name))).mode & 0o777, 0o600, name);
    assert.equal((await stat(home())).mode & 0o777, 0o700);
    const { facts, certPem, keyPem } = await loadIdentity(home());
    assert.equal(facts.agent_port, 9999);
    assert.equal(facts.master_fingerprint, (await authority.master()).fingerprint);
    assert.equal(new X509Certificate(certPem).subject.split('\n')[0], 'CN=web-1');
    const body = keyPem.split('\n')[1] ?? '';
    assert.ok(body.length > 20);
    assert.ok(!JSON.stringify(bodies).includes(body), 'the key was sent');
  });

  it('says what is wrong with a token that is not taken, and leaves the files alone', async () => {
    const before = await readFile(join(home(), 'worker.crt'), 'utf8');
    const ran = await joinAs('bad');
    assert.equal(ran.code, 1);
    assert.match(ran.err, /does not enrol this host \(403\): The enrolment token is used\..*new token/);
    assert.equal(await readFile(join(home(), 'worker.crt'), 'utf8'), before);
  });

  it('sends no token to a master whose CA has another fingerprint', async () => {
    const ran = await joinAs('good', [], 'ab'.repeat(32));
    assert.equal(ran.code, 1);
    assert.match(ran.err, /not the master that made the command/);
    assert.deepEqual(bodies, []);
  });

  it('sends no token to another host of the same CA that poses as the master', async () => {
    const impostor = await swarmDouble(authority, await authority.issue({ name: 'neighbour', sans: ['127.0.0.1'] }));
    try {
      const ran = await agent([
        'join',
        impostor.url,
        '--token',
        'good',
        '--ca-fingerprint',
        authority.fingerprint,
        '--dir',
        home(),
      ]);
      assert.equal(ran.code, 1);
      assert.match(ran.err, /what answers there is neighbour/);
      assert.deepEqual(impostor.requests, ['GET /swarm/ca']);
    } finally {
      await impostor.away();
    }
  });

  it('says that the master can’t be reached, and what an address looks like', async () => {
    const dead = await agent([
      'join',
      'https://127.0.0.1:1',
      '--token',
      'x',
      '--ca-fingerprint',
      'ab'.repeat(32),
      '--dir',
      home(),
    ]);
    assert.match(dead.err, /can’t be reached: .*ECONNREFUSED/);
    const plain = await agent(['join', 'http://127.0.0.1:1', '--token', 'x', '--ca-fingerprint', 'ab'.repeat(32)]);
    assert.match(plain.err, /https:\/\/MASTER:8770/);
    assert.equal((await agent(['join'])).code, 2);
  });
});

describe('renewing a certificate', () => {
  let host: AgentHost;
  afterEach(() => host?.clean());

  // proof: renewal
  it('takes a new key, certificate and pin when the master asks for it, and goes on without a restart', async () => {
    host = await agentHost({ engine: 'simulated' });
    const { authority, master } = host;
    const old = host.identity.fingerprint;
    const next = await authority.issue({ name: 'stands-for-a-renewed-master', sans: [] });
    const renewals: { csr_pem: string }[] = [];
    master.answer = async (path, body, peer): Promise<Answer> => {
      if (path !== '/swarm/renew')
        return { status: 204, ...(peer === old ? { headers: { 'Deckhand-Renew': 'true' } } : {}) };
      assert.equal(peer, old);
      renewals.push(body as { csr_pem: string });
      const { certPem, caPem } = await authority.sign((body as { csr_pem: string }).csr_pem, {
        name: host.prefix,
        sans: ['127.0.0.1'],
      });
      const given = { worker_cert_pem: certPem, ca_cert_pem: caPem, master_fingerprint: next.fingerprint };
      return { status: 200, body: given };
    };
    await host.start({ DECKHAND_HEARTBEAT_INTERVAL: '100ms' });
    await until('a heartbeat with the new certificate', () =>
      master.heartbeats.some(({ fingerprint }) => fingerprint !== old),
    );
    const fresh = await loadIdentity(host.directory);
    assert.equal(master.heartbeats.at(-1)?.fingerprint, fingerprintOf(fresh.certPem));
    assert.notEqual(fresh.keyPem, host.identity.keyPem);
    assert.equal(renewals.length, 1);
    assert.equal(fresh.facts.master_fingerprint, next.fingerprint);
    // The old pin is out at once: the master has renewed too.
    assert.equal((await host.call('GET', '/health')).status, 403);
    assert.equal(await host.serverFingerprint(), fingerprintOf(fresh.certPem));
  });

  it('takes one by itself when its own ends soon, though nobody asks', async () => {
    host = await agentHost({ engine: 'simulated' });
    const { authority, master } = host;
    const old = await endsSoon(host);
    master.answer = async (path, body): Promise<Answer> => {
      if (path !== '/swarm/renew') return { status: 204 };
      const { csr_pem } = body as { csr_pem: string };
      const { certPem, caPem } = await authority.sign(csr_pem, { name: host.prefix, sans: ['127.0.0.1'] });
      const { fingerprint } = await authority.master();
      return { status: 200, body: { worker_cert_pem: certPem, ca_cert_pem: caPem, master_fingerprint: fingerprint } };
    };
    await host.start({ DECKHAND_HEARTBEAT_INTERVAL: '100ms' });
    await until('a heartbeat with the new certificate', () =>
      master.heartbeats.some(({ fingerprint }) => fingerprint !== old),
    );
    assert.notEqual(master.heartbeats.at(-1)?.fingerprint, old);
    assert.equal((await host.call('GET', '/health')).status, 200);
  });

  it('that was written halfway when the agent was killed is finished at the next start', async () => {
    host = await agentHost({ engine: 'simulated' });
    const { facts, caPem } = await loadIdentity(host.directory);
    const fresh = await host.authority.issue({ name: host.prefix, sans: ['127.0.0.1'] });
    const renewed = { facts, caPem, certPem: fresh.certPem, keyPem: fresh.keyPem };
    await writeFile(join(host.directory, 'renewed.json'), JSON.stringify(renewed));
    await writeFile(join(host.directory, 'worker.key'), fresh.keyPem);
    await host.start();
    assert.equal(await host.serverFingerprint(), fresh.fingerprint);
    assert.ok(!(await readdir(host.directory)).includes('renewed.json'));
  });

  it('keeps the old one where the answer is for another key', async () => {
    host = await agentHost({ engine: 'simulated' });
    const { authority, master } = host;
    let asked = 0;
    master.answer = async (path): Promise<Answer> => {
      if (path !== '/swarm/renew') return { status: 204, headers: { 'Deckhand-Renew': 'true' } };
      asked += 1;
      const wrong = await authority.issue({ name: host.prefix, sans: [] });
      const { fingerprint } = await authority.master();
      return {
        status: 200,
        body: { worker_cert_pem: wrong.certPem, ca_cert_pem: wrong.caPem, master_fingerprint: fingerprint },
      };
    };
    await host.start({ DECKHAND_HEARTBEAT_INTERVAL: '100ms' });
    await until('a refused renewal and more heartbeats', () => asked > 0 && master.heartbeats.length > 5);
    assert.equal(asked, 1, 'tried more often than once a minute');
    assert.equal((await loadIdentity(host.directory)).certPem, host.identity.certPem);
    assert.equal((await host.call('GET', '/health')).status, 200);
  });
});

/** Gives the host a certificate that ends tomorrow; returns its fingerprint. */
async function endsSoon(host: AgentHost): Promise<string> {
  const { keyPem, certPem } = await openAuthorityFiles(join(host.directory, '..', 'ca'));
  const ca = { certificate: new x509.X509Certificate(certPem), key: await importSigningKey(keyPem) };
  const keys = await generateKeys();
  const DAY_MS = 24 * 60 * 60 * 1_000;
  const validity = { notBefore: new Date(Date.now() - 100 * DAY_MS), notAfter: new Date(Date.now() + DAY_MS) };
  const leaf = await leafCertificate(
    { name: host.prefix, sans: ['127.0.0.1'], publicKey: keys.publicKey },
    ca,
    validity,
  );
  const identity = await loadIdentity(host.directory);
  const pem = leaf.toString('pem');
  await writeIdentity(host.directory, { ...identity, certPem: pem, keyPem: await privateKeyPem(keys.privateKey) });
  return fingerprintOf(pem);
}
