/**
 * What the commands print, as text. Pure.
 *
 * 1. `table`, and the tables of `status` and `deckies`
 * 2. hosts
 * 3. drift, and what a reconcile does about it
 * 4. the findings of `doctor`
 */
import Table from 'cli-table3';
import type { Colours } from './io.ts';
import type {
  DeploymentDetail,
  DeploymentSummary,
  DriftOverview,
  FleetDecky,
  FleetOverview,
  HostView,
  ReconcileAnswer,
  SilentEngine,
} from './master.ts';
import { elapsedText, failureBlocks, hostOf, paint, rowDetail } from './rows.ts';
import { counted, deckies, harmless, indented, oneLine, shortDuration } from './text.ts';

/** A step or a first line of an error in a table; the whole error stands below it. */
const DETAIL_WIDTH = 60;

const NO_LINES = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

export function table(head: readonly string[], rows: readonly (readonly string[])[], colours: Colours): string {
  const made = new Table({
    chars: NO_LINES,
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
    head: head.map((title) => colours.bold(title)),
  });
  made.push(...rows.map((row) => [...row]));
  return made
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

function ago(time: string, now: number): string {
  const ms = now - Date.parse(time);
  return Number.isFinite(ms) ? `${shortDuration(ms)} ago` : time;
}

const took = (deployment: DeploymentSummary, now: number): string =>
  shortDuration((deployment.ended_at ? Date.parse(deployment.ended_at) : now) - Date.parse(deployment.created_at));

function verdict(deployment: DeploymentSummary, colours: Colours): string {
  const word = deployment.outcome ?? deployment.state;
  if (deployment.counts.failed > 0) return paint('failed', word, colours);
  return deployment.ended_at === null ? paint('running', word, colours) : word;
}

export function renderDeployments(list: readonly DeploymentSummary[], colours: Colours, now: number): string {
  const head = ['DEPLOYMENT', 'KIND', 'STATE', 'SUCCEEDED', 'FAILED', 'OPEN', 'BY', 'BEGUN', 'TOOK'];
  const rows = list.map((deployment) => [
    deployment.deployment_id,
    deployment.kind,
    verdict(deployment, colours),
    String(deployment.counts.succeeded),
    String(deployment.counts.failed),
    String(deployment.counts.pending + deployment.counts.running),
    oneLine(deployment.username, 24),
    ago(deployment.created_at, now),
    took(deployment, now),
  ]);
  return table(head, rows, colours);
}

export function renderDeployment(deployment: DeploymentDetail, colours: Colours, now: number): string {
  const { counts } = deployment;
  const lines = [
    `Deployment ${deployment.deployment_id} (${deployment.kind}) by ${harmless(deployment.username)}, ${ago(deployment.created_at, now)}: ${verdict(deployment, colours)}`,
    `${counts.succeeded} succeeded, ${counts.failed} failed, ${counts.running} running, ${counts.pending} pending`,
  ];
  if (deployment.waiting_for) lines.push(`Waiting for: ${harmless(deployment.waiting_for)}`);
  if (deployment.rows.length > 0) {
    const hosts = deployment.rows.some((row) => row.host_uuid !== null);
    const rows = deployment.rows.map((row) => [
      oneLine(row.decky_name, 40),
      ...(hosts ? [oneLine(hostOf(row) ?? 'local', 36)] : []),
      row.operation,
      paint(row.status, row.status, colours),
      elapsedText(row, now),
      oneLine(rowDetail(row), DETAIL_WIDTH),
    ]);
    lines.push('', table(['DECKY', ...(hosts ? ['HOST'] : []), 'OPERATION', 'STATUS', 'TIME', 'STEP'], rows, colours));
  }
  return [...lines, ...failureBlocks(deployment.rows, colours).map((block) => `\n${block}`)].join('\n');
}

function stateText(decky: FleetDecky, colours: Colours): string {
  if (decky.open) return colours.cyan(`${decky.state} (${decky.open.operation} ${decky.open.status})`);
  const drift = decky.drift ?? [];
  if (drift.length > 0) return colours.red(`${decky.state} (${drift.join(', ')})`);
  if (decky.state === 'running') return colours.green(decky.state);
  return decky.state === 'pending' || decky.state === 'stopped' ? colours.dim(decky.state) : colours.red(decky.state);
}

function networkLine(fleet: FleetOverview): string[] {
  if (fleet.simulated) return ['Simulated: there is no container engine; nothing listens on these addresses.'];
  if (!fleet.network) return [];
  const { driver, subnet, gateway } = fleet.network;
  const parent =
    driver === 'bridge' ? 'bridge: reachable from this host only' : `${driver} on ${fleet.network.interface}`;
  const hosts = fleet.deckies.some((decky) => decky.host_uuid !== null);
  return [`Network ${subnet}, gateway ${gateway} (${parent})${hosts ? '; hosts have networks of their own' : ''}`];
}

/** Without a heading; a host's own deckies need no column that names it. */
function fleetTable(fleet: readonly FleetDecky[], colours: Colours, hosts = false): string {
  const rows = fleet.map((decky) => [
    oneLine(decky.name, 40),
    stateText(decky, colours),
    harmless(decky.ip),
    oneLine(decky.services.join(','), 40),
    ...(hosts ? [oneLine(decky.host_name ?? decky.host_uuid ?? 'local', 36)] : []),
    decky.open?.step ? oneLine(decky.open.step, DETAIL_WIDTH) : oneLine(decky.last_error ?? '', DETAIL_WIDTH),
  ]);
  return table(['DECKY', 'STATE', 'ADDRESS', 'SERVICES', ...(hosts ? ['HOST'] : []), 'LAST ERROR'], rows, colours);
}

export function renderFleet(fleet: FleetOverview, colours: Colours): string {
  if (fleet.deckies.length === 0)
    return [...networkLine(fleet), 'No deckies. Deploy some: deckhand deploy FILE --wait'].join('\n');
  return [...networkLine(fleet), fleetTable(fleet.deckies, colours, true), deckies(fleet.deckies.length)].join('\n');
}

// 2. Hosts

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

// 3. Drift

const DRIFT_WIDTH = 80;

const hostName = (one: { host_uuid: string | null; host_name?: string | null }): string =>
  oneLine(one.host_name ?? one.host_uuid ?? 'local', 36);

const silence = (one: SilentEngine): string =>
  `Unknown: ${deckies(one.deckies)} on ${hostName(one)}, since ${one.since ?? 'ever'}: ${harmless(one.why)}`;

export function renderDrift(
  { drift, unknown, reconcile_interval }: DriftOverview,
  colours: Colours,
  now: number,
): string {
  const rows = drift.map((one) => [
    oneLine(one.decky_name, 40),
    hostName(one),
    colours.red(one.reason),
    shortDuration(now - Date.parse(one.since)),
    oneLine(one.detail, DRIFT_WIDTH),
  ]);
  return [
    ...(rows.length > 0 ? [table(['DECKY', 'HOST', 'REASON', 'SINCE', 'DETAIL'], rows, colours)] : ['Nothing drifts.']),
    ...unknown.map(silence),
    rows.length === 0
      ? ''
      : reconcile_interval === null
        ? 'Repair it: deckhand reconcile --wait'
        : `It is repaired every ${reconcile_interval}. Repair it now: deckhand reconcile --wait`,
  ]
    .filter((line) => line !== '')
    .join('\n');
}

export function renderMending({ message, mending, unknown }: ReconcileAnswer, colours: Colours): string {
  const rows = mending.map((one) => [
    oneLine(one.decky_name, 40),
    hostName(one),
    one.action === 'teardown' ? 'take down' : 'deploy',
    one.reasons.join(', '),
  ]);
  return [
    harmless(message),
    ...(rows.length > 0 ? [table(['DECKY', 'HOST', 'ACTION', 'REASON'], rows, colours)] : []),
    ...unknown.map(silence),
  ].join('\n');
}

// 4. The diagnosis

export interface DoctorFinding {
  readonly part: string;
  readonly status: 'ok' | 'missing' | 'warn';
  readonly found: string;
  /** What to do; empty or null when there is nothing to do. */
  readonly advice?: string | null;
}

const GLYPH = { ok: '✓', warn: '!', missing: '✗' } as const;

function line(finding: DoctorFinding, width: number, colours: Colours): string {
  const colour = { ok: colours.green, warn: colours.yellow, missing: colours.red }[finding.status];
  const head = `${colour(GLYPH[finding.status])} ${oneLine(finding.part, width).padEnd(width)}  ${indented(finding.found, '').trim()}`;
  const needed = finding.status !== 'ok' && finding.advice;
  return needed ? `${head}\n${indented(finding.advice ?? '', ' '.repeat(width + 4))}` : head;
}

export function renderFindings(findings: readonly DoctorFinding[], colours: Colours): string {
  const width = Math.max(1, ...findings.map((finding) => finding.part.length));
  const lines = findings.map((finding) => line(finding, width, colours));
  const count = (status: DoctorFinding['status']) => findings.filter((finding) => finding.status === status).length;
  return [...lines, `${count('ok')} ok, ${count('warn')} with a warning, ${count('missing')} missing`].join('\n');
}
