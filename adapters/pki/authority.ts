/** The certificate authority of an installation: hosts, and the master's own two identities (wire.md 4.2 and 4.3). */
import { createPublicKey, type webcrypto } from 'node:crypto';
import { join, resolve } from 'node:path';
import { MASTER_NAME, SWARMCTL_NAME } from '../../fleet/agent-wire.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import { isReservedName } from '../../fleet/host-names.ts';
import { type AuthorityFiles, openAuthorityFiles } from './authority-files.ts';
import { leafCertificate } from './certificates.ts';
import { fingerprintOf } from './fingerprint.ts';
import { generateKeys, importSigningKey, privateKeyPem } from './keys.ts';
import { type Identity, keepIdentity } from './own-identity.ts';
import { readSigningRequest } from './signing-request.ts';
import * as x509 from './x509.ts';

export { describeCertificate, fingerprintOf } from './fingerprint.ts';
export type { Identity } from './own-identity.ts';
export { isRenewalDue } from './renewal.ts';
export { createSigningRequest } from './signing-request.ts';

export interface Names {
  readonly name: string;
  /** IPs and DNS names; the name itself is always added. */
  readonly sans: readonly string[];
}

export interface Authority {
  readonly caPem: string;
  /** Lowercase hex SHA-256 of the CA certificate's DER. */
  readonly fingerprint: string;
  /** A key made here and its certificate: DECNET's enrolment, and the bundle. Throws HostNameReserved. */
  issue(who: Names): Promise<Identity>;
  /**
   * The key stays with the asker: checks the request's own signature and key kind (ECDSA P-256 or RSA from 2048 bits),
   * ignores the names it asks for. Throws EnrollmentRefused, HostNameReserved.
   */
  sign(csrPem: string, who: Names): Promise<Omit<Identity, 'keyPem'>>;
  /** The master's client identity (CN decnet-master), kept in `master/`, renewed when it is due. */
  master(): Promise<Identity>;
  /** The server identity of the swarm controller (CN swarmctl), kept in `swarmctl/`; made anew when hosts are missing or renewal is due. */
  server(hosts: readonly string[]): Promise<Identity>;
}

/** Opens the CA in `caDir`; makes one where there is none, also when several programs do at the same moment. Throws AuthorityUnusable. */
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

/** The last door: whatever an enrolment let through, nobody gets a certificate with a name of the master's own. */
function refuseOwnNames(who: Names, mayBe: (name: string) => boolean = () => false): void {
  const reserved = [who.name, ...who.sans].find((name) => isReservedName(name) && !mayBe(name));
  if (reserved === undefined) return;
  throw new DeckhandError(
    'HostNameReserved',
    `No certificate is issued for '${reserved}': it is the master’s own name.`,
  );
}
