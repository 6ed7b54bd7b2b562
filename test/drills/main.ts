/** The program behind test/drill.mjs. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unmountBelow } from '../../stack/docker.ts';
import { type Counts, totalsLine } from '../support/stack/stack-totals.ts';
import { type CuttableDatabase, openCuttableDatabase } from './cuttable-database.ts';
import { DrillStack } from './drill-stack.ts';
import { ENGINE_KINDS, type Kind } from './kinds.ts';
import { type DrillOptions, parseDrillOptions } from './options.ts';
import { rotationDrill } from './rotation.ts';
import { measureDeploy, type RoundResult, runRound } from './round.ts';

/** A round that begins this late would be cut off. */
const LAST_START_MS = 60_000;

interface Drill {
  readonly options: DrillOptions;
  readonly home: string;
  readonly results: RoundResult[];
  readonly deadline: number;
  stack: DrillStack | null;
  database: CuttableDatabase | null;
  /** Kinds that can't be drilled on this machine, which the drill has said. */
  leftOut: readonly Kind[];
  /** What went wrong with `--rotate`; null where it was not run to its end. */
  rotation: readonly string[] | null;
}

function lineOf({ draw, momentMs, told, problems, seconds }: RoundResult): string {
  const verdict = problems.length === 0 ? 'passed' : 'FAILED';
  return `${verdict}  round ${draw.round}  ${draw.kind}  seed ${draw.seed}  at ${momentMs} ms  ${seconds.toFixed(1)} s  ${told}`;
}

async function runRounds(drill: Drill): Promise<void> {
  const { options, results } = drill;
  const onSpawned = (spawned: DrillStack): void => {
    drill.stack = spawned;
  };
  if (options.kinds.includes('postgres')) drill.database = await openCuttableDatabase(drill.home);
  const stack = await DrillStack.start(drill.home, onSpawned, options.agents, drill.database);
  if (!stack.hasEngine) console.log('There is no Docker Engine: deckies are simulated, containers are not looked at.');
  if (options.rotateMinutes !== null) {
    drill.rotation = await rotationDrill(stack, options.rotateMinutes, options.seed);
    return;
  }
  const leaveOut = options.kinds.filter((kind) => ENGINE_KINDS.includes(kind) && !stack.ownsEngine);
  drill.leftOut = leaveOut;
  if (leaveOut.length > 0)
    console.log(`${leaveOut.join(' and ')}: left out, since no Docker Engine is this stack's own.`);
  const measured = await measureDeploy(stack);
  const lengthMs = options.lengthMs ?? measured;
  console.log(`drill: seed ${options.seed}, an undisturbed deploy takes ${measured} ms, moments over ${lengthMs} ms`);
  for (let round = 1; round <= options.rounds; round += 1)
    for (const kind of options.kinds.filter((one) => !leaveOut.includes(one))) {
      if (Date.now() > drill.deadline - LAST_START_MS) return;
      const result = await runRound(stack, { seed: options.seed, round, kind }, lengthMs);
      results.push(result);
      console.log([lineOf(result), ...result.problems.map((problem) => `        ${problem}`)].join('\n'));
    }
}

/** Resolves with a sentence when it was cut off from outside, or by its own time. */
function cutOff(deadline: number): Promise<string> {
  return new Promise((resolve) => {
    setTimeout(() => resolve('its time is over (--minutes)'), Math.max(0, deadline - Date.now())).unref();
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve(signal));
  });
}

/** Logs outlive the drill where something broke. */
function removeHome(home: string, keepLogs: boolean): void {
  if (keepLogs) {
    const kept = mkdtempSync(join(tmpdir(), 'deckhand-drill-logs-'));
    cpSync(join(home, 'logs'), kept, { recursive: true });
    console.log(`The logs of the stack are in ${kept}.`);
  }
  unmountBelow(home);
  rmSync(home, { recursive: true, force: true });
}

function summarise({ options, results, rotation, leftOut }: Drill, broken: readonly string[]): Counts {
  const failed = results.filter(({ problems }) => problems.length > 0);
  const skipped = options.rounds * (options.kinds.length - leftOut.length) - results.length;
  console.log('');
  for (const kind of options.kinds) {
    const own = results.filter(({ draw }) => draw.kind === kind);
    const seconds = own.map((result) => result.seconds).sort((left, right) => left - right);
    const good = own.filter(({ problems }) => problems.length === 0).length;
    if (own.length > 0)
      console.log(
        `${kind}: ${good} of ${own.length} passed, ${seconds[0]?.toFixed(1)} to ${seconds.at(-1)?.toFixed(1)} s`,
      );
  }
  for (const { draw, momentMs } of failed)
    console.log(`broke: seed ${draw.seed}, round ${draw.round}, ${draw.kind}, at ${momentMs} ms`);
  for (const sentence of broken) console.log(`broke: ${sentence}`);
  if (skipped > 0) console.log(`${skipped} were not run.`);
  const rotated = rotation?.length === 0 ? 1 : 0;
  return { passed: results.length - failed.length + rotated, failed: failed.length + broken.length, skipped };
}

async function run(options: DrillOptions): Promise<number> {
  const drill: Drill = {
    options,
    home: mkdtempSync(join(tmpdir(), 'deckhand-drill-')),
    results: [],
    deadline: Date.now() + options.minutes * 60_000,
    stack: null,
    database: null,
    leftOut: [],
    rotation: null,
  };
  const broken: string[] = [];
  const ended = runRounds(drill).then(
    () => null,
    (error: Error) => error.message,
  );
  const cut = await Promise.race([ended.then(() => null), cutOff(drill.deadline)]);
  const why = cut === null ? await ended : `the drill was cut off: ${cut}`;
  if (why !== null) broken.push(why);
  // What is left on the engine tells only where no round was cut in the middle.
  const left = (await drill.stack?.stop()) ?? [];
  await drill.database?.close();
  if (cut === null) broken.push(...left);
  broken.push(...(drill.rotation ?? []));
  const totals = summarise(drill, broken);
  removeHome(drill.home, totals.failed > 0);
  console.log(totalsLine(totals));
  return totals.failed > 0 || totals.skipped > 0 ? 1 : 0;
}

export async function main(args: readonly string[]): Promise<void> {
  let options: DrillOptions;
  try {
    options = parseDrillOptions(args);
  } catch (error) {
    console.error((error as Error).message);
    process.exit(2);
  }
  process.exit(await run(options));
}
