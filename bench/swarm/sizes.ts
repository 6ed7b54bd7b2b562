/** The deploys: for each size new processes, a warm-up, then rounds in which each contestant has its turn. */
import { setTimeout as sleep } from 'node:timers/promises';
import { startBarePeer } from './bare/peer.ts';
import type { Contestant, ContestantName, Size, Timing } from './contestant.ts';
import { nameOf } from './contestant.ts';
import { startDeckhand } from './deckhand.ts';
import { runDecnet } from './decnet/peer.ts';
import type { SwarmOptions } from './options.ts';
import type { Scene } from './scene.ts';
import { between, type Uses, usesOf } from './usage.ts';

export interface Run {
  readonly contestant: ContestantName;
  readonly size: Size;
  readonly round: number;
  readonly timing: Timing;
  /** By process, its own and the servers'. CPU of this run; memory the highest so far. */
  readonly uses: Uses;
}

type Say = (text: string) => void;

/** Nothing of one run is the next one's business: outbox, caches, garbage. */
const SETTLE_MS = 2_000;
/** Ten hosts, so that the code has run once; the others' connections stay cold, as they are in every round. */
const WARM_UP: Size = { hosts: 10, deckies: 5 };

export async function playSizes(scene: Scene, python: string | null, options: SwarmOptions, say: Say): Promise<Run[]> {
  const runs: Run[] = [];
  for (const size of options.sizes) runs.push(...(await playSize(scene, python, options, size, say)));
  return runs;
}

async function playSize(
  scene: Scene,
  python: string | null,
  options: SwarmOptions,
  size: Size,
  say: Say,
): Promise<Run[]> {
  say(`${nameOf(size)}: starting`);
  const runs: Run[] = [];
  const contestants = await startAll(scene, options, size.hosts);
  try {
    for (const one of contestants) await warmUp(one, size);
    for (let round = 1; round <= options.rounds; round += 1) {
      const turned = contestants.map((_, turn) => contestants[(turn + round) % contestants.length] as Contestant);
      for (const one of turned) runs.push(note(say, await playOne(scene, one, size, round)));
      // Its time hardly varies, and it is long.
      if (python && round === 1 && options.contestants.includes('DECNET')) {
        const { timing, use } = await runDecnet(scene, python, size);
        runs.push(note(say, { contestant: 'DECNET', size, round, timing, uses: { decnet: use } }));
      }
    }
  } catch (error) {
    for (const one of contestants) say(one.lastWords());
    throw error;
  } finally {
    await Promise.all(contestants.map((one) => one.stop()));
  }
  return runs;
}

async function startAll(scene: Scene, { contestants }: SwarmOptions, hosts: number): Promise<Contestant[]> {
  const started: Contestant[] = [];
  try {
    if (contestants.includes('Deckhand')) started.push(await startDeckhand(scene, hosts));
    if (contestants.includes('bare, outside work')) started.push(await startBarePeer(scene, hosts, true));
    if (contestants.includes('bare Temporal')) started.push(await startBarePeer(scene, hosts, false));
    return started;
  } catch (error) {
    await Promise.all(started.map((one) => one.stop()));
    throw error;
  }
}

async function warmUp(contestant: Contestant, { hosts }: Size): Promise<void> {
  await contestant.run({ ...WARM_UP, hosts: Math.min(WARM_UP.hosts, hosts) });
  await contestant.reset();
  await sleep(SETTLE_MS);
}

async function playOne(scene: Scene, contestant: Contestant, size: Size, round: number): Promise<Run> {
  const processes = [...contestant.processes, ...scene.serverProcesses];
  const before = usesOf(processes);
  const timing = await contestant.run(size);
  const uses = between(before, usesOf(processes));
  await contestant.reset();
  await sleep(SETTLE_MS);
  return { contestant: contestant.name, size, round, timing, uses };
}

function note(say: Say, run: Run): Run {
  const { contestant, size, round, timing } = run;
  say(`${nameOf(size)}, round ${round}: ${contestant} ${(timing.endedMs / 1_000).toFixed(2)} s`);
  return run;
}
