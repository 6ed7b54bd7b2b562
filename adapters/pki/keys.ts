/** Private keys: PKCS#8 PEM outside, WebCrypto inside. */
import { createPrivateKey, createPublicKey, type KeyObject, type webcrypto } from 'node:crypto';

export const EC_ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' };
const HASH = 'SHA-256';

/** Our own keys are ECDSA P-256. */
export async function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return crypto.subtle.generateKey(EC_ALGORITHM, true, ['sign', 'verify']);
}

export async function privateKeyPem(key: webcrypto.CryptoKey): Promise<string> {
  const body = Buffer.from(await crypto.subtle.exportKey('pkcs8', key)).toString('base64');
  return `-----BEGIN PRIVATE KEY-----\n${body.replace(/.{1,64}/g, '$&\n')}-----END PRIVATE KEY-----\n`;
}

/** A key that signs with SHA-256: ECDSA of a NIST curve, or RSA (PKCS#1 v1.5), in any PEM form that OpenSSL reads. */
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

/** How a key of ours or of DECNET's signs: WebCrypto wants the hash of ECDSA with each signature. */
export const signingAlgorithm = (key: webcrypto.CryptoKey): { name: string; hash: string } => ({
  name: key.algorithm.name,
  hash: HASH,
});
