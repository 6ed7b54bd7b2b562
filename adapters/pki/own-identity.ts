/**
 * The identities of the master's own. Several programs read one, and any of them may make or renew
 * it: whatever the moment, all of them get the same certificate, since agents pin it. Renewal keeps
 * the key.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { DeckhandError } from '../../fleet/errors.ts';
import { makeDirectory, readIfThere, replaceFile, replaceOnce, writeOnce } from '../../lib/files.ts';
import { fingerprintOf, generateKeys, privateKeyPem } from './certificates.ts';

export interface Identity {
  readonly certPem: string;
  /** PKCS#8, unencrypted. */
  readonly keyPem: string;
  readonly caPem: string;
  readonly fingerprint: string;
  readonly notAfter: Date;
}

interface OwnIdentity {
  /** Absolute. */
  readonly directory: string;
  readonly files: { readonly key: string; readonly cert: string; readonly ca?: string };
  readonly sans: readonly string[];
  /** A certificate (PEM) for the public half of this key. */
  certify(keyPem: string): Promise<string>;
}

/**
 * More than the programs that could change the same identity at the same moment, each to other
 * names.
 */
const TRIES = 8;

/**
 * The identity that stands on disk; a new one where there is none, or where it is no longer good.
 * Throws AuthorityUnusable.
 */
export async function keepIdentity(own: OwnIdentity, caPem: string): Promise<Identity> {
  await makeDirectory(own.directory);
  const keyPem = await openKey(join(own.directory, own.files.key));
  const path = join(own.directory, own.files.cert);
  let certPem = await readIfThere(path);
  for (let tries = 0; tries < TRIES && (certPem === null || !isGood(certPem, keyPem, caPem, own.sans)); tries += 1) {
    const fresh = await own.certify(keyPem);
    certPem = certPem === null ? await writeOnce(path, fresh) : await replaceOnce(path, certPem, fresh);
  }
  if (certPem === null || !isGood(certPem, keyPem, caPem, own.sans)) {
    throw new DeckhandError(
      'AuthorityUnusable',
      `What is written to ${path} does not last. Look who else writes there.`,
    );
  }
  if (own.files.ca !== undefined) await keepCopy(join(own.directory, own.files.ca), caPem);
  return { certPem, keyPem, caPem, fingerprint: fingerprintOf(certPem), notAfter: endOf(certPem) };
}

async function openKey(path: string): Promise<string> {
  const stored = await readIfThere(path);
  const keyPem = stored ?? (await writeOnce(path, await privateKeyPem((await generateKeys()).privateKey)));
  try {
    createPrivateKey(keyPem);
    return keyPem;
  } catch (error) {
    const sentence = `${path} can’t be read as a private key in PEM. Put it back from a backup, or remove it to have one made.`;
    throw new DeckhandError('AuthorityUnusable', sentence, { cause: error });
  }
}

async function keepCopy(path: string, text: string): Promise<void> {
  if ((await readIfThere(path)) !== text) await replaceFile(path, text);
}

const endOf = (certPem: string): Date => new Date(new X509Certificate(certPem).validTo);

/**
 * True when the certificate is of this CA and this key, carries the names, and is not due for
 * renewal.
 */
function isGood(certPem: string, keyPem: string, caPem: string, sans: readonly string[]): boolean {
  try {
    const certificate = new X509Certificate(certPem);
    const carries = (san: string): boolean =>
      (isIP(san) === 0 ? certificate.checkHost(san) : certificate.checkIP(san)) !== undefined;
    const validity = { notBefore: new Date(certificate.validFrom), notAfter: new Date(certificate.validTo) };
    return (
      certificate.verify(new X509Certificate(caPem).publicKey) &&
      certificate.checkPrivateKey(createPrivateKey(keyPem)) &&
      !isRenewalDue(validity, new Date()) &&
      sans.every(carries)
    );
  } catch {
    return false;
  }
}

/** When a certificate has to be made anew. */
const DAY_MS = 24 * 60 * 60 * 1000;
/** A certificate with less than this left is renewed. */
const RENEWAL_WINDOW_MS = 30 * DAY_MS;

/**
 * True once less than 30 days are left, or less than a third of the whole validity where that is
 * shorter.
 */
export function isRenewalDue(validity: { readonly notBefore: Date; readonly notAfter: Date }, now: Date): boolean {
  const whole = validity.notAfter.getTime() - validity.notBefore.getTime();
  return validity.notAfter.getTime() - now.getTime() < Math.min(RENEWAL_WINDOW_MS, whole / 3);
}
