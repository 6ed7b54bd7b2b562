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
import { testDirectory } from '../support/stack/stack.ts';

const SEED = 'npm test 5';
const AGENTS = 3;
const TITLES: readonly (readonly [Kind, string])[] = [
  // proof: swarm-kills
  ['worker', 'the worker'],
  // proof: swarm-kills, gap-a4
  ['api', 'the API, and reports are kept until it is back (gap A6)'],
  // proof: swarm-kills, gap-a4
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

  // proof: promise-3, lost-delta
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

  // proof: host-lost, gap-a4
  it('a host for too long: its rows end as HostLost, the others are done long before; back, it is put right by rows of its own, and no ended row changes (gap A4)', async () => {
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
    // The order lay in the socket of the stopped agent; it works it off now, and says so too late. So each gets a row of the return.
    const names = lost.map((row) => row.decky_name);
    const isEnded = new Set(ended.map((row) => row.id));
    const since = async () => (await deployRows(drill, fleet.names)).filter((row) => !isEnded.has(row.id));
    for (let tries = 0; tries < 600; tries += 1) {
      if ((await since()).filter((row) => row.status === 'succeeded').length >= names.length) break;
      await pause(200);
    }
    assert.deepEqual(
      (await since()).map(({ decky_name, status }) => [decky_name, status]),
      names.map((name) => [name, 'succeeded']),
    );
    assert.deepEqual(
      await Promise.all(names.map(async (name) => (await state(name))?.state)),
      names.map(() => 'running'),
    );
    const still = (await deployRows(drill, fleet.names)).filter((row) => isEnded.has(row.id));
    assert.deepEqual(still, [...ended]);
    await takeDown(drill, fleet.names);
    assert.deepEqual(await drill.containers(), []);
  });

  // proof: owed-teardown
  it('one of three hosts during the teardown of all: the two are clean, the third is listed, and clean within a heartbeat of its return (gaps B17, C15, C16)', async () => {
    const drill = present(stack);
    const fleet = fleetOf(drill, 'owed');
    await drill.master.deploy({ ini_content: fleet.ini, replace_fleet: false, min_healthy_time: '1s' }, randomUUID());
    await untilEnded(drill, fleet.names);
    const listed = async () => (await drill.master.fleet()).deckies;
    const left = (await listed()).filter((decky) => decky.host_name === 'agent-1').map((decky) => decky.name);
    const pid = drill.pidOf('agent-1');
    process.kill(pid, 'SIGSTOP');
    try {
      await drill.master.teardownAll('8s');
      await untilEnded(drill, fleet.names);
      assert.deepEqual(
        (await listed()).map(({ name, state }) => [name, state]),
        left.map((name) => [name, 'tearing_down']),
      );
      if (drill.hasEngine)
        assert.deepEqual(
          [...new Set((await drill.containers()).map(({ name }) => name.replace(/-(ssh|redis)$/, '')))].sort(),
          left,
        );
      // What is owed is known to PostgreSQL alone.
      const killed = new Map(['api', 'worker'].map((name) => [name, drill.pidOf(name)]));
      for (const one of killed.values()) process.kill(one, 'SIGKILL');
      await drill.back(killed);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    const back = Date.now();
    while ((await listed()).length > 0 && Date.now() < back + 60_000) await pause(200);
    assert.deepEqual(await listed(), []);
    assert.deepEqual(await drill.containers(), []);
    const ends = await drill.sql<{ status: string; error: string | null }[]>`
      select status, error from decky_lifecycle where decky_name = ${left[0] ?? ''} and operation = 'teardown' order by started_at`;
    assert.deepEqual(
      ends.map(({ status, error }) => [status, error?.split(':')[0] ?? null]),
      [
        ['failed', 'HostLost'],
        ['succeeded', null],
      ],
    );
  });
});

function present(stack: DrillStack | null): DrillStack {
  assert.ok(stack, 'the stack is not up');
  return stack;
}
