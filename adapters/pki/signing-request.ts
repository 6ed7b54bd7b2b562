/** Signing requests (PKCS#10): made on a host, whose key never leaves it, and read by the master. */
import { createPublicKey } from 'node:crypto';
import { DeckhandError } from '../../fleet/errors.ts';
import { generateKeys, privateKeyPem, signingAlgorithm } from './keys.ts';
import * as x509 from './x509.ts';

/** A request is about 500 bytes with our keys, 1,700 with RSA 4096. */
const LONGEST_REQUEST = 16_384;
const RSA_BITS = { least: 2048, most: 8192 };

/** A key (ECDSA P-256, PKCS#8 PEM) and a signing request for it. The master gives the certificate the names that it enrolled. */
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
 * The public key of a request whose sender holds the private one. Names that it asks for are left unread.
 * Throws EnrollmentRefused.
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
