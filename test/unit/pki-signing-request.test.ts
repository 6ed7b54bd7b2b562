import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, type webcrypto } from 'node:crypto';
import { createSigningRequest, readSigningRequest } from '../../adapters/pki/certificates.ts';
import * as x509 from '../../adapters/pki/x509.ts';

const refused = { code: 'EnrollmentRefused' };

async function request(algorithm: webcrypto.EcKeyGenParams | webcrypto.RsaHashedKeyGenParams): Promise<string> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const made = await x509.Pkcs10CertificateRequestGenerator.create({
    name: 'CN=h1',
    keys,
    signingAlgorithm: { name: algorithm.name, hash: 'SHA-256' },
  });
  return made.toString('pem');
}
const rsa = (modulusLength: number) =>
  request({
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-256',
    modulusLength,
    publicExponent: new Uint8Array([1, 0, 1]),
  });

describe('signing requests', () => {
  it('of ours carry the public half of a P-256 key that stays here', async () => {
    const { keyPem, csrPem } = await createSigningRequest('h1');
    const key = createPrivateKey(keyPem);
    assert.equal(key.asymmetricKeyDetails?.namedCurve, 'prime256v1');
    assert.doesNotMatch(csrPem, /PRIVATE/);
    const publicKey = await readSigningRequest(csrPem);
    const own = await crypto.subtle.exportKey('spki', await publicKey.export());
    assert.deepEqual(Buffer.from(own), createPublicKey(keyPem).export({ type: 'spki', format: 'der' }));
  });

  it('with RSA from 2048 bits are taken, weaker and other keys are refused', async () => {
    await readSigningRequest(await rsa(2048));
    await assert.rejects(rsa(1024).then(readSigningRequest), refused);
    await assert.rejects(request({ name: 'ECDSA', namedCurve: 'P-384' }).then(readSigningRequest), refused);
  });

  it('signed with another key are refused', async () => {
    const [mine, other] = await Promise.all([createSigningRequest('h1'), createSigningRequest('h1')]);
    const der = (pem: string) => Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
    const [bytes, key] = [der(mine.csrPem), new x509.Pkcs10CertificateRequest(other.csrPem).publicKey.rawData];
    const own = Buffer.from(new x509.Pkcs10CertificateRequest(mine.csrPem).publicKey.rawData);
    Buffer.from(key).copy(bytes, bytes.indexOf(own));
    const forged = new x509.Pkcs10CertificateRequest(new Uint8Array(bytes)).toString('pem');
    await assert.rejects(readSigningRequest(forged), { ...refused, message: /not signed with the key/ });
  });

  it('that are none are refused with a sentence', async () => {
    for (const text of [
      '',
      'nonsense',
      '-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----',
    ]) {
      await assert.rejects(readSigningRequest(text), refused);
    }
    await assert.rejects(readSigningRequest('x'.repeat(20_000)), { ...refused, message: /longer than/ });
  });
});
