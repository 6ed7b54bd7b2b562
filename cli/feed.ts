/**
 * `deckhand events` and `deckhand audit`, and the lines that they print.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Status } from '../fleet/lifecycle.ts';
import { type Context, printJson } from './context.ts';
import { EXIT, type ExitCode, isCliError } from './errors.ts';
import type { AuditEntry, FeedEvent } from './event-stream.ts';
import type { Colours } from './io.ts';
import { table } from './render.ts';
import { paint } from './rows.ts';
import { oneLine } from './text.ts';

interface EventsOptions {
  readonly decky?: string;
  readonly host?: string;
  readonly deployment?: string;
  readonly since?: string;
  readonly count?: number;
}

const RETRY_MS = 2_000;

/** Prints events until Ctrl-C, or until `--count` of them; connects again after a loss and misses none. */
export async function events(context: Context, options: EventsOptions): Promise<ExitCode> {
  const { io, json, feed } = context;
  const { since, count, ...filter } = options;
  const given = Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
  let after = since ?? null;
  let left = count ?? Number.POSITIVE_INFINITY;
  const show = (event: FeedEvent): void => {
    if (json) io.out(JSON.stringify({ id: event.id, event: event.event, ...event.data }));
    else io.out(renderEvent(event, io.colours));
  };
  while (!io.interrupted.aborted) {
    try {
      for await (const event of feed.events(given, after, io.interrupted)) {
        if (event.id !== '') after = event.id;
        if (event.event === 'position') continue;
        show(event);
        if (event.id !== '') left -= 1;
        if (left <= 0) return EXIT.succeeded;
      }
    } catch (error) {
      if (io.interrupted.aborted) break;
      // What was heard of once may come back; a master that never answered, or that refuses, does not.
      if (isCliError(error) && (after === null || error.exitCode === EXIT.refused)) throw error;
      io.err(`${(error as Error).message}; trying again.`);
    }
    await pause(RETRY_MS, undefined, { signal: io.interrupted }).catch(() => undefined);
  }
  return EXIT.interrupted;
}

interface AuditOptions {
  readonly limit?: number;
  readonly user?: string;
  readonly cursor?: string;
}

const RECENT = 50;

export async function audit(context: Context, options: AuditOptions): Promise<ExitCode> {
  const { limit = RECENT, user, cursor } = options;
  const page = await context.feed.audit({
    limit,
    ...(user === undefined ? {} : { user }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  if (context.json) printJson(context.io, page);
  else {
    context.io.out(renderAudit(page.entries, context.io.colours));
    if (page.next_cursor !== null) context.io.out(`Older ones: deckhand audit --cursor ${page.next_cursor}`);
  }
  return EXIT.succeeded;
}

const WIDTH = 160;
const CHANGE_WIDTH = 70;

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
    oneLine(change(entry), CHANGE_WIDTH),
  ]);
  return table(['WHEN (UTC)', 'WHO', 'FROM', 'WHAT', 'ANSWER', 'CHANGE'], rows, colours);
}
