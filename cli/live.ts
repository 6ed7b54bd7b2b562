/**
 * What is shown while a command waits.
 *
 * 1. `renderLive`: a frame with a line per decky, a summary, and what is waited for. It never exceeds the terminal. Pure.
 * 2. The three views: redrawn on a terminal, a line per change into a pipe, nothing with --json.
 */

import type { Status } from '../fleet/lifecycle.ts';
import type { Colours, Io } from './io.ts';
import type { RowView } from './master.ts';
import { changeLine, countByStatus, elapsedText, glyph, hostOf, paint, rowDetail, rowTitle } from './rows.ts';
import { deckies, harmless, oneLine, shortDuration } from './text.ts';

export interface Snapshot {
  readonly rows: readonly RowView[];
  readonly waitingFor: string | null;
  /** The operation was refused or withdrawn after all: its rows never come. */
  readonly refusal: string | null;
}

export interface WatchView {
  update(snapshot: Snapshot): void;
  /** A sentence about the wait itself, or null when it has passed. */
  notice(sentence: string | null): void;
  /** The last word; nothing is drawn after it. */
  close(): void;
}

interface LiveModel {
  readonly rows: readonly RowView[];
  readonly waitingFor: string | null;
  /** Something that the operator should know now ("the API does not answer …"), or null. */
  readonly notice: string | null;
  /** Epoch milliseconds. */
  readonly startedAt: number;
}

interface Screen {
  readonly columns: number;
  readonly lines: number;
  readonly colours: Colours;
}

const NAME_WIDTH = 32;
const HOST_WIDTH = 16;
const STATUS_WIDTH = 9;
const TIME_WIDTH = 7;
/** Where there is no room for all: what moves and what broke first. */
const RANK: Readonly<Record<Status, number>> = { running: 0, failed: 1, pending: 2, succeeded: 3 };

/** The widths of the columns that depend on what stands in them; no column for hosts where there are none. */
interface Widths {
  readonly name: number;
  readonly host: number;
}

function widthsOf(rows: readonly RowView[]): Widths {
  const longest = (texts: readonly string[], most: number): number =>
    Math.min(most, Math.max(1, ...texts.map((text) => text.length)));
  return {
    name: longest(rows.map(rowTitle), NAME_WIDTH),
    host: rows.some((row) => hostOf(row) !== null) ? longest(rows.map(hostText), HOST_WIDTH) : 0,
  };
}

const hostText = (row: RowView): string => harmless(hostOf(row) ?? 'local');

function rowLine(row: RowView, widths: Widths, screen: Screen, now: number): string {
  const { colours, columns } = screen;
  const nameWidth = widths.name;
  const host = widths.host > 0 ? ` ${oneLine(hostText(row), widths.host).padEnd(widths.host)}` : '';
  const name = oneLine(rowTitle(row), nameWidth).padEnd(nameWidth);
  const time = elapsedText(row, now).padStart(TIME_WIDTH);
  const room = columns - nameWidth - STATUS_WIDTH - TIME_WIDTH - host.length - 7;
  const detail = room > 3 ? oneLine(rowDetail(row), room).padEnd(room) : '';
  const state = paint(
    row.status,
    `${glyph(row.status, now)} ${name}${host} ${row.status.padEnd(STATUS_WIDTH)}`,
    colours,
  );
  return `  ${state} ${colours.dim(detail)} ${time}`.trimEnd();
}

/** The rows that fit into `room` lines, in their own order, and those that don't. */
export function fitRows(
  rows: readonly RowView[],
  room: number,
): { readonly shown: readonly RowView[]; readonly hidden: readonly RowView[] } {
  if (rows.length <= room) return { shown: rows, hidden: [] };
  const chosen = new Set([...rows].sort((a, b) => RANK[a.status] - RANK[b.status]).slice(0, Math.max(0, room - 1)));
  return { shown: rows.filter((row) => chosen.has(row)), hidden: rows.filter((row) => !chosen.has(row)) };
}

function countsText(rows: readonly RowView[]): string {
  const counts = countByStatus(rows);
  const order: readonly Status[] = ['succeeded', 'failed', 'running', 'pending'];
  return order
    .filter((status) => counts[status] > 0)
    .map((status) => `${counts[status]} ${status}`)
    .join(', ');
}

function hiddenLine(hidden: readonly RowView[]): string {
  const kinds = new Set(hidden.map((row) => row.status));
  const [only] = kinds;
  const what = kinds.size === 1 && only ? only : `(${countsText(hidden)})`;
  return `… and ${hidden.length} more ${what}`;
}

/** One frame, without a newline at its end. */
export function renderLive(model: LiveModel, screen: Screen, now: number): string {
  const { colours, columns } = screen;
  const total = `${deckies(model.rows.length)}: ${countsText(model.rows)}`;
  const footer = [oneLine(`${total} · ${shortDuration(now - model.startedAt)}`, columns)];
  if (model.waitingFor) footer.push(colours.dim(oneLine(`waiting for: ${model.waitingFor}`, columns)));
  if (model.notice) footer.push(colours.yellow(oneLine(model.notice, columns)));
  // One line stays free: a terminal that is full to the last line scrolls, and the next frame would be drawn beside it.
  const { shown, hidden } = fitRows(model.rows, Math.max(1, screen.lines - footer.length - 1));
  const widths = widthsOf(model.rows);
  const lines = shown.map((row) => rowLine(row, widths, screen, now));
  if (hidden.length > 0) lines.push(colours.dim(`  ${oneLine(hiddenLine(hidden), columns - 2)}`));
  return [...lines, ...footer].join('\n');
}

// 2. The views

const REDRAW_MS = 120;
/** A terminal that does not tell its size. */
const COLUMNS = 80;
const LINES = 24;

const silentView = (): WatchView => ({ update: () => {}, notice: () => {}, close: () => {} });

/** Lines appear as rows change; the first update prints what has begun already. */
function plainView(io: Io): WatchView {
  const seen = new Map<string, string>();
  let said: string | null = null;
  return {
    update(snapshot) {
      for (const row of snapshot.rows) {
        const before = seen.get(row.id) ?? 'pending';
        seen.set(row.id, row.status);
        if (before !== row.status) io.out(changeLine(row, Date.now(), io.colours));
      }
    },
    notice(sentence) {
      if (sentence !== null && said === null) io.err(sentence);
      if (sentence === null && said !== null) io.err('The API answers again.');
      said = sentence;
    },
    close() {},
  };
}

async function liveView(io: Io, terminal: NodeJS.WriteStream): Promise<WatchView> {
  const { createLogUpdate } = await import('log-update');
  const draw = createLogUpdate(terminal);
  const startedAt = Date.now();
  let snapshot: Snapshot | null = null;
  let notice: string | null = null;
  const redraw = () => {
    const screen = { columns: terminal.columns || COLUMNS, lines: terminal.rows || LINES, colours: io.colours };
    const { rows, waitingFor } = snapshot ?? { rows: [], waitingFor: null };
    draw(renderLive({ rows, waitingFor, notice, startedAt }, screen, Date.now()));
  };
  const timer = setInterval(redraw, REDRAW_MS);
  return {
    update(next) {
      snapshot = next;
    },
    notice(sentence) {
      notice = sentence;
    },
    close() {
      clearInterval(timer);
      redraw();
      draw.done();
    },
  };
}

export async function viewFor(io: Io, json: boolean): Promise<WatchView> {
  if (json) return silentView();
  return io.terminal ? liveView(io, io.terminal) : plainView(io);
}
