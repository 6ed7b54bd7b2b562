/** Hosts as text. Pure. */
import type { FleetDecky } from './api-types.ts';
import type { HostView } from './hosts.ts';
import type { Colours } from './io.ts';
import { fleetTable, table } from './render-tables.ts';
import { counted, deckies, harmless, oneLine, shortDuration } from './text.ts';

const DAY_MS = 86_400_000;

export const hostPlace = (host: HostView): string => {
  const address = harmless(host.address);
  return `${address.includes(':') ? `[${address}]` : address}:${host.agent_port}`;
};

function statusText(host: HostView, colours: Colours): string {
  const word = host.draining ? `${host.status}, draining` : host.status;
  if (host.status === 'active') return host.draining ? colours.yellow(word) : colours.green(word);
  return host.status === 'unreachable' ? colours.red(word) : colours.dim(word);
}

const heard = (host: HostView, now: number): string =>
  host.last_heartbeat === null ? 'never' : `${shortDuration(now - Date.parse(host.last_heartbeat))} ago`;

/** `in 712 d`, or what to do about it. */
function certificateText(host: HostView, now: number): string {
  const end = host.cert_not_after ? Date.parse(host.cert_not_after) : Number.NaN;
  if (Number.isNaN(end)) return '';
  return end < now ? 'has ended' : `ends in ${Math.floor((end - now) / DAY_MS)} d`;
}

export function renderHosts(
  hosts: readonly HostView[],
  fleet: readonly FleetDecky[],
  colours: Colours,
  now: number,
): string {
  if (hosts.length === 0)
    return 'No hosts: deckies run on the master’s own engine. Enrol one: deckhand host enroll NAME ADDRESS';
  const rows = hosts.map((host) => [
    oneLine(host.name, 40),
    statusText(host, colours),
    hostPlace(host),
    String(fleet.filter((decky) => decky.host_uuid === host.uuid).length),
    heard(host, now),
    harmless(host.agent_version ?? ''),
    certificateText(host, now),
  ]);
  const head = ['HOST', 'STATUS', 'ADDRESS', 'DECKIES', 'HEARD', 'AGENT', 'CERTIFICATE'];
  return [table(head, rows, colours), counted(hosts.length, 'host')].join('\n');
}

export function renderHost(host: HostView, fleet: readonly FleetDecky[], colours: Colours, now: number): string {
  const facts: readonly (readonly [string, string])[] = [
    ['Host', `${harmless(host.name)} (${host.uuid})`],
    ['Status', statusText(host, colours)],
    ['Address', hostPlace(host)],
    ['Heard', heard(host, now)],
    ['Agent', harmless(host.agent_version ?? 'unknown')],
    ['Certificate', [certificateText(host, now), host.client_cert_fingerprint].filter(Boolean).join(', SHA-256 ')],
    ['Renewal', host.renew_requested ? 'asked for, with its next heartbeat' : ''],
    ['Driver', host.use_ipvlan ? 'ipvlan' : ''],
    ['Enrolled', host.enrolled_at],
    ['Notes', harmless(host.notes ?? '')],
  ];
  const lines = facts.filter(([, value]) => value !== '').map(([label, value]) => `${label.padEnd(12)} ${value}`);
  if (fleet.length === 0) return [...lines, '', 'No deckies on it.'].join('\n');
  return [...lines, '', fleetTable(fleet, colours), deckies(fleet.length)].join('\n');
}
