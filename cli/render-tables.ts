/** Tables for `status` and `deckies`. Pure. */
import Table from 'cli-table3';
import type { DeploymentDetail, DeploymentSummary, FleetDecky, FleetOverview } from './api-types.ts';
import type { Colours } from './io.ts';
import { elapsedText, failureBlocks, hostOf, paint, rowDetail } from './render-rows.ts';
import { deckies, harmless, oneLine, shortDuration } from './text.ts';

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
export function fleetTable(fleet: readonly FleetDecky[], colours: Colours, hosts = false): string {
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
