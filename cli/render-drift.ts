/** Drift, and what a reconcile does about it. Pure. */
import type { DriftOverview, ReconcileAnswer, SilentEngine } from './api-types.ts';
import type { Colours } from './io.ts';
import { table } from './render-tables.ts';
import { deckies, harmless, oneLine, shortDuration } from './text.ts';

const DETAIL_WIDTH = 80;

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
    oneLine(one.detail, DETAIL_WIDTH),
  ]);
  return [
    ...(rows.length > 0 ? [table(['DECKY', 'HOST', 'REASON', 'SINCE', 'DETAIL'], rows, colours)] : ['Nothing drifts.']),
    ...unknown.map(silence),
    rows.length === 0
      ? ''
      : reconcile_interval === null
        ? 'Mend it: deckhand reconcile --wait'
        : `It is mended every ${reconcile_interval}; now: deckhand reconcile --wait`,
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
