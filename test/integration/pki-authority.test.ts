import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Authority, createSigningRequest, fingerprintOf, openAuthority } from '../../adapters/pki/authority.ts';
import {
  authorityCertificate,
  importKeyPair,
  leafCertificate,
  privateKeyPem,
} from '../../adapters/pki/certificates.ts';
import * as x509 from '../../adapters/pki/x509.ts';

const run = promisify(execFile);
const DAY_MS = 24 * 60 * 60 * 1000;

describe('the certificate authority', () => {
  let directory: string;
  beforeEach(async () => {
    directory = join(await mkdtemp(join(tmpdir(), 'deckhand-pki-')), 'ca');
  });
  afterEach(() => rm(join(directory, '..'), { recursive: true, force: true }));

  it('keeps everything that it writes to itself, and leaves nothing half-done beside it', async () => {
    const authority = await openAuthority(directory);
    await Promise.all([authority.master(), authority.server(['192.0.2.1'])]);
    const files = ['ca.crt', 'ca.key', 'master', 'master/ca.crt', 'master/worker.crt', 'master/worker.key'];
    const found = (await readdir(directory, { recursive: true })).sort();
    assert.deepEqual(found, [...files, 'swarmctl', 'swarmctl/server.crt', 'swarmctl/server.key']);
    for (const path of ['', ...found]) {
      const { mode } = await stat(join(directory, path));
      assert.equal(mode & 0o777, path === '' || !path.includes('.') ? 0o700 : 0o600, path);
    }
  });

  it('is one for all programs that open it for the first time at the same moment', async () => {
    const program = new URL('../support/master/authority-program.ts', import.meta.url).pathname;
    const answers = await Promise.all([
      ...Array.from({ length: 3 }, async () => {
        const { stdout } = await run(process.execPath, ['--import', 'tsx', program, directory]);
        return stdout;
      }),
      ...Array.from({ length: 8 }, () => identities(directory)),
    ]);
    assert.equal(new Set(answers).size, 1, answers.join('\n'));
    assert.equal(
      (await readdir(directory, { recursive: true })).filter((name) => /\.(new|next)$/.test(name)).length,
      0,
    );
  });

  it('renews an own identity once, also when several programs find it due (gaps, D)', async () => {
    const authority = await openAuthority(directory);
    const old = await authority.master();
    await age(directory, 'master/worker', 29);
    const renewed = await Promise.all(
      Array.from({ length: 12 }, async () => (await openAuthority(directory)).master()),
    );
    assert.equal(new Set(renewed.map((one) => one.fingerprint)).size, 1);
    assert.notEqual(renewed[0]?.fingerprint, old.fingerprint);
    assert.ok((renewed[0]?.notAfter.getTime() ?? 0) > Date.now() + 800 * DAY_MS);
    assert.equal((await (await openAuthority(directory)).master()).fingerprint, renewed[0]?.fingerprint);
  });

  it('goes on with a renewal that a killed program left half-done', async () => {
    const authority = await openAuthority(directory);
    await authority.master();
    await age(directory, 'master/worker', 29);
    const path = join(directory, 'master/worker.crt');
    const before = await readFile(path, 'utf8');
    const successor = `${path}.${hash(before)}.next`;
    const fresh = await (await openAuthority(directory)).master();
    await writeFile(path, before);
    await writeFile(successor, fresh.certPem);
    assert.equal((await authority.master()).fingerprint, fresh.fingerprint);
    assert.deepEqual((await readdir(join(directory, 'master'))).sort(), ['ca.crt', 'worker.crt', 'worker.key']);
  });

  it('goes on where a program was killed after it had written the key', async () => {
    await openAuthority(directory);
    const key = await readFile(join(directory, 'ca.key'), 'utf8');
    await unlink(join(directory, 'ca.crt'));
    await openAuthority(directory);
    assert.equal(await readFile(join(directory, 'ca.key'), 'utf8'), key);
  });

  it('makes the server’s certificate anew when a host is missing from it, and only then', async () => {
    const authority = await openAuthority(directory);
    const first = await authority.server([]);
    assert.equal((await authority.server(['localhost'])).fingerprint, first.fingerprint);
    const second = await authority.server(['192.0.2.7', 'master.example']);
    assert.notEqual(second.fingerprint, first.fingerprint);
    const certificate = new X509Certificate(second.certPem);
    for (const name of ['localhost', 'swarmctl', 'master.example']) assert.ok(certificate.checkHost(name), name);
    for (const ip of ['127.0.0.1', '192.0.2.7']) assert.ok(certificate.checkIP(ip), ip);
  });

  it('does not serve with an identity of another authority', async () => {
    const own = await openAuthority(directory);
    const first = await own.master();
    await unlink(join(directory, 'ca.key'));
    await unlink(join(directory, 'ca.crt'));
    const other = await openAuthority(directory);
    const second = await other.master();
    assert.notEqual(second.fingerprint, first.fingerprint);
    assert.ok(new X509Certificate(second.certPem).verify(new X509Certificate(other.caPem).publicKey));
    assert.equal(await readFile(join(directory, 'master/ca.crt'), 'utf8'), other.caPem);
  });

  it('says what is wrong with its files instead of making others', async () => {
    await openAuthority(directory);
    const unusable = (message: RegExp) => ({ code: 'AuthorityUnusable', message });
    const key = await readFile(join(directory, 'ca.key'), 'utf8');
    await unlink(join(directory, 'ca.key'));
    await assert.rejects(openAuthority(directory), unusable(/no ca\.key/));
    await writeFile(join(directory, 'ca.key'), (await createSigningRequest('x')).keyPem);
    await assert.rejects(openAuthority(directory), unusable(/not the key of its ca\.crt/));
    await writeFile(join(directory, 'ca.key'), 'nonsense');
    await assert.rejects(openAuthority(directory), unusable(/can’t be read/));
    await writeFile(join(directory, 'ca.key'), key);
    await openAuthority(directory);
  });

  it('opens an RSA authority, as DECNET makes it, and signs with it', async () => {
    const keys = await crypto.subtle.generateKey(
      { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) },
      true,
      ['sign', 'verify'],
    );
    const ca = await openAuthority(directory).then(() => authorityCertificate(keys));
    await writeFile(join(directory, 'ca.key'), await privateKeyPem(keys.privateKey));
    await writeFile(join(directory, 'ca.crt'), ca.toString('pem'));
    const authority = await openAuthority(directory);
    assert.equal(authority.fingerprint, fingerprintOf(new Uint8Array(ca.rawData)));
    const { certPem } = await authority.issue({ name: 'h1', sans: ['192.0.2.1'] });
    assert.ok(new X509Certificate(certPem).verify(new X509Certificate(authority.caPem).publicKey));
    await verifyWithOpenssl(directory, certPem);
  });

  it('issues certificates that openssl verifies', async function () {
    const authority = await openAuthority(directory);
    const { csrPem } = await createSigningRequest('h1');
    const signed = await authority.sign(csrPem, { name: 'h1', sans: ['192.0.2.1', '2001:db8::1', 'h1.example'] });
    if (!(await verifyWithOpenssl(directory, signed.certPem))) this.skip();
  });
});

