import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { createEnrollmentTokens } from '../../adapters/postgres/enrollment.ts';
import { createHostStore, type Host, type HostStore, type NewHost } from '../../adapters/postgres/hosts.ts';
import { createTestDatabase, type TestDatabase } from '../support/servers/database.ts';

const sha = (text: string): string => createHash('sha256').update(text).digest('hex');
const LATER = new Date('2040-01-02T03:04:05Z');

function newHost(name: string, more: Partial<NewHost> = {}): NewHost {
  const rest = { agentPort: 8765, notes: null, useIpvlan: false, certNotAfter: LATER, fenced: false };
  return { uuid: randomUUID(), name, address: '192.0.2.1', fingerprint: sha(name), ...rest, ...more };
}

describe('hosts in PostgreSQL', () => {
  let database: TestDatabase;
  let hosts: HostStore;
  beforeEach(async () => {
    database = await createTestDatabase();
    hosts = createHostStore(database.sql);
  });
  afterEach(() => database.drop());

  const found = async (uuid: string): Promise<Host> => {
    const host = await hosts.get(uuid);
    assert.ok(host);
    return host;
  };

  it('are found as they were enrolled, in order of their names', async () => {
    const b = newHost('b', { notes: 'rack 2', useIpvlan: true, fenced: true, updaterFingerprint: sha('u') });
    const enrolled = await hosts.enroll(b);
    await hosts.enroll(newHost('a'));
    const { uuid, name, notes, useIpvlan, fenced, fingerprint, certNotAfter, updaterFingerprint } = enrolled;
    const { address, agentPort } = enrolled;
    assert.deepEqual(
      { uuid, name, notes, useIpvlan, fenced, fingerprint, certNotAfter, updaterFingerprint, address, agentPort },
      b,
    );
    assert.deepEqual([enrolled.status, enrolled.lastHeartbeat, enrolled.draining], ['enrolled', null, false]);
    assert.deepEqual(await found(b.uuid), enrolled);
    assert.deepEqual(await hosts.byName('b'), enrolled);
    assert.deepEqual(await hosts.byFingerprint(b.fingerprint), enrolled);
    assert.deepEqual(
      (await hosts.list()).map((host) => host.name),
      ['a', 'b'],
    );
    assert.equal(await hosts.get(randomUUID()), null);
  });

  it('have one name each, also when two are enrolled at the same moment', async () => {
    const tries = await Promise.allSettled([1, 2, 3].map(() => hosts.enroll(newHost('h1'))));
    assert.equal(tries.filter((one) => one.status === 'fulfilled').length, 1);
    await assert.rejects(hosts.enroll(newHost('h1')), {
      code: 'HostExists',
      message: "Worker 'h1' is already enrolled",
    });
  });

  it('are active with a sign of life, and unreachable by time or by a failed probe', async () => {
    const [silent, fresh, never] = await Promise.all(
      ['silent', 'fresh', 'never'].map((name) => hosts.enroll(newHost(name))),
    );
    assert.ok(silent && fresh && never);
    await hosts.markReachable(silent.uuid, { clockOffsetMs: -1500 });
    await database.sql`update swarm_hosts set last_heartbeat = now() - interval '91 seconds'`;
    await hosts.markReachable(fresh.uuid);
    assert.deepEqual(
      (await hosts.silentSince(90_000)).map((host) => host.name),
      ['silent'],
    );
    assert.equal((await hosts.silentSince(90_000)).length, 0);
    assert.equal((await found(silent.uuid)).clockOffsetMs, -1500);
    assert.deepEqual(
      (await hosts.list({ status: 'active' })).map((host) => host.name),
      ['fresh'],
    );
    assert.equal((await found(never.uuid)).status, 'enrolled');
    await hosts.markUnreachable(fresh.uuid);
    assert.equal((await found(fresh.uuid)).status, 'unreachable');
    await hosts.markReachable(silent.uuid);
    const back = await found(silent.uuid);
    assert.deepEqual([back.status, back.clockOffsetMs], ['active', -1500]);
    assert.equal(await hosts.markReachable(randomUUID()), false);
  });

  it('change what was asked for and nothing else', async () => {
    const { uuid } = await hosts.enroll(newHost('h1', { notes: 'old' }));
    const changed = await hosts.change(uuid, { notes: null, useIpvlan: true, address: '192.0.2.8' });
    assert.deepEqual(
      [changed?.notes, changed?.useIpvlan, changed?.address, changed?.draining],
      [null, true, '192.0.2.8', false],
    );
    assert.deepEqual(await hosts.change(uuid, {}), changed);
    assert.equal(await hosts.setDraining(uuid, true), true);
    assert.equal((await found(uuid)).draining, true);
    assert.equal(await hosts.change(randomUUID(), { draining: true }), null);
  });

  it('take a new certificate once it is seen in use; then the old one is revoked (gaps, D)', async () => {
    const { uuid, fingerprint } = await hosts.enroll(newHost('h1'));
    await hosts.requestRenewal(uuid);
    const [lost, next] = [sha('lost'), sha('next')];
    const end = new Date('2050-01-01T00:00:00Z');
    await hosts.certificateIssued(uuid, lost, LATER);
    await hosts.certificateIssued(uuid, next, end);
    assert.equal(await hosts.adoptCertificate(uuid, lost), false);
    const between = await found(uuid);
    assert.deepEqual([between.fingerprint, between.nextFingerprint, between.certNotAfter], [fingerprint, next, LATER]);
    assert.deepEqual([between.renewRequested, (await hosts.byFingerprint(next))?.uuid], [true, uuid]);
    assert.equal(await hosts.isRevoked(fingerprint), false);

    const adopted = await Promise.all([1, 2].map(() => hosts.adoptCertificate(uuid, next)));
    assert.deepEqual(adopted.sort(), [false, true]);
    const after = await found(uuid);
    assert.deepEqual([after.fingerprint, after.nextFingerprint, after.certNotAfter], [next, null, end]);
    assert.deepEqual([after.renewRequested, await hosts.byFingerprint(fingerprint)], [false, null]);
    assert.deepEqual([await hosts.isRevoked(fingerprint), await hosts.isRevoked(next)], [true, false]);
  });

  it('are asked for a renewal together when the master’s own certificate changes', async () => {
    await Promise.all([hosts.enroll(newHost('a')), hosts.enroll(newHost('b'))]);
    assert.equal(await hosts.requestRenewalOfAll(), 2);
    assert.ok((await hosts.list()).every((host) => host.renewRequested));
  });

  it('that are removed are out at once, with every certificate they have', async () => {
    const { uuid, fingerprint } = await hosts.enroll(newHost('h1', { updaterFingerprint: sha('updater') }));
    await hosts.certificateIssued(uuid, sha('next'), LATER);
    await database.sql`insert into decky_shards (host_uuid, decky_name, services) values (${uuid}, 'd', '[]')`;
    assert.equal((await hosts.remove(uuid))?.name, 'h1');
    for (const one of [fingerprint, sha('next'), sha('updater')]) assert.equal(await hosts.isRevoked(one), true);
    assert.deepEqual([await hosts.get(uuid), await hosts.byFingerprint(fingerprint)], [null, null]);
    assert.deepEqual([...(await database.sql`select 1 from decky_shards`)], []);
    assert.equal(await hosts.remove(uuid), null);
    await hosts.enroll(newHost('h1', { fingerprint: sha('again') }));
  });

  it('stay whole where their removal fails half-way', async () => {
    const { uuid, fingerprint } = await hosts.enroll(newHost('h1'));
    const failing = database.sql.begin(async (tx) => {
      await createHostStore(tx).remove(uuid);
      throw new Error('power cut');
    });
    await assert.rejects(failing, /power cut/);
    assert.equal((await found(uuid)).name, 'h1');
    assert.equal(await hosts.isRevoked(fingerprint), false);
  });
});

