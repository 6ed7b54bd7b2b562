/** The targets of these figures. */
import type { Burst } from './burst.ts';
import type { ContestantName } from './contestant.ts';
import type { BeatRate } from './heartbeats.ts';
import type { Line } from './report.ts';

export interface Verdict {
  readonly what: string;
  readonly is: string;
  readonly bound: string;
  /** Null: not measured, or only reported. */
  readonly held: boolean | null;
}

/** CPU of DECNET for one heartbeat of 20 deckies, at best, as it was measured before; where it can't be measured here. */
const STATED_SECONDS = 0.034;
const HEARTBEAT_FACTOR = 20;
const GROWTH_PERCENT = 20;
const WORKER_MB = 600;

interface RatioTarget {
  readonly hosts: number;
  readonly deckies: number;
  readonly to: ContestantName;
  readonly atMost: number | null;
}

const RATIOS: readonly RatioTarget[] = [
  { hosts: 50, deckies: 20, to: 'bare, outside work', atMost: 1.3 },
  { hosts: 200, deckies: 50, to: 'bare, outside work', atMost: 1.3 },
  { hosts: 50, deckies: 20, to: 'bare Temporal', atMost: null },
  { hosts: 200, deckies: 50, to: 'bare Temporal', atMost: null },
  { hosts: 50, deckies: 20, to: 'DECNET', atMost: 0.5 },
  { hosts: 200, deckies: 50, to: 'DECNET', atMost: 0.25 },
];

export function judge(lines: readonly Line[], heartbeats: readonly BeatRate[], burst: Burst | null): Verdict[] {
  const ours = lines.filter(({ contestant }) => contestant === 'Deckhand');
  return [
    ...RATIOS.flatMap((target) => ratioOf(lines, target)),
    ...growthOf(ours),
    ...memoryOf(ours),
    ...heartbeatsOf(heartbeats),
    ...(burst
      ? [
          {
            what: `rows left open by a burst of ${burst.hosts} × ${burst.deckies}`,
            is: String(burst.openAtEnd),
            bound: '0',
            held: burst.openAtEnd === 0,
          },
        ]
      : []),
  ];
}

const timeOf = (lines: readonly Line[], who: ContestantName, hosts: number, deckies: number): number | null =>
  lines.find(({ contestant, size }) => contestant === who && size.hosts === hosts && size.deckies === deckies)
    ?.endedSeconds ?? null;

function ratioOf(lines: readonly Line[], { hosts, deckies, to, atMost }: RatioTarget): Verdict[] {
  const [ours, theirs] = [timeOf(lines, 'Deckhand', hosts, deckies), timeOf(lines, to, hosts, deckies)];
  if (ours === null || theirs === null) return [];
  const ratio = ours / theirs;
  return [
    {
      what: `${hosts} × ${deckies}: Deckhand ÷ ${to}`,
      is: ratio.toFixed(2),
      bound: atMost === null ? 'reported; aim at 2' : `at most ${atMost}`,
      held: atMost === null ? null : ratio <= atMost,
    },
  ];
}

/** Seconds per added host must not grow with the number of hosts. */
function growthOf(ours: readonly Line[]): Verdict[] {
  const [t50, t200, t500] = [50, 200, 500].map((hosts) => timeOf(ours, 'Deckhand', hosts, 20));
  if (t50 == null || t200 == null || t500 == null) return [];
  const [near, far] = [(t200 - t50) / 150, (t500 - t200) / 300];
  const percent = (far / near - 1) * 100;
  return [
    {
      what: 'milliseconds per added host, 50–200 and 200–500',
      is: `${(near * 1_000).toFixed(1)} and ${(far * 1_000).toFixed(1)}: ${percent.toFixed(0)} %`,
      bound: `${GROWTH_PERCENT} % at most`,
      held: Math.abs(percent) <= GROWTH_PERCENT,
    },
  ];
}

function memoryOf(ours: readonly Line[]): Verdict[] {
  if (ours.length === 0) return [];
  const peak = Math.max(...ours.map(({ uses }) => uses.worker?.peakMb ?? 0));
  return [
    {
      what: 'highest memory of the worker, MB',
      is: peak.toFixed(0),
      bound: `under ${WORKER_MB}`,
      held: peak < WORKER_MB,
    },
  ];
}

function heartbeatsOf(rates: readonly BeatRate[]): Verdict[] {
  const find = (who: BeatRate['who'], changed: boolean): BeatRate | undefined =>
    rates.find((one) => one.who === who && one.changed === changed);
  return [false, true].flatMap((changed) => {
    const [ours, theirs] = [find('Deckhand', changed), find('DECNET', changed)];
    if (!ours) return [];
    const base = theirs?.perCpuSecond ?? 1 / STATED_SECONDS;
    const factor = ours.perCpuSecond / base;
    return [
      {
        what: `heartbeats per CPU second, ${changed ? 'changed' : 'unchanged'}: Deckhand ÷ DECNET${theirs ? '' : ' (34 ms each, as stated)'}`,
        is: factor.toFixed(1),
        bound: changed ? 'reported' : `at least ${HEARTBEAT_FACTOR}`,
        held: changed ? null : factor >= HEARTBEAT_FACTOR,
      },
    ];
  });
}
