/** The CA's own two files. Of programs that make a CA at the same moment, the first key wins, then the first certificate of it. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { DeckhandError } from '../../fleet/errors.ts';
import { makeDirectory, readIfThere, writeOnce } from '../../lib/atomic-files.ts';
import { authorityCertificate } from './certificates.ts';
import { generateKeys, importKeyPair, privateKeyPem } from './keys.ts';

export interface AuthorityFiles {
  readonly keyPem: string;
  readonly certPem: string;
}

/** `ca.key` and `ca.crt` of the directory; made where there are none. Throws AuthorityUnusable. */
export async function openAuthorityFiles(directory: string): Promise<AuthorityFiles> {
  await makeDirectory(directory);
  const keyPem = await openKey(directory);
  const path = join(directory, 'ca.crt');
  const certPem = (await readIfThere(path)) ?? (await writeOnce(path, await makeCertificate(keyPem)));
  check(directory, { keyPem, certPem });
  return { keyPem, certPem };
}

async function openKey(directory: string): Promise<string> {
  const path = join(directory, 'ca.key');
  const key = await readIfThere(path);
  if (key !== null) return key;
  // A certificate always comes after its key: one without means that the key was lost, and a new one would not fit.
  if ((await readIfThere(join(directory, 'ca.crt'))) !== null) {
    const meanwhile = await readIfThere(path);
    if (meanwhile !== null) return meanwhile;
    throw unusable(
      directory,
      'has ca.crt but no ca.key. Put the key back from a backup, or start with an empty directory',
    );
  }
  return writeOnce(path, await privateKeyPem((await generateKeys()).privateKey));
}

async function makeCertificate(keyPem: string): Promise<string> {
  const certificate = await authorityCertificate(await importKeyPair(keyPem));
  return `${certificate.toString('pem')}\n`;
}

function check(directory: string, files: AuthorityFiles): void {
  const certificate = attempt(directory, () => new X509Certificate(files.certPem));
  const key = attempt(directory, () => createPrivateKey(files.keyPem));
  if (!certificate.ca) throw unusable(directory, 'has a ca.crt that is no certificate of an authority');
  if (!certificate.checkPrivateKey(key)) throw unusable(directory, 'has a ca.key that is not the key of its ca.crt');
  if (new Date(certificate.validTo).getTime() < Date.now()) {
    throw unusable(
      directory,
      `has a ca.crt that ended on ${certificate.validTo}. Start with an empty directory and enrol the hosts again`,
    );
  }
}

function attempt<T>(directory: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw unusable(directory, 'has a ca.key or ca.crt that can’t be read as PEM', error);
  }
}

const unusable = (directory: string, what: string, cause?: unknown): DeckhandError =>
  new DeckhandError('AuthorityUnusable', `The certificate authority ${directory} ${what}.`, { cause });