async function identities(directory: string): Promise<string> {
  const authority: Authority = await openAuthority(directory);
  const [master, server] = await Promise.all([authority.master(), authority.server(['192.0.2.1'])]);
  return JSON.stringify([authority.fingerprint, master.fingerprint, server.fingerprint]);
}

const hash = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16);

/** Puts a certificate with so many days left in the place of an own identity’s. */
async function age(directory: string, stem: string, daysLeft: number): Promise<void> {
  const read = (name: string) => readFile(join(directory, name), 'utf8');
  const own = await importKeyPair(await read(`${stem}.key`));
  const ca = new x509.X509Certificate(await read('ca.crt'));
  const { privateKey } = await importKeyPair(await read('ca.key'));
  const certificate = await leafCertificate(
    { name: 'decnet-master', sans: ['127.0.0.1'], publicKey: own.publicKey },
    { certificate: ca, key: privateKey },
    { notBefore: new Date(Date.now() - 796 * DAY_MS), notAfter: new Date(Date.now() + daysLeft * DAY_MS) },
  );
  await writeFile(join(directory, `${stem}.crt`), `${certificate.toString('pem')}\n`);
}

/** False where there is no openssl to ask. */
async function verifyWithOpenssl(directory: string, certPem: string): Promise<boolean> {
  const path = join(directory, 'leaf.pem');
  await writeFile(path, certPem);
  try {
    const { stdout } = await run('openssl', ['verify', '-CAfile', join(directory, 'ca.crt'), path]);
    assert.match(stdout, /: OK/);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  }
}
