/** `npm run bench:swarm`: servers of its own, all contestants in one run, tables, JSON, plot. */
import { writeFileSync } from 'node:fs';
import { decnetEnvironment } from '../../test/support/decnet/venv.ts';
import { writeReport } from '../report.ts';
import { type Burst, playBurst } from './burst.ts';
import { type BeatRate, playHeartbeats } from './heartbeats.ts';
import { parseOptions, type SwarmOptions, USAGE } from './options.ts';
import { plotOf } from './plot.ts';
import { killAll } from './program.ts';
import { makeReport, type Report, tablesOf } from './report.ts';
import { type Scene, setScene } from './scene.ts';
import { playSizes, type Run } from './sizes.ts';

const say = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

/** Hosts of the heartbeats' part. */
const LEAST_HOSTS = 20;

async function play(scene: Scene, options: SwarmOptions, say: (text: string) => void): Promise<Report> {
  const { parts, contestants } = options;
  const found = contestants.includes('DECNET') ? await decnetEnvironment() : { missing: null };
  const python = 'python' in found ? found.python : null;
  const without = 'missing' in found && found.missing ? `${found.missing} It is left out.` : null;
  if (without) say(without);
  const runs: Run[] = parts.includes('sizes') ? await playSizes(scene, python, options, say) : [];
  const rates: BeatRate[] = parts.includes('heartbeats') ? await playHeartbeats(scene, python, options, say) : [];
  const burst: Burst | null =
    parts.includes('burst') && contestants.includes('Deckhand') ? await playBurst(scene, options, say) : null;
  return makeReport(runs, rates, burst, without);
}

/** Ctrl-C ends the run; what was started is stopped all the same. */
function interruption(): Promise<never> {
  return new Promise((_resolve, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => reject(new Error('Interrupted.')));
  });
}

function write(options: SwarmOptions, report: Report): void {
  writeReport(options.out, report);
  say(`All figures: ${options.out}`);
  const plot = plotOf(report.lines);
  if (!plot) return;
  const file = options.out.replace(/(\.json)?$/, '.svg');
  writeFileSync(file, plot);
  say(`Plot: ${file}`);
}

async function run(options: SwarmOptions): Promise<number> {
  say('starting the servers');
  const most = Math.max(LEAST_HOSTS, options.burstHosts, ...options.sizes.map(({ hosts }) => hosts));
  const scene = await setScene(most, options.profile, say);
  let over = false;
  // What an interrupted run still says is about what was taken from under it.
  const narrate = (text: string): void => {
    if (!over) say(text);
  };
  try {
    const report = await Promise.race([play(scene, options, narrate), interruption()]);
    say(tablesOf(report));
    write(options, report);
    return options.strict && report.verdicts.some(({ held }) => held === false) ? 1 : 0;
  } finally {
    over = true;
    say('removing everything');
    killAll();
    await scene.stop();
  }
}

/** Returns the exit code: 0, also when a target is missed (1 with `--strict`); 1 when something broke; 2 for wrong options. */
export async function main(args: readonly string[]): Promise<number> {
  let options: SwarmOptions | null;
  try {
    options = parseOptions(args);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    return 2;
  }
  if (!options) {
    say(USAGE);
    return 0;
  }
  try {
    return await run(options);
  } catch (error) {
    console.error(`The bench broke: ${(error as Error).stack}`);
    return 1;
  }
}
