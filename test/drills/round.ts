/** One round: a deploy, a fault in the middle, and what must hold afterwards. */
import { setTimeout as pause } from 'node:timers/promises';
import { judgeAnswers } from './answers.ts';
import { containersOf, type DrillFleet, deploy, deployRows, fleetOf, takeDown, untilEnded } from './deploy.ts';
import type { DrillStack } from './drill-stack.ts';
import { type Fault, strike } from './faults.ts';
import { judgeContainers, judgeRows, judgeSeen, judgeStored, type SeenRow } from './judge.ts';
import { type Draw, momentOf } from './kinds.ts';

export interface RoundResult {
  readonly draw: Draw;
  readonly momentMs: number;
  readonly told: string;
  /** Sentences; empty: it passed. */
  readonly problems: readonly string[];
  readonly seconds: number;
}

/** What the sweep sends comes within a minute and its own time. */
const EVENTS_MS = 100_000;
const EVENTS_POLL_MS = 500;

/** How long a deploy takes that nothing disturbs, in milliseconds; a first one makes the images. */
export async function measureDeploy(stack: DrillStack): Promise<number> {
  let length = 0;
  for (const label of ['first', 'plain']) {
    const fleet = fleetOf(stack, label);
    const begun = Date.now();
    const { ids } = await deploy(stack, fleet);
    await untilEnded(stack, fleet.names);
    length = Date.now() - begun;
    const problems = judgeRows(ids, fleet.names, await deployRows(stack, fleet.names));
    await takeDown(stack, fleet.names);
    if (problems.length > 0) throw new Error(`an undisturbed deploy went wrong: ${problems.join('; ')}`);
  }
  return length;
}

/** Never throws: what broke is a problem of the result. Leaves no decky behind. */
export async function runRound(stack: DrillStack, draw: Draw, lengthMs: number): Promise<RoundResult> {
  const begun = Date.now();
  const momentMs = momentOf(draw, lengthMs);
  const fleet = fleetOf(stack, `${draw.kind}${draw.round}`);
  const problems: string[] = [];
  let told: string = draw.kind;
  try {
    const outcome = await disturbedDeploy(stack, fleet, draw, momentMs);
    told = outcome.told;
    problems.push(...outcome.problems);
  } catch (error) {
    problems.push((error as Error).message);
  }
  try {
    await takeDown(stack, fleet.names);
    if (stack.hasEngine)
      problems.push(...judgeContainers([], await stack.containers()).map((one) => `after the teardown: ${one}`));
  } catch (error) {
    problems.push(`taking down: ${(error as Error).message}`);
  }
  return { draw, momentMs, told, problems, seconds: (Date.now() - begun) / 1000 };
}

async function disturbedDeploy(
  stack: DrillStack,
  fleet: DrillFleet,
  draw: Draw,
  momentMs: number,
): Promise<{ told: string; problems: string[] }> {
  const striking = strike(stack, fleet, draw, momentMs);
  const [deployed, struck] = await Promise.allSettled([deploy(stack, fleet), striking]);
  if (struck.status === 'rejected') throw struck.reason;
  const fault = struck.value;
  try {
    if (deployed.status === 'rejected') throw deployed.reason;
    const { ids, lost } = deployed.value;
    await untilEnded(stack, fleet.names);
    const rows = await deployRows(stack, fleet.names);
    const ended = fault.mayFail ? rows.filter((row) => row.status !== 'failed') : rows;
    const problems = judgeRows(ids, fleet.names, rows, fault.mayFail);
    if (stack.hasEngine) {
      // Before containers are counted: what a look puts right counts as well.
      problems.push(...(await judgeAnswers(stack, fleet.names)));
      const wanted = containersOf(ended.map((row) => row.decky_name));
      problems.push(...judgeContainers(wanted, await stack.containers()));
    }
    await fault.lift();
    // Events of rows that went wrong tell nothing new, and would be waited for in vain.
    if (problems.length === 0) problems.push(...(await judgeEvents(stack, fault, rows)));
    const again = lost > 0 ? `, asked ${lost + 1} times` : '';
    return { told: `${fault.told}${again}`, problems };
  } finally {
    await fault.lift();
    await fault.back();
  }
}

async function judgeEvents(stack: DrillStack, fault: Fault, rows: readonly SeenRow[]): Promise<string[]> {
  const names = rows.map((row) => row.decky_name);
  const until = Date.now() + EVENTS_MS;
  for (;;) {
    // A server that has just come back may drop the first question.
    const stored = await stack.events.stored(names).then(
      (events) => judgeStored(rows, events),
      (error: Error) => [`JetStream does not answer: ${error.message}`],
    );
    if (stored.length === 0) return judgeSeen(rows, await stack.events.seen(), fault.subscriberSawAll);
    if (Date.now() > until) return stored;
    await pause(EVENTS_POLL_MS);
  }
}
