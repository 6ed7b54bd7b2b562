/**
 * DECNET's enrolment by bundle: one-shot tokens, good for five minutes. The certificate that counts is made when the bundle is
 * fetched, since it has to name the address that the host comes from (gaps, D).
 */
import { randomUUID } from 'node:crypto';
import type { Authority } from '../../adapters/pki/authority.ts';
import { type BundleRequest, createBundleTokens, type OpenBundle } from '../../adapters/postgres/bundle-tokens.ts';
import type { Sql } from '../../adapters/postgres/connect.ts';
import { createHostStore, type HostStore } from '../../adapters/postgres/hosts.ts';
import { AGENT_PORT } from '../../fleet/agent-wire.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import { refuseReservedNames } from '../../fleet/hosts.ts';
import { type BundleFacts, packBundle } from './bundle-files.ts';

export interface Bundles {
  /** Enrols the host, without an address yet. Throws HostExists, HostNameReserved. */
  create(request: BundleRequest): Promise<{ token: string; hostUuid: string; expiresAt: Date }>;
  /** Null: spent, expired, or never made. */
  find(token: string): Promise<OpenBundle | null>;
  /** Spends the token: one caller gets the gzipped tarball, made for a host at this address. Where that fails the token stays good. */
  take(token: string, address: string): Promise<Buffer | null>;
}

/** Where hosts find the swarm controller. */
export interface Controller {
  readonly name: string;
  /** Written once it listens, where any free one was asked for. */
  port: number;
}

export function createBundles(sql: Sql, authority: Authority, controller: Controller): Bundles {
  return {
    async create(request) {
      refuseReservedNames({ name: request.agentName, sans: [request.masterHost] });
      const hostUuid = randomUUID();
      // Stands for the host until its bundle is fetched; its key is thrown away.
      const { fingerprint, notAfter } = await authority.issue({ name: request.agentName, sans: [] });
      return sql.begin(async (tx) => {
        await createHostStore(tx).enroll({
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
        return { hostUuid, ...(await createBundleTokens(tx).create({ ...request, hostUuid })) };
      });
    },
    find: (token) => createBundleTokens(sql).find(token),
    take: (token, address) =>
      sql.begin(async (tx) => {
        const bundle = await createBundleTokens(tx).take(token);
        if (bundle === null) return null;
        const facts = await certify(authority, createHostStore(tx), bundle, address);
        return packBundle({ ...facts, swarmPort: controller.port });
      }),
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
