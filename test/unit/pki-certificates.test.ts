import assert from 'node:assert/strict';
import { type webcrypto, X509Certificate } from 'node:crypto';
import { authorityCertificate, generateKeys, leafCertificate } from '../../adapters/pki/certificates.ts';
import * as x509 from '../../adapters/pki/x509.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const LAG_MS = 5 * 60 * 1000;

describe('certificates have DECNET’s field layout', () => {
  let ca: { certificate: x509.X509Certificate; key: webcrypto.CryptoKey };
  let leaf: x509.X509Certificate;
  before(async () => {
    const keys = await generateKeys();
    ca = { certificate: await authorityCertificate(keys), key: keys.privateKey };
    const { publicKey } = await generateKeys();
    const sans = ['10.0.0.4', 'edge.example', '2001:db8::1', '10.0.0.4', 'Edge_1'];
    leaf = await leafCertificate({ name: 'Edge_1', sans, publicKey }, ca);
  });

  const extensions = (certificate: x509.X509Certificate) =>
    [...certificate.extensions].map((one) => `${one.type}${one.critical ? ' critical' : ''}`).sort();
  const length = (certificate: x509.X509Certificate) =>
    certificate.notAfter.getTime() - certificate.notBefore.getTime();

  it('the authority’s', () => {
    const { certificate } = ca;
    assert.equal(certificate.subject, 'CN=DECNET SWARM Root CA, O=DECNET');
    assert.equal(length(certificate), 3650 * DAY_MS + LAG_MS);
    assert.deepEqual(extensions(certificate), ['2.5.29.15 critical', '2.5.29.19 critical']);
    const constraints = certificate.getExtension(x509.BasicConstraintsExtension);
    assert.deepEqual([constraints?.ca, constraints?.pathLength], [true, 0]);
    const { digitalSignature, keyCertSign, cRLSign } = x509.KeyUsageFlags;
    assert.equal(certificate.getExtension(x509.KeyUsagesExtension)?.usages, digitalSignature | keyCertSign | cRLSign);
  });

  it('a host’s', () => {
    assert.equal(leaf.subject, 'CN=Edge_1, O=DECNET, OU=swarm-worker');
    assert.equal(leaf.issuer, ca.certificate.subject);
    assert.equal(length(leaf), 825 * DAY_MS + LAG_MS);
    assert.deepEqual(extensions(leaf), ['2.5.29.15 critical', '2.5.29.17', '2.5.29.19 critical', '2.5.29.37 critical']);
    assert.equal(leaf.getExtension(x509.BasicConstraintsExtension)?.ca, false);
    const { digitalSignature, keyEncipherment } = x509.KeyUsageFlags;
    assert.equal(leaf.getExtension(x509.KeyUsagesExtension)?.usages, digitalSignature | keyEncipherment);
    assert.deepEqual(
      [...(leaf.getExtension(x509.ExtendedKeyUsageExtension)?.usages ?? [])],
      [x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth],
    );
  });

  it('a host’s names: IPs as IPs, the rest as DNS, its own always, each once (gaps, D)', () => {
    assert.equal(
      new X509Certificate(leaf.toString('pem')).subjectAltName,
      'DNS:Edge_1, DNS:edge.example, IP Address:10.0.0.4, IP Address:2001:DB8:0:0:0:0:0:1',
    );
  });

  it('none outlives its authority', async () => {
    const { publicKey } = await generateKeys();
    const beyond = new Date(ca.certificate.notAfter.getTime() + DAY_MS);
    const late = await leafCertificate({ name: 'h', sans: [], publicKey }, ca, {
      notBefore: new Date(),
      notAfter: beyond,
    });
    assert.deepEqual(late.notAfter, ca.certificate.notAfter);
  });
});
