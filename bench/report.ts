/** From samples to a table, ratios with their targets, and a JSON file. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { dirname } from 'node:path';
import Table from 'cli-table3';
import { median, type Sample, type Summary, summarise } from './measure.ts';
import { COLUMNS, type Column } from './rounds.ts';

export type Samples = Readonly<Record<Column, readonly Sample[]>>;

interface Target {
  readonly of: Column;
  readonly to: Column;
  /** Ours by theirs, at most. */
  readonly atMost: number;
}

const TARGETS: readonly Target[] = [
  { of: 'deploy: Deckhand', to: 'deploy: bare engine calls', atMost: 1.2 },
  { of: 'deploy: Deckhand', to: 'deploy: docker compose up', atMost: 1.1 },
  { of: 'again: Deckhand', to: 'again: docker compose up', atMost: 0.5 },
  { of: 'accept: Deckhand (202)', to: 'accept: bare update, activity', atMost: 1.5 },
];

export interface Ratio extends Target {
  /** Of the medians; null where the other is not installed. */
  readonly ratio: number | null;
  readonly holds: boolean | null;
  /** Of runs that stood beside each other: how far the ratio itself is to be trusted. Null as above. */
  readonly paired: { readonly median: number; readonly min: number; readonly max: number } | null;
}

export interface Report {
  readonly date: string;
  readonly machine: Readonly<Record<string, string | number>>;
  readonly rounds: number;
  readonly columns: Readonly<Record<Column, Summary | null>>;
  readonly ratios: readonly Ratio[];
  readonly samples: Samples;
}

export function makeReport(samples: Samples, rounds: number, versions: Readonly<Record<string, string>>): Report {
  const columns = Object.fromEntries(
    COLUMNS.map((column) => [column, summarise(samples[column])]),
  ) as Report['columns'];
  const ratios = TARGETS.map((target) => {
    const [ours, theirs] = [columns[target.of], columns[target.to]];
    const ratio = ours && theirs ? ours.medianMs / theirs.medianMs : null;
    return {
      ...target,
      ratio,
      holds: ratio === null ? null : ratio <= target.atMost,
      paired: pairedRatios(samples, target),
    };
  });
  const machine = { ...machineOf(), ...versions };
  return { date: new Date().toISOString(), machine, rounds, columns, ratios, samples };
}

/** What the figures of one run depend on. */
export function machineOf(): Readonly<Record<string, string | number>> {
  const processors = cpus();
  return {
    cpus: processors.length,
    model: processors[0]?.model ?? 'unknown',
    memoryMb: Math.round(totalmem() / 2 ** 20),
    node: process.version,
  };
}

function pairedRatios(samples: Samples, { of, to }: Target): Ratio['paired'] {
  const theirs = samples[to];
  const ratios = samples[of].flatMap(({ ms }, index) => (theirs[index] ? [ms / theirs[index].ms] : []));
  return ratios.length === 0 ? null : { median: median(ratios), min: Math.min(...ratios), max: Math.max(...ratios) };
}

const number = (value: number | null, digits: number): string => (value === null ? '' : value.toFixed(digits));

export function tableOf({ columns, ratios }: Report): string {
  const plain = { head: [], border: [] };
  const figures = new Table({ head: ['', 'median ms', 'min–max ms', 'samples', 'CPU s', 'memory MB'], style: plain });
  for (const column of COLUMNS) {
    const one = columns[column];
    figures.push(
      one
        ? [
            column,
            number(one.medianMs, 0),
            `${number(one.minMs, 0)}–${number(one.maxMs, 0)}`,
            one.count,
            number(one.cpuSeconds, 2),
            number(one.residentMb, 0),
          ]
        : [column, { colSpan: 5, content: 'not installed' }],
    );
  }
  const targets = new Table({
    head: ['ratio of medians', 'is', 'at most', '', 'side by side: median, min–max'],
    style: plain,
  });
  for (const { of, to, ratio, atMost, holds, paired } of ratios)
    targets.push([
      `${of} ÷ ${to}`,
      ratio === null ? 'not installed' : ratio.toFixed(2),
      atMost,
      holds === null ? '' : holds ? 'holds' : 'MISSED',
      paired ? `${number(paired.median, 2)}, ${number(paired.min, 2)}–${number(paired.max, 2)}` : '',
    ]);
  const whose =
    'CPU and memory: of Deckhand’s worker, of the bench for bare calls, of docker compose, of the bare worker.\n' +
    'CPU is the mean of one run, memory the highest that was seen after one.';
  return [figures.toString(), whose, targets.toString()].join('\n');
}

export function writeReport(file: string, report: object): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
}
