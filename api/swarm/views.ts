/** Hosts as clients see them (docs/wire.md#hosts-for-administrators), and as the agent client wants them. */
import type { AgentAddress } from '../../adapters/agent/client.ts';
import type { Host } from '../../adapters/postgres/hosts.ts';

/** `2026-11-23T19:00:37.601000Z`: microseconds, as all times on the wire. */
export const isoTime = (moment: Date): string => moment.toISOString().replace(/Z$/, '000Z');

export const hostView = (host: Host) => ({
  uuid: host.uuid,
  name: host.name,
  address: host.address,
  agent_port: host.agentPort,
  status: host.status,
  last_heartbeat: host.lastHeartbeat && isoTime(host.lastHeartbeat),
  client_cert_fingerprint: host.fingerprint,
  updater_cert_fingerprint: host.updaterFingerprint,
  enrolled_at: isoTime(host.enrolledAt),
  notes: host.notes,
  use_ipvlan: host.useIpvlan,
});

export const agentAddress = (host: Host): AgentAddress => ({
  hostUuid: host.uuid,
  name: host.name,
  address: host.address,
  port: host.agentPort,
  fingerprints: [host.fingerprint, ...(host.nextFingerprint ? [host.nextFingerprint] : [])],
});
