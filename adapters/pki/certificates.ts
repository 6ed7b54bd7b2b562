/** The certificates of an installation, in DECNET's field layout (wire.md 4.2) with ECDSA P-256 keys. */
import type { webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import { signingAlgorithm } from './keys.ts';
import * as x509 from './x509.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const CA_DAYS = 3650;
const LEAF_DAYS = 825;
/** Clocks of hosts may lag by this much. */
const BACKDATED_MS = 5 * 60 * 1000;

const CA_NAME: x509.JsonName = [{ CN: ['DECNET SWARM Root CA'] }, { O: ['DECNET'] }];
/** The same for every identity, the master's too. */
const leafName = (name: string): x509.JsonName => [{ CN: [name] }, { O: ['DECNET'] }, { OU: ['swarm-worker'] }];

export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

function validity(days: number): Validity {
  const now = Date.now();
  return { notBefore: new Date(now - BACKDATED_MS), notAfter: new Date(now + days * DAY_MS) };
}

/** The self-signed certificate of the CA. */
export function authorityCertificate(keys: webcrypto.CryptoKeyPair): Promise<x509.X509Certificate> {
  return x509.X509CertificateGenerator.createSelfSigned({
    name: CA_NAME,
    keys,
    signingAlgorithm: signingAlgorithm(keys.privateKey),
    ...validity(CA_DAYS),
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
    ],
  });
}

export interface LeafRequest {
  readonly name: string;
  readonly sans: readonly string[];
  readonly publicKey: x509.PublicKeyType;
}

/** A leaf for client and server use; it never outlives its CA. */
export function leafCertificate(
  request: LeafRequest,
  ca: { readonly certificate: x509.X509Certificate; readonly key: webcrypto.CryptoKey },
  { notBefore, notAfter }: Validity = validity(LEAF_DAYS),
): Promise<x509.X509Certificate> {
  return x509.X509CertificateGenerator.create({
    subject: leafName(request.name),
    issuer: ca.certificate.subjectName,
    publicKey: request.publicKey,
    signingKey: ca.key,
    signingAlgorithm: signingAlgorithm(ca.key),
    notBefore,
    notAfter: notAfter < ca.certificate.notAfter ? notAfter : ca.certificate.notAfter,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth], true),
      new x509.SubjectAlternativeNameExtension(alternativeNames(request)),
    ],
  });
}

/** IP entries where a name is an IP, else DNS; the CN is always there as DNS. */
function alternativeNames(request: Pick<LeafRequest, 'name' | 'sans'>): x509.JsonGeneralNames {
  const dns = request.sans.filter((san) => isIP(san) === 0);
  const ips = request.sans.filter((san) => isIP(san) !== 0);
  return [
    ...[...new Set([request.name, ...dns])].map((value) => ({ type: 'dns' as const, value })),
    ...[...new Set(ips)].map((value) => ({ type: 'ip' as const, value })),
  ];
}
