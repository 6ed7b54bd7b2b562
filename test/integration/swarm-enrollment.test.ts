import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createSigningRequest, describeCertificate, type Identity } from '../../adapters/pki/authority.ts';
import { createSwarmHarness, type SwarmAnswer, type SwarmHarness } from '../support/master/swarm-harness.ts';

describe('enrolment of hosts', () => {
  let swarm: SwarmHarness;
  before(async () => {
    swarm = await createSwarmHarness();
  });
  after(() => swarm.close());

  const invite = async (name: string): Promise<{ token: string; host_uuid: string; command: string }> => {
    const body = { name, address: '127.0.0.1', sans: ['localhost'], notes: 'rack 4' };
    const answer = await swarm.api.call('POST', '/api/v1/swarm/enrollments', { token: swarm.admin, body });
    assert.equal(answer.status, 201, answer.text);
    return answer.json;
  };
  const join = (token: string, csrPem: string): Promise<SwarmAnswer> =>
    swarm.call('POST', '/swarm/join', { body: { token, csr_pem: csrPem } });

  /** Joins as an agent does. */
  async function joined(name: string): Promise<{ uuid: string; identity: Pick<Identity, 'certPem' | 'keyPem'> }> {
    const { token } = await invite(name);
    const { keyPem, csrPem } = await createSigningRequest(name);
    const answer = await join(token, csrPem);
    assert.equal(answer.status, 200, answer.text);
    return { uuid: answer.json.host_uuid, identity: { keyPem, certPem: answer.json.worker_cert_pem } };
  }
  const beat = (uuid: string, identity: Pick<Identity, 'certPem' | 'keyPem'>): Promise<SwarmAnswer> =>
    swarm.call('POST', '/swarm/heartbeat', {
      identity,
      body: { host_uuid: uuid, status: { deployed: false, deckies: [], deckhand: { version: 'test' } } },
    });

  it('a host joins with its token and a request: its key stays with it, its names are the operator’s', async () => {
    const invitation = await invite('h1');
    assert.match(
      invitation.command,
      new RegExp(
        `^npx deckhand agent join https://127\\.0\\.0\\.1:${swarm.port} --token ${invitation.token} --ca-fingerprint ${swarm.authority.fingerprint}$`,
      ),
    );
    assert.equal(await swarm.hosts.get(invitation.host_uuid), null, 'it is enrolled when it joins');
    const { keyPem, csrPem } = await createSigningRequest('swarmctl');
    const answer = await join(invitation.token, csrPem);
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(Object.keys(answer.json).sort(), [
      'agent_port',
      'ca_cert_pem',
      'host_uuid',
      'master_fingerprint',
      'name',
      'worker_cert_pem',
    ]);
    assert.equal(answer.json.master_fingerprint, (await swarm.authority.master()).fingerprint);
    assert.equal(describeCertificate(answer.json.worker_cert_pem).commonName, 'h1');
    const identity = { keyPem, certPem: answer.json.worker_cert_pem };
    assert.equal((await beat(invitation.host_uuid, identity)).status, 204);
    const host = await swarm.hosts.get(invitation.host_uuid);
    assert.deepEqual([host?.status, host?.notes, host?.fenced], ['active', 'rack 4', true]);
  });

  it('its ipvlan is set when it is enrolled, and changed later (gaps, D)', async () => {
    const body = { name: 'ipvlan', address: '127.0.0.1', use_ipvlan: true };
    const invited = await swarm.api.call('POST', '/api/v1/swarm/enrollments', { token: swarm.admin, body });
    const { csrPem } = await createSigningRequest('ipvlan');
    const { host_uuid: uuid } = (await join(invited.json.token, csrPem)).json;
    assert.equal((await swarm.hosts.get(uuid))?.useIpvlan, true);
    const change = { token: swarm.admin, body: { use_ipvlan: false } };
    assert.equal((await swarm.api.call('PATCH', `/api/v1/swarm/hosts/${uuid}`, change)).status, 200);
    assert.equal((await swarm.hosts.get(uuid))?.useIpvlan, false);
  });

  // proof: one-shot-token
  it('a token works once, also when it is used twice at the same moment', async () => {
    const { token, host_uuid } = await invite('twice');
    const requests = await Promise.all([createSigningRequest('twice'), createSigningRequest('twice')]);
    const answers = await Promise.all(requests.map(({ csrPem }) => join(token, csrPem)));
    assert.deepEqual(answers.map((answer) => answer.status).sort(), [200, 403]);
    assert.ok(await swarm.hosts.get(host_uuid));
    const { csrPem } = await createSigningRequest('twice');
    const late = await join(token, csrPem);
    assert.deepEqual([late.status, late.headers['deckhand-error-code']], [403, 'EnrollmentRefused']);
  });

  it('a request that is not right leaves the token good', async () => {
    const { token } = await invite('mended');
    const refused = await join(token, '-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n');
    assert.equal(refused.status, 403);
    const { csrPem } = await createSigningRequest('mended');
    assert.equal((await join(token, csrPem)).status, 200);
  });

  it('an unknown token is refused', async () => {
    const { csrPem } = await createSigningRequest('x');
    assert.equal((await join('nothing', csrPem)).status, 403);
  });

  // proof: enrolment
  it('the master’s own names are refused on every way (gaps, D)', async () => {
    const call = { token: swarm.admin };
    for (const name of ['swarmctl', 'decnet-master', 'Updater-7']) {
      const body = { name, address: '127.0.0.1' };
      const byDecnet = await swarm.call('POST', '/swarm/enroll', { ...call, body });
      const byOurs = await swarm.api.call('POST', '/api/v1/swarm/enrollments', { ...call, body });
      assert.deepEqual([byDecnet.status, byOurs.status], [409, 409], name);
    }
    const posing = { name: 'h7', address: '127.0.0.1', sans: ['swarmctl'] };
    assert.equal((await swarm.call('POST', '/swarm/enroll', { ...call, body: posing })).status, 409);
    assert.equal((await swarm.api.call('POST', '/api/v1/swarm/enrollments', { ...call, body: posing })).status, 409);
    const bundle = { master_host: '127.0.0.1', agent_name: 'swarmctl' };
    assert.equal((await swarm.api.call('POST', '/api/v1/swarm/enroll-bundle', { ...call, body: bundle })).status, 409);
  });

  // proof: enrolment
  it('a name belongs to one host: 409, also when two join at the same moment', async () => {
    const [one, other] = await Promise.all([invite('same'), invite('same')]);
    const requests = await Promise.all([createSigningRequest('same'), createSigningRequest('same')]);
    const answers = await Promise.all([
      join(one.token, requests[0]?.csrPem ?? ''),
      join(other.token, requests[1]?.csrPem ?? ''),
    ]);
    assert.deepEqual(answers.map((answer) => answer.status).sort(), [200, 409]);
    const third = await swarm.api.call('POST', '/api/v1/swarm/enrollments', {
      token: swarm.admin,
      body: { name: 'same', address: '127.0.0.1' },
    });
    assert.deepEqual([third.status, third.json], [409, { detail: "Worker 'same' is already enrolled" }]);
  });

  // proof: renewal, gap-d
  it('renewal: both certificates count until the new one is seen in use, then the old one is out (gaps, D)', async () => {
    const { uuid, identity: old } = await joined('renewing');
    const patched = await swarm.api.call('PATCH', `/api/v1/swarm/hosts/${uuid}`, {
      token: swarm.admin,
      body: { renew: true },
    });
    assert.equal(patched.status, 200, patched.text);
    assert.equal(patched.json.renew_requested, true);
    assert.equal((await beat(uuid, old)).headers['deckhand-renew'], 'true');
    const { keyPem, csrPem } = await createSigningRequest('renewing');
    const renewed = await swarm.call('POST', '/swarm/renew', { identity: old, body: { csr_pem: csrPem } });
    assert.equal(renewed.status, 200, renewed.text);
    assert.deepEqual(Object.keys(renewed.json).sort(), ['ca_cert_pem', 'master_fingerprint', 'worker_cert_pem']);
    assert.equal((await beat(uuid, old)).status, 204, 'the answer may have been lost: the old one still counts');
    const next = { keyPem, certPem: renewed.json.worker_cert_pem };
    const first = await beat(uuid, next);
    assert.deepEqual([first.status, first.headers['deckhand-renew']], [204, undefined]);
    const late = await beat(uuid, old);
    assert.deepEqual([late.status, late.json.detail], [403, 'cert fingerprint mismatch']);
    assert.equal((await swarm.call('POST', '/swarm/renew', { identity: old, body: { csr_pem: csrPem } })).status, 403);
  });

  it('nobody renews without a certificate, or with one of no host', async () => {
    const { csrPem } = await createSigningRequest('x');
    const body = { csr_pem: csrPem };
    assert.equal((await swarm.call('POST', '/swarm/renew', { body })).status, 403);
    const identity = await swarm.authority.issue({ name: 'nobody', sans: [] });
    assert.equal((await swarm.call('POST', '/swarm/renew', { identity, body })).status, 403);
  });

  it('an agent of DECNET is not asked to renew', async () => {
    const known = await swarm.enroll(`decnet-${randomUUID().slice(0, 8)}`);
    await swarm.hosts.requestRenewal(known.host.uuid);
    assert.equal((await swarm.heartbeat(known)).headers['deckhand-renew'], undefined);
  });

  // proof: enrolment
  it('a removed host is out at once, on the connection that it has too', async () => {
    const { uuid, identity } = await joined('leaving');
    assert.equal((await beat(uuid, identity)).status, 204);
    assert.equal((await swarm.call('DELETE', `/swarm/hosts/${uuid}`, { token: swarm.admin })).status, 204);
    assert.equal((await beat(uuid, identity)).status, 404);
    const { csrPem } = await createSigningRequest('leaving');
    assert.equal((await swarm.call('POST', '/swarm/renew', { identity, body: { csr_pem: csrPem } })).status, 403);
  });

  it('DECNET’s enrolment hands out an updater’s certificate where it is asked for', async () => {
    const body = { name: 'with-updater', address: '127.0.0.1', issue_updater_bundle: true };
    const { status, json } = await swarm.call('POST', '/swarm/enroll', { token: swarm.admin, body });
    assert.equal(status, 201);
    assert.equal(describeCertificate(json.updater.updater_cert_pem).commonName, 'updater@with-updater');
    assert.equal((await swarm.hosts.get(json.host_uuid))?.updaterFingerprint, json.updater.fingerprint);
  });
});
