/** The identities of the master's own, each in a directory that several programs read and any of them may renew. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DeckhandError } from '../../fleet/errors.ts';
import { readIfThere, replaceDirectory } from './files.ts';
import { fingerprintOf } from './fingerprint.ts';
import { isRenewalDue } from './renewal.ts';

export interface Identity {
  readonly certPem: string;
  /** PKCS#8, unencrypted. */
  readonly keyPem: string;
  readonly caPem: string;
  readonly fingerprint: string;
  readonly notAfter: Date;
}

export interface OwnIdentity {
  /** Absolute. */
  readonly directory: string;
  readonly files: { readonly key: string; readonly cert: string; readonly ca?: string };
  readonly sans: readonly string[];
  make(): Promise<Identity>;
}

const TRIES = 20;
const PAUSE_MS = 50;

/** The identity that stands on disk; a new one where there is none, or where it is no longer good. */
export async function keepIdentity(own: OwnIdentity, caPem: string): Promise<Identity> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const stored = await load(own, caPem);
    if (stored !== null && isGood(stored, own.sans)) return stored;
    await store(own, await own.make());
    // What is read back may be another program's, which renewed at the same moment.
    const kept = await load(own, caPem);
    if (kept !== null && isGood(kept, own.sans)) return kept;
    await sleep(PAUSE_MS);
  }
  throw new DeckhandError(
    'AuthorityUnusable',
    `The identity in ${own.directory} could not be made: what is written there does not last. Look who else writes there.`,
  );
}

async function load(own: OwnIdentity, caPem: string): Promise<Identity | null> {
  const keyPem = await readIfThere(join(own.directory, own.files.key));
  const certPem = await readIfThere(join(own.directory, own.files.cert));
  if (keyPem === null || certPem === null || !belongs(certPem, keyPem, caPem)) return null;
  const notAfter = new Date(new X509Certificate(certPem).validTo);
  return { certPem, keyPem, caPem, fingerprint: fingerprintOf(certPem), notAfter };
}

/** True when the certificate is of this CA and this key. False also while another program swaps the two files. */
function belongs(certPem: string, keyPem: string, caPem: string): boolean {
  try {
    const certificate = new X509Certificate(certPem);
    return (
      certificate.verify(new X509Certificate(caPem).publicKey) && certificate.checkPrivateKey(createPrivateKey(keyPem))
    );
  } catch {
    return false;
  }
}

function isGood(identity: Identity, sans: readonly string[]): boolean {
  const certificate = new X509Certificate(identity.certPem);
  const validity = { notBefore: new Date(certificate.validFrom), notAfter: identity.notAfter };
  const carries = (san: string): boolean =>
    (isIP(san) === 0 ? certificate.checkHost(san) : certificate.checkIP(san)) !== undefined;
  return !isRenewalDue(validity, new Date()) && sans.every(carries);
}

async function store(own: OwnIdentity, identity: Identity): Promise<void> {
  await replaceDirectory(own.directory, {
    [own.files.key]: identity.keyPem,
    [own.files.cert]: identity.certPem,
    ...(own.files.ca === undefined ? {} : { [own.files.ca]: identity.caPem }),
  });
}
