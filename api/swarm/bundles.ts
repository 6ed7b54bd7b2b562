/**
 * DECNET's enrolment by bundle (wire.md 4.4): one-shot tokens, kept in memory for five minutes. The certificate that counts
 * is made when the bundle is fetched, since it has to name the address that the host comes from (gaps, D).
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import type { Authority } from '../../adapters/pki/authority.ts';
import type { HostStore } from '../../adapters/postgres/hosts.ts';
import { AGENT_PORT } from '../../fleet/agent-wire.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import { refuseReservedNames } from '../../fleet/host-names.ts';
import { type BundleFacts, packBundle } from './bundle-files.ts';

const TTL_MS = 5 * 60 * 1000;
const TOKEN_BYTES = 32;
/** More can't be open at once; ten a minute are made at most. */
const MOST_OPEN = 1_000;

export interface BundleRequest {
  readonly masterHost: string;
  readonly agentName: string;
  readonly withUpdater: boolean;
  readonly useIpvlan: boolean;
  readonly servicesIni: string | null;
}

export interface OpenBundle extends BundleRequest {
  readonly hostUuid: string;
  readonly expiresAt: Date;
}

export interface Bundles {
  /** Enrols the host, without an address yet. Throws HostExists, HostNameReserved. */
  create(request: BundleRequest): Promise<{ token: string; hostUuid: string; expiresAt: Date }>;
  /** Null: spent, expired, or never made. */
  find(token: string): OpenBundle | null;
  /** Spends the token: one caller gets the gzipped tarball, made for a host at this address. */
  take(token: string, address: string): Promise<Buffer | null>;
}

/** Where hosts find the swarm controller. */
export interface Controller {
  readonly name: string;
  /** Written once it listens, where any free one was asked for. */
  port: number;
}

const keyOf = (token: string): string => createHash('sha256').update(token).digest('hex');

export function createBundles(authority: Authority, hosts: HostStore, controller: Controller): Bundles {
  const open = new Map<string, OpenBundle>();
  const forgetOld = (): void => {
    for (const [key, { expiresAt }] of open) if (expiresAt.getTime() <= Date.now()) open.delete(key);
  };
  return {
    async create(request) {
      forgetOld();
      if (open.size >= MOST_OPEN)
        throw new DeckhandError('Unavailable', 'Too many bundles are open. They expire within five minutes.');
      refuseReservedNames({ name: request.agentName, sans: [request.masterHost] });
      const hostUuid = randomUUID();
      // Stands for the host until its bundle is fetched; its key is thrown away.
      const { fingerprint, notAfter } = await authority.issue({ name: request.agentName, sans: [] });
      await hosts.enroll({
        uuid: hostUuid,
        name: request.agentName,
        address: '',
        agentPort: AGENT_PORT,
        notes: null,
        useIpvlan: request.useIpvlan,
        fingerprint,
        certNotAfter: notAfter,
        fenced: false,
      });
      const token = randomBytes(TOKEN_BYTES).toString('base64url');
      const expiresAt = new Date(Date.now() + TTL_MS);
      open.set(keyOf(token), { ...request, hostUuid, expiresAt });
      return { token, hostUuid, expiresAt };
    },
    find(token) {
      forgetOld();
      return open.get(keyOf(token)) ?? null;
    },
    async take(token, address) {
      forgetOld();
      const bundle = open.get(keyOf(token));
      if (bundle === undefined) return null;
      open.delete(keyOf(token));
      return packBundle({ ...(await certify(authority, hosts, bundle, address)), swarmPort: controller.port });
    },
  };
}

async function certify(
  authority: Authority,
  hosts: HostStore,
  bundle: OpenBundle,
  address: string,
): Promise<Omit<BundleFacts, 'swarmPort'>> {
  const sans = [...new Set([bundle.agentName, bundle.masterHost, address])];
  const identity = await authority.issue({ name: bundle.agentName, sans });
  const updater = bundle.withUpdater ? await authority.issue({ name: `updater@${bundle.agentName}`, sans }) : null;
  await hosts.certificateIssued(bundle.hostUuid, identity.fingerprint, identity.notAfter);
  await hosts.adoptCertificate(bundle.hostUuid, identity.fingerprint);
  if ((await hosts.change(bundle.hostUuid, { address })) === null)
    throw new DeckhandError('NotFound', 'The host was removed before its bundle was fetched.');
  return { ...bundle, identity, updater };
}
