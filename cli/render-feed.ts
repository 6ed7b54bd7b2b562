/** Lines of events and of the audit. Pure. */
import type { Status } from '../fleet/lifecycle.ts';
import type { AuditEntry, FeedEvent } from './feed.ts';
import type { Colours } from './io.ts';
import { paint } from './render-rows.ts';
import { table } from './render-tables.ts';
import { oneLine } from './text.ts';

const WIDTH = 160;
const DETAIL_WIDTH = 70;

const word = (value: unknown): string => (typeof value === 'string' || typeof value === 'number' ? String(value) : '');
const list = (value: unknown): string => (Array.isArray(value) ? value.map(word).join(',') : '');

/** `19:00:37  web-01  deploy  running`; times are local. */
export function renderEvent({ event, data }: FeedEvent, colours: Colours): string {
  if (event === 'gap' || event === 'end') return colours.dim(oneLine(`— ${word(data.detail)}`, WIDTH));
  const payload = (data.payload ?? {}) as Record<string, unknown>;
  const time = new Date(Number(data.ts) * 1_000).toTimeString().slice(0, 8);
  const status = word(payload.status);
  const what =
    event === 'mutation'
      ? ['mutated', `${list(payload.old_services)} → ${list(payload.new_services)}`]
      : event === 'drift'
        ? [`drift ${word(payload.status)}`, word(payload.reason), word(payload.detail)]
        : event === 'warning'
          ? ['warning', word(payload.warning)]
          : [word(payload.operation), paint(status as Status, status, colours), word(payload.error)];
  const told = what.filter((part) => part !== '').map((part) => oneLine(part, WIDTH));
  return [time, oneLine(word(data.decky_name), 64), ...told].join('  ');
}

/** What changed, as far as it is told: `value: 10 → 20`. */
function change({ before, after, request }: AuditEntry): string {
  const changed = Object.keys({ ...before, ...after }).flatMap((key) => {
    const [was, is] = [before?.[key], after?.[key]].map((value) => JSON.stringify(value) ?? '–');
    return was === is ? [] : [`${key}: ${was} → ${is}`];
  });
  const asked = Object.entries(request).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  return (before !== null && after !== null && changed.length > 0 ? changed : asked).join(', ');
}

export function renderAudit(entries: readonly AuditEntry[], colours: Colours): string {
  if (entries.length === 0) return 'Nothing was changed yet.';
  const rows = entries.map((entry) => [
    entry.at.slice(0, 19).replace('T', ' '),
    oneLine(entry.username ?? '–', 32),
    oneLine(entry.peer ?? '–', 40),
    `${entry.method} ${oneLine(entry.path.replace(/^\/api\/v1/, ''), 60)}`,
    entry.status === null ? 'no answer' : [entry.status, entry.error_code ?? ''].join(' ').trim(),
    oneLine(change(entry), DETAIL_WIDTH),
  ]);
  return table(['WHEN (UTC)', 'WHO', 'FROM', 'WHAT', 'ANSWER', 'CHANGE'], rows, colours);
}
