/** What an enrolment bundle holds: no source, only what makes an installed `decnet` this host's agent. */

import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { pack } from 'tar-stream';
import type { Identity } from '../../adapters/pki/authority.ts';
import { AGENT_PORT } from '../../fleet/agent-wire.ts';

export interface BundleFacts {
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

/** The directory is named to the command and to the heartbeats: they look for it by different rules (docs/wire.md#decnets-agent). */
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
export async function packBundle(facts: BundleFacts): Promise<Buffer> {
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
