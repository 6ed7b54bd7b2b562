/** One seeded kill of each part of a swarm, and a host that is silent for too long; `npm run test:drill -- --agents 3` does many. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { deployRows, fleetOf, takeDown, untilEnded } from '../drills/deploy.ts';
import { DrillStack } from '../drills/drill-stack.ts';
import type { Kind } from '../drills/kinds.ts';
import { measureDeploy, runRound } from '../drills/round.ts';
import { testDirectory } from '../support/stack.ts';

const SEED = 'npm test 5';
const AGENTS = 3;
const TITLES: readonly (readonly [Kind, string])[] = [
  ['worker', 'the worker'],
  ['api', 'the API, and reports are kept until it is back (gap A6)'],
  ['agent-2', 'an agent, which goes on where it was (gap A5)'],
];

describe('a deploy over three agents keeps its promises when it loses', () => {
  let stack: DrillStack | null = null;
  let lengthMs = 0;
  before(async function () {
    this.timeout(240_000);
    const onSpawned = (spawned: DrillStack): void => {
      stack = spawned;
    };
    await DrillStack.start(testDirectory('swarm-faults'), onSpawned, AGENTS);
    lengthMs = await measureDeploy(present(stack));
  });
  after(async function () {
    this.timeout(120_000);
    assert.deepEqual((await stack?.stop()) ?? [], []);
  });

  for (const [kind, title] of TITLES)
    it(title, async () => {
      const { problems, momentMs, told } = await runRound(present(stack), { seed: SEED, round: 1, kind }, lengthMs);
      assert.deepEqual(problems, [], `seed ${SEED}, at ${momentMs} of ${lengthMs} ms: ${told}`);
    });

  it('the disk of an agent: it is asked, gets the order again, and all is settled within two minutes', async () => {
    const drill = present(stack);
    const fleet = fleetOf(drill, 'disk');
    const body = { ini_content: fleet.ini, replace_fleet: false, min_healthy_time: '1s' };
    await drill.master.deploy(body, randomUUID());
    const dir = join(drill.home, 'agents', '1', 'state');
    // It has taken its order, which is on its disk and nowhere else.
    const state = (): string => readFileSync(join(dir, 'agent-state.json'), 'utf8');
    while (!state().includes(fleet.names[0] ?? '')) await pause(20);
    // And has answered so: a lost answer would be found out sooner.
    await pause(500);
    const pid = drill.pidOf('agent-1');
    process.kill(pid, 'SIGSTOP');
    rmSync(dir, { recursive: true, force: true });
    process.kill(pid, 'SIGKILL');
    await untilEnded(drill, fleet.names, 120_000);
    const rows = await deployRows(drill, fleet.names);
    assert.deepEqual(
      rows.map((row) => row.status),
      fleet.names.map(() => 'succeeded'),
    );
    await drill.back(new Map([['agent-1', pid]]));
    await takeDown(drill, fleet.names);
    assert.deepEqual(await drill.containers(), []);
  });

  it('a host for too long: its rows end as HostLost, the others are done long before; back, it is shown as it is, and no ended row changes (gap A4)', async () => {
    const drill = present(stack);
    const fleet = fleetOf(drill, 'silent');
    const pid = drill.pidOf('agent-1');
    process.kill(pid, 'SIGSTOP');
    let ended: Awaited<ReturnType<typeof deployRows>>;
    try {
      const body = { ini_content: fleet.ini, replace_fleet: false, min_healthy_time: '1s', host_lost_after: '8s' };
      await drill.master.deploy(body, randomUUID());
      await untilEnded(drill, fleet.names);
      ended = await deployRows(drill, fleet.names);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    const lost = ended.filter((row) => row.status === 'failed');
    assert.equal(lost.length, 3, JSON.stringify(ended));
    for (const row of lost) assert.match(row.error ?? '', /^HostLost: host agent-1 gave no sign of life for/);
    const state = async (name: string) => (await drill.master.fleet()).deckies.find((decky) => decky.name === name);
    // The order lay in the socket of the stopped agent; it works it off now, and says so too late.
    const names = lost.map((row) => row.decky_name);
    for (let turn = 0; turn < 300; turn += 1) {
      const states = await Promise.all(names.map(state));
      if (states.every((decky) => decky?.state === 'running')) break;
      await pause(200);
    }
    assert.deepEqual(
      await Promise.all(names.map(async (name) => (await state(name))?.state)),
      names.map(() => 'running'),
    );
    assert.deepEqual(await deployRows(drill, fleet.names), ended);
    await takeDown(drill, fleet.names);
    assert.deepEqual(await drill.containers(), []);
  });
});

function present(stack: DrillStack | null): DrillStack {
  assert.ok(stack, 'the stack is not up');
  return stack;
}
