/**
 * Rotation under fire: three deckies that mutate every minute while worker and API are killed twice each. The actions that the
 * Schedules report are as many as ended rows and recorded skips, and none overlaps another of its decky.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { Client, Connection, type ScheduleHandle } from '@temporalio/client';
import { rotationScheduleId } from '../../adapters/temporal/schedules.ts';
import { seededRandom } from '../../fleet/draw.ts';
import { type DrillFleet, deploy, fleetOf, takeDown, untilEnded } from './deploy.ts';
import type { DrillStack } from './drill-stack.ts';
import { judgeRotation, type SeenRotation } from './judge.ts';

const DECKIES = 3;
const VICTIMS = ['worker', 'api', 'worker', 'api'] as const;
/** The worker looks every 20 s what Schedules there should be. */
const SCHEDULES_MS = 60_000;
const ENDED_MS = 120_000;

/** Problems, in sentences; empty: it passed. */
export async function rotationDrill(stack: DrillStack, minutes: number, seed: string): Promise<string[]> {
  const names = fleetOf(stack, 'rotating').names.slice(0, DECKIES);
  const ini = names.map((name) => `[${name}]\nservices = redis\nmutate_interval = 1\n`).join('');
  const fleet: DrillFleet = { names, containers: [], ini };
  await deploy(stack, fleet);
  await untilEnded(stack, names);
  const connection = await Connection.connect({ address: stack.process.stackFile().temporal_address });
  const { schedule } = new Client({ connection });
  const handles = names.map((name) => schedule.getHandle(rotationScheduleId(stack.id, name)));
  await until('the Schedules', SCHEDULES_MS, () => Promise.all(handles.map((one) => one.describe())).then(() => true));
  await strikeInTurn(stack, minutes * 60_000, seed);
  await Promise.all(handles.map((handle) => handle.pause('the drill is over')));
  const isIdle = async (handle: ScheduleHandle) => (await handle.describe()).info.runningActions.length === 0;
  await until('the last rotations', ENDED_MS, async () => (await Promise.all(handles.map(isIdle))).every(Boolean));
  await untilEnded(stack, names);
  const actions = (await Promise.all(handles.map((one) => one.describe()))).map(({ info }) => info.numActionsTaken);
  const problems = await look(stack, names, actions, minutes);
  await connection.close();
  await takeDown(stack, names);
  return problems;
}

/** At seeded moments, one in each part of the time. */
async function strikeInTurn(stack: DrillStack, lengthMs: number, seed: string): Promise<void> {
  const random = seededRandom(`rotation ${seed}`);
  const part = lengthMs / VICTIMS.length;
  for (const victim of VICTIMS) {
    const momentMs = random() * part;
    const end = Date.now() + part;
    await pause(momentMs);
    const killed = new Map([[victim, stack.pidOf(victim)]]);
    process.kill(stack.pidOf(victim), 'SIGKILL');
    await stack.back(killed);
    await pause(Math.max(0, end - Date.now()));
  }
}

async function look(
  stack: DrillStack,
  names: readonly string[],
  actions: readonly number[],
  minutes: number,
): Promise<string[]> {
  const rows = await stack.sql<SeenRotation[]>`
    select l.decky_name, l.status, exists (select from decky_lifecycle o where o.decky_name = l.decky_name and o.id <> l.id
      and o.started_at < l.completed_at and o.completed_at > l.started_at) as overlaps
    from decky_lifecycle l join deployments d on d.id = l.deployment_id
    where l.operation = 'mutate' and l.decky_name = any(${[...names]}) and d.request->>'trigger' = 'scheduled'`;
  const skips = await stack.sql`select 1 from rotation_skips where decky_name = any(${[...names]})`;
  const sight = { actions: actions.reduce((sum, count) => sum + count, 0), rows, skips: skips.length };
  const failed = rows.filter((row) => row.status !== 'succeeded');
  console.log(
    `rotation: ${sight.actions} actions, ${rows.length} rows (${failed.length} not succeeded), ${skips.length} skips`,
  );
  return judgeRotation(sight, (names.length * minutes) / 2);
}

async function until(what: string, limitMs: number, holds: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + limitMs; !(await holds().catch(() => false)); await pause(500))
    if (Date.now() > end) throw new Error(`${what}: waited in vain for ${limitMs / 1000} s`);
}
