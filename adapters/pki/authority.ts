/**
 * The certificate authority of an installation: hosts, and the master's own two identities
 * (docs/wire.md#certificates).
 */
import { createPrivateKey, createPublicKey, type webcrypto, X509Certificate } from 'node:crypto';
import { join, resolve } from 'node:path';
import { MASTER_NAME, SWARMCTL_NAME } from '../../fleet/agent-wire.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import { isReservedName } from '../../fleet/hosts.ts';
import { makeDirectory, readIfThere, writeOnce } from '../../lib/files.ts';
import {
  authorityCertificate,
  fingerprintOf,
  generateKeys,
  importKeyPair,
  importSigningKey,
  leafCertificate,
  privateKeyPem,
  readSigningRequest,
} from './certificates.ts';
import { type Identity, keepIdentity } from './own-identity.ts';
import * as x509 from './x509.ts';

export { createSigningRequest, describeCertificate, fingerprintOf } from './certificates.ts';
export type { Identity } from './own-identity.ts';
export { isRenewalDue } from './own-identity.ts';

export interface Names {
  readonly name: string;
  /** IPs and DNS names; the name itself is always added. */
  readonly sans: readonly string[];
}

export interface Authority {
  readonly caPem: string;
  /** Lowercase hex SHA-256 of the CA certificate's DER. */
  readonly fingerprint: string;
  /**
   * A key made here and its certificate: DECNET's enrolment, and the bundle. Throws
   * HostNameReserved.
   */
  issue(who: Names): Promise<Identity>;
  /**
   * The key stays with the asker: checks the request's own signature and key kind (ECDSA P-256 or
   * RSA from 2048 bits), ignores the names it asks for. Throws EnrollmentRefused, HostNameReserved.
   */
  sign(csrPem: string, who: Names): Promise<Omit<Identity, 'keyPem'>>;
  /** The master's client identity (CN decnet-master), kept in `master/`, renewed when it is due. */
  master(): Promise<Identity>;
  /**
   * The server identity of the swarm controller (CN swarmctl), kept in `swarmctl/`; made anew when
   * hosts are missing or renewal is due.
   */
  server(hosts: readonly string[]): Promise<Identity>;
}

/**
 * Opens the CA in `caDir`; makes one where there is none, also when several programs do at the same
 * moment. Throws AuthorityUnusable.
 */
export async function openAuthority(caDir: string): Promise<Authority> {
  const directory = resolve(caDir);
  const files = await openAuthorityFiles(directory);
  const issuer = createIssuer(files, await importSigningKey(files.keyPem));
  return {
    caPem: files.certPem,
    fingerprint: fingerprintOf(files.certPem),
    async issue(who) {
      refuseOwnNames(who, (name) => name.startsWith('updater@'));
      return issuer.withNewKey(who);
    },
    async sign(csrPem, who) {
      refuseOwnNames(who);
      return issuer.forKey(await readSigningRequest(csrPem), who);
    },
    master: () => {
      const sans = ['127.0.0.1', MASTER_NAME];
      return keepIdentity(
        {
          directory: join(directory, 'master'),
          files: { key: 'worker.key', cert: 'worker.crt', ca: 'ca.crt' },
          sans,
          certify: (keyPem) => issuer.certify(keyPem, { name: MASTER_NAME, sans }),
        },
        files.certPem,
      );
    },
    server: (hosts) => {
      const sans = [...new Set([...hosts, '127.0.0.1', 'localhost', SWARMCTL_NAME])];
      return keepIdentity(
        {
          directory: join(directory, 'swarmctl'),
          files: { key: 'server.key', cert: 'server.crt' },
          sans,
          certify: (keyPem) => issuer.certify(keyPem, { name: SWARMCTL_NAME, sans }),
        },
        files.certPem,
      );
    },
  };
}

type Certified = Omit<Identity, 'keyPem'>;

function createIssuer(files: AuthorityFiles, key: webcrypto.CryptoKey) {
  const ca = { certificate: new x509.X509Certificate(files.certPem), key };
  const forKey = async (publicKey: x509.PublicKeyType, who: Names): Promise<Certified> => {
    const certificate = await leafCertificate({ ...who, publicKey }, ca);
    return {
      certPem: `${certificate.toString('pem')}\n`,
      caPem: files.certPem,
      fingerprint: fingerprintOf(new Uint8Array(certificate.rawData)),
      notAfter: certificate.notAfter,
    };
  };
  return {
    forKey,
    async withNewKey(who: Names): Promise<Identity> {
      const keys = await generateKeys();
      return { ...(await forKey(keys.publicKey, who)), keyPem: await privateKeyPem(keys.privateKey) };
    },
    async certify(keyPem: string, who: Names): Promise<string> {
      const der = createPublicKey(keyPem).export({ type: 'spki', format: 'der' });
      return (await forKey(new x509.PublicKey(new Uint8Array(der)), who)).certPem;
    },
  };
}

/**
 * The last door: whatever an enrolment let through, nobody gets a certificate with a name of the
 * master's own.
 */
function refuseOwnNames(who: Names, mayBe: (name: string) => boolean = () => false): void {
  const reserved = [who.name, ...who.sans].find((name) => isReservedName(name) && !mayBe(name));
  if (reserved === undefined) return;
  throw new DeckhandError(
    'HostNameReserved',
    `No certificate is issued for '${reserved}': it is the master’s own name.`,
  );
}

/**
 * The CA's own two files. Of programs that make a CA at the same moment, the first key wins, then
 * the first certificate of it.
 */

interface AuthorityFiles {
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
  // A certificate always comes after its key: one without means that the key was lost, and a new
  // one would not fit.
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
