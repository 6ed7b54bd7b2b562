/** The three ways to show a wait: redrawn on a terminal, a line per change when piped, nothing for --json. */
import { createLogUpdate } from 'log-update';
import type { Io } from './io.ts';
import { renderLive } from './render-live.ts';
import { changeLine } from './render-rows.ts';
import type { Snapshot, WatchView } from './watch.ts';

const REDRAW_MS = 120;
/** A terminal that does not tell its size. */
const COLUMNS = 80;
const LINES = 24;

export const silentView = (): WatchView => ({ update: () => {}, notice: () => {}, close: () => {} });

/** Lines appear as rows change; the first look prints what has begun already. */
export function plainView(io: Io): WatchView {
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

export function liveView(io: Io, terminal: NodeJS.WriteStream): WatchView {
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

export function viewFor(io: Io, json: boolean): WatchView {
  if (json) return silentView();
  return io.terminal ? liveView(io, io.terminal) : plainView(io);
}
