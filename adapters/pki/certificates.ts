/**
 * The certificates of an installation, in DECNET's field layout (docs/wire.md#certificates) with
 * ECDSA P-256 keys.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  type webcrypto,
  X509Certificate,
} from 'node:crypto';
import { isIP } from 'node:net';
import { DeckhandError } from '../../fleet/errors.ts';
import * as x509 from './x509.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const CA_DAYS = 3650;
const LEAF_DAYS = 825;
/** Clocks of hosts may lag by this much. */
const BACKDATED_MS = 5 * 60 * 1000;

const CA_NAME: x509.JsonName = [{ CN: ['DECNET SWARM Root CA'] }, { O: ['DECNET'] }];
/** The same for every identity, the master's too. */
const leafName = (name: string): x509.JsonName => [{ CN: [name] }, { O: ['DECNET'] }, { OU: ['swarm-worker'] }];

interface Validity {
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

interface LeafRequest {
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

/**
 * Signing requests (PKCS#10): made on a host, whose key never leaves it, and read by the master.
 */

/** A request is about 500 bytes with our keys, 1,700 with RSA 4096. */
const LONGEST_REQUEST = 16_384;
const RSA_BITS = { least: 2048, most: 8192 };

/**
 * A key (ECDSA P-256, PKCS#8 PEM) and a signing request for it. The master gives the certificate
 * the names that it enrolled.
 */
export async function createSigningRequest(name: string): Promise<{ keyPem: string; csrPem: string }> {
  const keys = await generateKeys();
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: [name] }],
    keys,
    signingAlgorithm: signingAlgorithm(keys.privateKey),
  });
  return { keyPem: await privateKeyPem(keys.privateKey), csrPem: `${request.toString('pem')}\n` };
}

const refused = (sentence: string, cause?: unknown): DeckhandError =>
  new DeckhandError('EnrollmentRefused', sentence, { cause });

/**
 * The public key of a request whose sender holds the private one. Names that it asks for are left
 * unread. Throws EnrollmentRefused.
 */
export async function readSigningRequest(csrPem: string): Promise<x509.PublicKey> {
  if (csrPem.length > LONGEST_REQUEST)
    throw refused(`The signing request is longer than ${LONGEST_REQUEST} characters.`);
  let request: x509.Pkcs10CertificateRequest;
  try {
    request = new x509.Pkcs10CertificateRequest(csrPem);
    refuseWeakKey(request.publicKey);
    if (await request.verify()) return request.publicKey;
  } catch (error) {
    if (error instanceof DeckhandError) throw error;
    throw refused('The signing request can’t be read. Send a PKCS#10 request in PEM.', error);
  }
  throw refused('The signing request is not signed with the key that it carries.');
}

function refuseWeakKey(publicKey: x509.PublicKey): void {
  const key = createPublicKey({ key: Buffer.from(publicKey.rawData), format: 'der', type: 'spki' });
  const { namedCurve, modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'ec' && namedCurve === 'prime256v1') return;
  const fits = modulusLength >= RSA_BITS.least && modulusLength <= RSA_BITS.most;
  if (key.asymmetricKeyType === 'rsa' && fits) return;
  throw refused(
    `The signing request’s key is neither ECDSA P-256 nor RSA of ${RSA_BITS.least} to ${RSA_BITS.most} bits. Make such a key.`,
  );
}

/** Private keys: PKCS#8 PEM outside, WebCrypto inside. */

const EC_ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' };
const HASH = 'SHA-256';

/** Our own keys are ECDSA P-256. */
export async function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return crypto.subtle.generateKey(EC_ALGORITHM, true, ['sign', 'verify']);
}

export async function privateKeyPem(key: webcrypto.CryptoKey): Promise<string> {
  const body = Buffer.from(await crypto.subtle.exportKey('pkcs8', key)).toString('base64');
  return `-----BEGIN PRIVATE KEY-----\n${body.replace(/.{1,64}/g, '$&\n')}-----END PRIVATE KEY-----\n`;
}

/**
 * A key that signs with SHA-256: ECDSA of a NIST curve, or RSA (PKCS#1 v1.5), in any PEM form that
 * OpenSSL reads.
 */
export async function importSigningKey(pem: string): Promise<webcrypto.CryptoKey> {
  const key = createPrivateKey(pem);
  const der = key.export({ type: 'pkcs8', format: 'der' });
  return crypto.subtle.importKey('pkcs8', der, algorithmOf(key), false, ['sign']);
}

/** The same with its public half. */
export async function importKeyPair(pem: string): Promise<webcrypto.CryptoKeyPair> {
  const key = createPublicKey(pem);
  const der = key.export({ type: 'spki', format: 'der' });
  const publicKey = await crypto.subtle.importKey('spki', der, algorithmOf(key), true, ['verify']);
  return { privateKey: await importSigningKey(pem), publicKey };
}

/** OpenSSL's names of the curves, and WebCrypto's. */
const CURVES: Readonly<Record<string, string>> = { prime256v1: 'P-256', secp384r1: 'P-384', secp521r1: 'P-521' };

function algorithmOf(key: KeyObject): webcrypto.RsaHashedImportParams | webcrypto.EcKeyImportParams {
  if (key.asymmetricKeyType === 'rsa') return { name: 'RSASSA-PKCS1-v1_5', hash: HASH };
  const namedCurve = CURVES[key.asymmetricKeyDetails?.namedCurve ?? ''];
  if (namedCurve === undefined) throw new Error(`A key of kind ${key.asymmetricKeyType} can’t sign certificates here.`);
  return { name: 'ECDSA', namedCurve };
}

/**
 * How a key of ours or of DECNET's signs: WebCrypto wants the hash of ECDSA with each signature.
 */
export const signingAlgorithm = (key: webcrypto.CryptoKey): { name: string; hash: string } => ({
  name: key.algorithm.name,
  hash: HASH,
});

/**
 * What is read of a certificate: its fingerprint, by which it is named everywhere, its CN and its
 * end.
 */

/** Lowercase hex SHA-256 of a certificate's DER; text is taken as PEM, bytes as DER. */
export function fingerprintOf(pemOrDer: string | Uint8Array): string {
  const der = typeof pemOrDer === 'string' ? new X509Certificate(pemOrDer).raw : pemOrDer;
  return createHash('sha256').update(der).digest('hex');
}

/** The CN of a certificate's subject, and when it ends: what TLS callers want to know of a peer. */
export function describeCertificate(pemOrDer: string | Uint8Array): { commonName: string; notAfter: Date } {
  const certificate = new X509Certificate(pemOrDer);
  const commonName = /^CN=(.*)$/m.exec(certificate.subject)?.[1] ?? '';
  return { commonName, notAfter: new Date(certificate.validTo) };
}
