/** `npm run bench`: brings the stack up, warms everything once, measures, cleans up, reports. */
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectDocker } from '../engine/docker/transport.ts';
import { BareAccept } from './bare-accept/peer.ts';
import { BareEngine, readDeckies } from './bare-engine.ts';
import { ComposePeer } from './compose-peer.ts';
import { DeckhandClient } from './deckhand-client.ts';
import type { Sample } from './measure.ts';
import { type BenchOptions, parseOptions, USAGE } from './options.ts';
import { makeReport, type Report, tableOf, writeReport } from './report.ts';
import { COLUMNS, type Column, FLEET, playRound, type Scene } from './rounds.ts';
import { BenchStack } from './stack.ts';

const say = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

interface Stage {
  readonly scene: Scene;
  readonly versions: Readonly<Record<string, string>>;
  readonly leave: () => Promise<void>;
}

/** Deploys once, which builds the images and writes the file that the peers use. */
async function setScene(stack: BenchStack): Promise<Stage> {
  const where = await stack.up();
  if (!where.docker_host) throw new Error('There is no Docker Engine; simulated deckies are nothing to measure.');
  const docker = connectDocker(where.docker_host);
  const deckhand = await DeckhandClient.login(where);
  say('building images and deploying once');
  await deckhand.deploy(FLEET, true);
  const file = join(stack.home, 'bench-compose.yml');
  copyFileSync(join(stack.home, 'compose', `${stack.project}.yml`), file);
  const deckies = readDeckies(file);
  const engine = new BareEngine(docker, stack.project);
  const release = await engine.holdNetwork(deckies[0]?.base[1].image ?? '');
  const label = `deckhand.project=${stack.project}`;
  await deckhand.teardown();
  await engine.assertClear(label);
  const compose = await ComposePeer.find(where.docker_host, stack.project, file);
  const bareAccept = await BareAccept.start(where);
  const { Version: engineVersion } = await docker.version();
  return {
    scene: { deckhand, engine, deckies, label, compose, bareAccept, workerPid: () => stack.pid('worker') },
    versions: { docker: engineVersion, compose: compose?.version ?? 'not installed' },
    leave: async () => {
      await bareAccept.stop();
      await release();
    },
  };
}

async function play(stack: BenchStack, options: BenchOptions): Promise<Report> {
  const { scene, versions, leave } = await setScene(stack);
  const samples = Object.fromEntries(COLUMNS.map((column) => [column, [] as Sample[]])) as Record<Column, Sample[]>;
  try {
    say('warming up');
    await playRound(scene, 0, Math.min(3, options.accepts), () => undefined);
    for (let round = 1; round <= options.rounds; round += 1) {
      say(`round ${round} of ${options.rounds}`);
      await playRound(scene, round, options.accepts, (column, sample) => samples[column].push(sample));
    }
  } finally {
    await leave();
  }
  return makeReport(samples, options.rounds, versions);
}

/** Ctrl-C ends the run; the stack is cleaned up all the same. */
function interruption(): Promise<never> {
  return new Promise((_resolve, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => reject(new Error('Interrupted.')));
  });
}

async function run(options: BenchOptions): Promise<number> {
  say('starting the stack');
  const stack = new BenchStack(options.profile);
  try {
    const report = await Promise.race([play(stack, options), interruption()]);
    say(tableOf(report));
    writeReport(options.out, report);
    say(`All samples: ${options.out}`);
    return options.strict && report.ratios.some(({ holds }) => holds === false) ? 1 : 0;
  } catch (error) {
    console.error(stack.lastWords());
    throw error;
  } finally {
    say('removing everything');
    await stack.stop();
  }
}

/** Returns the exit code: 0, also when a target is missed (1 with `--strict`); 1 when something broke; 2 for wrong options. */
export async function main(args: readonly string[]): Promise<number> {
  let options: BenchOptions | null;
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
