/** From runs to tables, targets, and a JSON file. */
import Table from 'cli-table3';
import { median } from '../measure.ts';
import { machineOf } from '../report.ts';
import type { Burst } from './burst.ts';
import { CONTESTANTS, type ContestantName, nameOf, type Size } from './contestant.ts';
import type { BeatRate } from './heartbeats.ts';
import type { Run } from './sizes.ts';
import { judge, type Verdict } from './targets.ts';

export interface Line {
  readonly contestant: ContestantName;
  readonly size: Size;
  readonly runs: number;
  readonly endedSeconds: number;
  readonly minSeconds: number;
  readonly maxSeconds: number;
  readonly acceptedSeconds: number | null;
  readonly closedSeconds: number | null;
  readonly history: { readonly parent: number; readonly child: number } | null;
  /** By process: mean CPU of a run, highest memory. */
  readonly uses: Readonly<Record<string, { readonly cpuSeconds: number; readonly peakMb: number }>>;
}

export interface Report {
  readonly date: string;
  readonly machine: Readonly<Record<string, string | number>>;
  readonly lines: readonly Line[];
  readonly heartbeats: readonly BeatRate[];
  readonly burst: Burst | null;
  readonly verdicts: readonly Verdict[];
  /** Why DECNET is missing, where it is. */
  readonly without: string | null;
  readonly runs: readonly Run[];
}

const sameSize = (a: Size, b: Size): boolean => a.hosts === b.hosts && a.deckies === b.deckies;
const secondsOf = (values: readonly (number | null)[]): number | null => {
  const known = values.filter((value) => value !== null);
  return known.length > 0 ? median(known) / 1_000 : null;
};

export function linesOf(runs: readonly Run[]): Line[] {
  const sizes = runs
    .map(({ size }) => size)
    .filter((size, at, all) => all.findIndex((one) => sameSize(one, size)) === at);
  return sizes.flatMap((size) =>
    CONTESTANTS.flatMap((contestant) => {
      const own = runs.filter((run) => run.contestant === contestant && sameSize(run.size, size));
      return own.length > 0 ? [lineOf(contestant, size, own)] : [];
    }),
  );
}

function lineOf(contestant: ContestantName, size: Size, runs: readonly Run[]): Line {
  const times = runs.map(({ timing }) => timing.endedMs);
  const processes = Object.keys(runs[0]?.uses ?? {});
  const uses = processes.map((name) => {
    const own = runs.flatMap((run) => (run.uses[name] ? [run.uses[name]] : []));
    const cpuSeconds = own.reduce((sum, use) => sum + use.cpuSeconds, 0) / own.length;
    return [name, { cpuSeconds, peakMb: Math.max(...own.map((use) => use.peakMb)) }] as const;
  });
  return {
    contestant,
    size,
    runs: runs.length,
    endedSeconds: median(times) / 1_000,
    minSeconds: Math.min(...times) / 1_000,
    maxSeconds: Math.max(...times) / 1_000,
    acceptedSeconds: secondsOf(runs.map(({ timing }) => timing.acceptedMs)),
    closedSeconds: secondsOf(runs.map(({ timing }) => timing.closedMs)),
    history: runs.at(-1)?.timing.history ?? null,
    uses: Object.fromEntries(uses),
  };
}

export function makeReport(
  runs: readonly Run[],
  heartbeats: readonly BeatRate[],
  burst: Burst | null,
  without: string | null,
): Report {
  const lines = linesOf(runs);
  return {
    date: new Date().toISOString(),
    machine: machineOf(),
    lines,
    heartbeats,
    burst,
    verdicts: judge(lines, heartbeats, burst),
    without,
    runs,
  };
}

const STYLE = { head: [], border: [] };
const fixed = (value: number | null | undefined, digits: number): string =>
  value === null || value === undefined ? '' : value.toFixed(digits);

export function tablesOf(report: Report): string {
  const parts = [
    ...(report.lines.length > 0 ? [timesTable(report.lines), usesTable(report.lines)] : []),
    ...(report.heartbeats.length > 0 ? [beatTable(report.heartbeats)] : []),
    ...(report.burst ? [burstText(report.burst)] : []),
    ...(report.without ? [report.without] : []),
    verdictTable(report.verdicts),
  ];
  return parts.join('\n');
}

function timesTable(lines: readonly Line[]): string {
  const head = [
    'hosts × deckies',
    '',
    'last row, s',
    'min–max',
    'accepted, s',
    'closed, s',
    'history: parent, child',
    'runs',
  ];
  const table = new Table({ head, style: STYLE });
  for (const line of lines)
    table.push([
      nameOf(line.size),
      line.contestant,
      fixed(line.endedSeconds, 2),
      `${fixed(line.minSeconds, 2)}–${fixed(line.maxSeconds, 2)}`,
      fixed(line.acceptedSeconds, 2),
      fixed(line.closedSeconds, 2),
      line.history ? `${line.history.parent}, ${line.history.child}` : '',
      line.runs,
    ]);
  return table.toString();
}

/** CPU seconds of a run, and highest memory, of each process. */
function usesTable(lines: readonly Line[]): string {
  const names = [...new Set(lines.flatMap((line) => Object.keys(line.uses)))];
  const table = new Table({ head: ['CPU s / MB', '', ...names], style: STYLE });
  for (const line of lines) {
    const cells = names.map((name) => {
      const use = line.uses[name];
      return use ? `${fixed(use.cpuSeconds, 2)} / ${fixed(use.peakMb, 0)}` : '';
    });
    table.push([nameOf(line.size), line.contestant, ...cells]);
  }
  return table.toString();
}

function beatTable(rates: readonly BeatRate[]): string {
  const head = ['heartbeats', '', 'per second', 'per CPU second', 'with PostgreSQL’s', 'answers'];
  const table = new Table({ head, style: STYLE });
  for (const one of rates)
    table.push([
      one.who,
      one.changed ? 'changed each time' : 'unchanged',
      fixed(one.perSecond, 0),
      fixed(one.perCpuSecond, 0),
      fixed(one.perCpuSecondWithDatabase, 0),
      JSON.stringify(one.outcomes),
    ]);
  return table.toString();
}

function burstText(burst: Burst): string {
  const settled =
    burst.settledSeconds === null ? 'some stayed open' : `all had ended after ${fixed(burst.settledSeconds, 1)} s`;
  return (
    `Burst: ${burst.hosts} agents pushed ${burst.deckies} deltas each, one try: ${JSON.stringify(burst.outcomes)} ` +
    `after ${fixed(burst.pushSeconds, 1)} s; ${burst.openAfterPush} rows open then, ${settled}.`
  );
}

function verdictTable(verdicts: readonly Verdict[]): string {
  const table = new Table({ head: ['target', 'is', 'bound', ''], style: STYLE });
  for (const { what, is, bound, held } of verdicts)
    table.push([what, is, bound, held === null ? '' : held ? 'held' : 'MISSED']);
  return table.toString();
}
