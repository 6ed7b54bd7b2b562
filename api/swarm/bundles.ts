/**
 * DECNET's enrolment by bundle: one-shot tokens, good for five minutes. The certificate that counts
 * is made when the bundle is fetched, since it has to name the address that the host comes from.
 * The second part is the bundle itself.
 */
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { pack } from 'tar-stream';
import type { Authority, Identity } from '../../adapters/pki/authority.ts';
import type { Sql } from '../../adapters/postgres/connect.ts';
import { type BundleRequest, createBundleTokens, type OpenBundle } from '../../adapters/postgres/enrollment.ts';
import { createHostStore, type HostStore } from '../../adapters/postgres/hosts.ts';
import { AGENT_PORT } from '../../fleet/agent-wire.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import { refuseReservedNames } from '../../fleet/hosts.ts';

export interface Bundles {
  /** Enrols the host, without an address yet. Throws HostExists, HostNameReserved. */
  create(request: BundleRequest): Promise<{ token: string; hostUuid: string; expiresAt: Date }>;
  /** Null: spent, expired, or never made. */
  find(token: string): Promise<OpenBundle | null>;
  /**
   * Spends the token: one caller gets the gzipped tarball, made for a host at this address. Where
   * that fails the token stays good.
   */
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

/**
 * What an enrolment bundle holds: no source, only what makes an installed `decnet` this host's
 * agent.
 */

interface BundleFacts {
  readonly hostUuid: string;
  readonly masterHost: string;
  readonly swarmPort: number;
  readonly useIpvlan: boolean;
  readonly servicesIni: string | null;
  readonly identity: Identity;
  readonly updater: Identity | null;
}

/** Where DECNET's own log listener is (docs/wire.md#listeners). */
const SYSLOG_PORT = 6514;
const AGENT_DIR = '/etc/decnet/agent';
const UPDATER_DIR = '/etc/decnet/updater';
const PRIVATE = 0o600;
const PUBLIC = 0o644;

const configuration = ({ hostUuid, masterHost, swarmPort, useIpvlan }: BundleFacts): string => `[decnet]
mode = agent
disallow-master = true
log-directory = /var/log/decnet
ipvlan = ${useIpvlan}

[agent]
master-host = ${masterHost}
swarmctl-port = ${swarmPort}
swarm-syslog-port = ${SYSLOG_PORT}
agent-port = ${AGENT_PORT}
agent-dir = ${AGENT_DIR}
updater-dir = ${UPDATER_DIR}
host-uuid = ${hostUuid}
`;

/**
 * The directory is named to the command and to the heartbeats: they find it by different rules
 * (docs/wire.md#decnets-agent).
 */
const unit = ({ hostUuid, masterHost, swarmPort }: BundleFacts): string => `[Unit]
Description=DECNET agent
After=network-online.target docker.service
Wants=network-online.target

[Service]
Environment=DECNET_MODE=agent
Environment=DECNET_AGENT_DIR=${AGENT_DIR}
Environment=DECNET_HOST_UUID=${hostUuid}
Environment=DECNET_MASTER_HOST=${masterHost}
Environment=DECNET_SWARMCTL_PORT=${swarmPort}
WorkingDirectory=/var/lib/decnet
ExecStart=/opt/decnet/bin/decnet agent --agent-dir ${AGENT_DIR} --no-forwarder
Restart=always
RestartSec=5

[Install]
WantedBy=multi-user.target
`;

const INSTALL = `#!/bin/sh
# Makes this machine a host of the swarm: the package decnet from the package index, the identity of this bundle, a service.
set -eu
cd "$(dirname "$0")"
[ "$(id -u)" = 0 ] || { echo "Run this as root." >&2; exit 1; }
python3 -m venv /opt/decnet
/opt/decnet/bin/pip install --quiet decnet==1.0.0
install -d -m 0700 ${AGENT_DIR}
install -d -m 0755 /var/lib/decnet /var/log/decnet /etc/decnet
install -m 0600 home/.decnet/agent/ca.crt home/.decnet/agent/worker.crt home/.decnet/agent/worker.key ${AGENT_DIR}/
if [ -d home/.decnet/updater ]; then
  install -d -m 0700 ${UPDATER_DIR}
  install -m 0600 home/.decnet/updater/* ${UPDATER_DIR}/
fi
install -m 0644 etc/decnet/decnet.ini /etc/decnet/decnet.ini
[ ! -f services.ini ] || install -m 0644 services.ini /etc/decnet/services.ini
install -m 0644 etc/systemd/system/decnet-agent.service /etc/systemd/system/decnet-agent.service
systemctl daemon-reload
systemctl enable --now decnet-agent.service
`;

type Entry = readonly [name: string, mode: number, text: string];

function entries(facts: BundleFacts): Entry[] {
  const { identity, updater, servicesIni } = facts;
  return [
    ['install.sh', 0o755, INSTALL],
    ['etc/decnet/decnet.ini', PUBLIC, configuration(facts)],
    ['etc/systemd/system/decnet-agent.service', PUBLIC, unit(facts)],
    ['home/.decnet/agent/ca.crt', PRIVATE, identity.caPem],
    ['home/.decnet/agent/worker.crt', PRIVATE, identity.certPem],
    ['home/.decnet/agent/worker.key', PRIVATE, identity.keyPem],
    ...(updater
      ? ([
          ['home/.decnet/updater/ca.crt', PRIVATE, updater.caPem],
          ['home/.decnet/updater/updater.crt', PRIVATE, updater.certPem],
          ['home/.decnet/updater/updater.key', PRIVATE, updater.keyPem],
        ] satisfies Entry[])
      : []),
    ...(servicesIni === null ? [] : ([['services.ini', PUBLIC, servicesIni]] satisfies Entry[])),
  ];
}

/** A gzipped tarball. */
async function packBundle(facts: BundleFacts): Promise<Buffer> {
  const tarball = pack();
  for (const [name, mode, text] of entries(facts)) tarball.entry({ name, mode }, text);
  tarball.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tarball) chunks.push(chunk as Buffer);
  return promisify(gzip)(Buffer.concat(chunks));
}

/** Fetches the bundle and installs it; `url` is that of the tarball. */
export const bootstrapScript = (url: string): string => `#!/bin/sh
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
umask 077
curl -fsSL ${url} -o "$dir/bundle.tgz"
tar -xzf "$dir/bundle.tgz" -C "$dir"
sh "$dir/install.sh"
`;
