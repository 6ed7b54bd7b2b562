/** `npm run bench:events`: a deploy of 50 × 20 over simulated agents, without and with 200 readers of `/events`, in turn. */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { ROOT } from '../../stack/root.ts';
import { median } from '../measure.ts';
import { stampOf } from '../options.ts';
import { machineOf, writeReport } from '../report.ts';
import type { Size } from '../swarm/contestant.ts';
import { type Deckhand, startDeckhand } from '../swarm/deckhand.ts';
import { killAll } from '../swarm/program.ts';
import { type Scene, setScene } from '../swarm/scene.ts';
import { between, usesOf } from '../swarm/usage.ts';
import { ReaderProcess } from './reader-process.ts';

const SIZE: Size = { hosts: 50, deckies: 20 };
const WARM_UP: Size = { hosts: 10, deckies: 5 };
/** A row is announced as running, and as succeeded. */
const EVENTS_OF_A_ROW = 2;
const AT_MOST = 1.1;

const USAGE = `npm run bench:events -- [options]

A deploy of ${SIZE.hosts} × ${SIZE.deckies} over simulated agents, without and with readers of the event stream, in turn.
Runs servers of its own and removes them.

  --rounds N     measured rounds, each of one run without readers and one with them (4)
  --readers N    readers of the stream (200)
  --out FILE     where the figures go as JSON (bench/results/events-<time>.json)
  --profile DIR  write CPU profiles of API and workers into DIR
  --help         this text`;

interface Run {
  readonly readers: number;
  readonly endedMs: number;
  readonly apiCpuSeconds: number;
  readonly problems: readonly string[];
}

const say = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

async function play(deckhand: Deckhand, readers: ReaderProcess, count: number): Promise<Run> {
  await readers.open(deckhand.operator, count);
  const expected = SIZE.hosts * SIZE.deckies * EVENTS_OF_A_ROW;
  const api = [{ name: 'api', pid: deckhand.apiPid }];
  const before = usesOf(api);
  const { endedMs } = await deckhand.run(SIZE);
  const problems = await readers.judge(expected);
  const apiCpuSeconds = between(before, usesOf(api)).api?.cpuSeconds ?? Number.NaN;
  await deckhand.reset();
  say(`${count} readers: ${(endedMs / 1_000).toFixed(2)} s, API ${apiCpuSeconds.toFixed(2)} s of CPU`);
  return { readers: count, endedMs, apiCpuSeconds, problems };
}

async function playAll(scene: Scene, rounds: number, readers: number): Promise<Run[]> {
  const deckhand = await startDeckhand(scene, SIZE.hosts);
  const readerProcess = new ReaderProcess();
  const runs: Run[] = [];
  try {
    await deckhand.run(WARM_UP);
    await deckhand.reset();
    // The order turns, so that neither has the warmer machine.
    for (let round = 0; round < rounds; round += 1)
      for (const count of round % 2 === 0 ? [0, readers] : [readers, 0])
        runs.push(await play(deckhand, readerProcess, count));
    return runs;
  } catch (error) {
    say(deckhand.lastWords());
    throw error;
  } finally {
    readerProcess.stop();
    await deckhand.stop();
  }
}

function report(runs: readonly Run[], readers: number, out: string): number {
  const table = new Table({
    head: ['readers', 'last row, s (median)', 'min–max', 'API, s of CPU', 'runs'],
    style: { head: [], border: [] },
  });
  const mediansOf = [0, readers].map((count) => {
    const own = runs.filter((run) => run.readers === count);
    const seconds = own.map((run) => run.endedMs / 1_000);
    const middle = median(seconds);
    const cpu = median(own.map((run) => run.apiCpuSeconds));
    const range = `${Math.min(...seconds).toFixed(2)}–${Math.max(...seconds).toFixed(2)}`;
    table.push([count, middle.toFixed(2), range, cpu.toFixed(2), own.length]);
    return middle;
  });
  const ratio = (mediansOf[1] ?? Number.NaN) / (mediansOf[0] ?? Number.NaN);
  const pairs = pairedRatios(runs);
  const problems = runs.flatMap((run) => run.problems);
  writeReport(out, { date: new Date().toISOString(), machine: machineOf(), size: SIZE, readers, ratio, pairs, runs });
  say(table.toString());
  const ofPairs = `${median(pairs).toFixed(2)}, ${Math.min(...pairs).toFixed(2)}–${Math.max(...pairs).toFixed(2)}`;
  say(`With readers ÷ without: ${ratio.toFixed(2)} (in pairs ${ofPairs}; at most ${AT_MOST}).`);
  for (const problem of problems.slice(0, 20)) say(problem);
  say(problems.length === 0 ? 'Each reader got each event once and in order.' : `${problems.length} problems`);
  say(`All samples: ${out}`);
  return problems.length === 0 ? 0 : 1;
}

/** Of each round: its run with readers ÷ its run without. */
const pairedRatios = (runs: readonly Run[]): number[] =>
  Array.from({ length: runs.length / 2 }, (_, round) => {
    const [first, second] = runs.slice(2 * round, 2 * round + 2) as [Run, Run];
    return first.readers === 0 ? second.endedMs / first.endedMs : first.endedMs / second.endedMs;
  });

/** Returns the exit code: 1 where an event was missed or repeated, or something broke; a target that is missed is only told. */
export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string', default: '4' },
      readers: { type: 'string', default: '200' },
      out: { type: 'string' },
      profile: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    say(USAGE);
    return 0;
  }
  const out = values.out ?? join(ROOT, 'bench', 'results', `events-${stampOf(new Date())}.json`);
  const readers = Number(values.readers);
  const scene = await setScene(SIZE.hosts, values.profile ?? null, say);
  try {
    return report(await playAll(scene, Number(values.rounds), readers), readers, out);
  } catch (error) {
    console.error(`The bench broke: ${(error as Error).stack}`);
    return 1;
  } finally {
    killAll();
    await scene.stop();
  }
}