describe('enrolment tokens in PostgreSQL', () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createTestDatabase();
  });
  afterEach(() => database.drop());

  const enrollment = {
    hostUuid: randomUUID(),
    name: 'h1',
    address: '192.0.2.1',
    agentPort: 8766,
    sans: ['h1.example', '192.0.2.2'],
    notes: null,
    useIpvlan: true,
  };
  const refused = { code: 'EnrollmentRefused' };

  it('work once, also when used at the same moment', async () => {
    const tokens = createEnrollmentTokens(database.sql);
    const { token, expiresAt } = await tokens.create(enrollment);
    assert.match(token, /^[A-Za-z0-9_-]{43}$/);
    assert.ok(expiresAt.getTime() - Date.now() < 15 * 60_000 + 5_000);
    const tries = await Promise.allSettled([1, 2, 3, 4].map(() => tokens.spend(token)));
    const spent = tries.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    assert.deepEqual(spent, [enrollment]);
    await assert.rejects(tokens.spend(token), refused);
  });

  it('are not kept: only their hash is', async () => {
    const { token } = await createEnrollmentTokens(database.sql).create(enrollment);
    const [row] = await database.sql`select * from enrollment_tokens`;
    assert.equal(row?.token_hash, sha(token));
    assert.ok(!JSON.stringify(row).includes(token));
  });

  it('that are unknown or expired are refused', async () => {
    const tokens = createEnrollmentTokens(database.sql);
    const { token } = await tokens.create(enrollment, -1);
    await assert.rejects(tokens.spend(token), refused);
    await assert.rejects(tokens.spend('x'.repeat(43)), refused);
  });

  it('stay good where the enrolment that spends them is rolled back', async () => {
    const tokens = createEnrollmentTokens(database.sql);
    const { token } = await tokens.create(enrollment);
    const failing = database.sql.begin(async (tx) => {
      await createEnrollmentTokens(tx).spend(token);
      await createHostStore(tx).enroll(newHost('h1'));
      throw new Error('could not sign');
    });
    await assert.rejects(failing, /could not sign/);
    assert.equal((await tokens.spend(token)).name, 'h1');
    assert.equal((await createHostStore(database.sql).list()).length, 0);
  });
});
