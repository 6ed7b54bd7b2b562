import assert from 'node:assert/strict';
import { fleetOf } from '../drills/deploy.ts';
import {
  judgeContainers,
  judgeRotation,
  judgeRows,
  judgeSeen,
  judgeStored,
  type SeenEvent,
  type SeenRow,
} from '../drills/judge.ts';
import { endingOf, KINDS, momentOf, parseKinds } from '../drills/kinds.ts';
import { parseDrillOptions } from '../drills/options.ts';

const row = (name: string, status = 'succeeded'): SeenRow => ({
  id: `id-${name}`,
  decky_name: name,
  status,
  error: null,
});
const event = (name: string, status: string): SeenEvent => ({
  subject: `decky.${name}.lifecycle`,
  messageId: `id-${name}:${status}`,
  status,
});
const A = [row('a')];
const RUNNING = event('a', 'running');
const SUCCEEDED = event('a', 'succeeded');

describe('the judge of the drills', () => {
  it('wants one succeeded row for each returned id and each decky', () => {
    assert.deepEqual(judgeRows(['id-a'], ['a'], A), []);
    assert.equal(judgeRows(['id-a'], ['a'], [row('a', 'failed')]).length, 1);
    assert.equal(judgeRows(['id-a'], ['a'], []).length, 2);
    assert.equal(judgeRows(['id-a', 'id-b'], ['a'], A).length, 1);
    assert.ok(judgeRows(['id-a'], ['a'], [...A, { ...row('a'), id: 'other' }]).length >= 2);
  });

  it('lets a row fail where its container was killed, and then wants ContainerExited', () => {
    const failed = (error: string) => [{ ...row('a', 'failed'), error }];
    assert.deepEqual(judgeRows(['id-a'], ['a'], failed('ContainerExited: exit code 137'), true), []);
    assert.equal(judgeRows(['id-a'], ['a'], failed('Internal: what?'), true).length, 1);
    assert.equal(judgeRows(['id-a'], ['a'], failed('ContainerExited: exit code 137')).length, 1);
  });

  it('wants running and succeeded in JetStream, once each and in that order', () => {
    assert.deepEqual(judgeStored(A, [event('b', 'running'), RUNNING, SUCCEEDED]), []);
    for (const wrong of [[], [RUNNING], [SUCCEEDED, RUNNING], [RUNNING, RUNNING, SUCCEEDED]])
      assert.equal(judgeStored(A, wrong).length, 1, JSON.stringify(wrong));
    assert.equal(judgeStored(A, [RUNNING, { ...SUCCEEDED, status: 'failed' }]).length, 1);
    assert.equal(judgeStored(A, [RUNNING, { ...SUCCEEDED, subject: 'decky.b.lifecycle' }]).length, 1);
  });

  it('lets a subscriber see a message again, never in another order', () => {
    assert.deepEqual(judgeSeen(A, [RUNNING, SUCCEEDED, RUNNING, SUCCEEDED], true), []);
    assert.equal(judgeSeen(A, [SUCCEEDED, RUNNING], true).length, 1);
    assert.equal(judgeSeen(A, [SUCCEEDED, RUNNING], false).length, 1);
    assert.equal(judgeSeen(A, [RUNNING], true).length, 1);
    assert.deepEqual(judgeSeen(A, [RUNNING], false), []);
  });

  // proof: rotation-drill
  it('wants an ended row or a recorded skip for each action of a Schedule, and none that overlaps another', () => {
    const ended = { status: 'succeeded', overlaps: false };
    const seen = { actions: 3, rows: [ended, { ...ended, status: 'failed' }], skips: 1 };
    assert.deepEqual(judgeRotation(seen, 3), []);
    assert.equal(judgeRotation({ ...seen, skips: 0 }, 3).length, 1);
    assert.equal(judgeRotation({ ...seen, rows: [ended, { ...ended, status: 'running' }] }, 3).length, 1);
    assert.equal(judgeRotation({ ...seen, rows: [ended, { ...ended, overlaps: true }] }, 3).length, 1);
    assert.equal(judgeRotation(seen, 4).length, 1);
  });

  it('wants exactly the wanted containers, each once and running', () => {
    const up = (name: string) => ({ name, state: 'running' });
    assert.deepEqual(judgeContainers(['a', 'b'], [up('b'), up('a')]), []);
    assert.equal(judgeContainers(['a', 'b'], [up('a')]).length, 1);
    assert.equal(judgeContainers(['a'], [up('a'), up('b')]).length, 1);
    assert.equal(judgeContainers(['a'], [up('a'), up('a')]).length, 1);
    assert.equal(judgeContainers(['a'], [{ name: 'a', state: 'exited' }]).length, 1);
  });

  it('names eight deckies of two services, others for each round', () => {
    const fleet = fleetOf({ id: 'd1' }, 'api1');
    assert.equal(fleet.names.length, 8);
    assert.equal(fleet.containers.length, 24);
    assert.equal(new Set([...fleet.names, ...fleetOf({ id: 'd1' }, 'api2').names]).size, 16);
  });
});

describe('the moments of the drills', () => {
  const rounds = Array.from({ length: 400 }, (_, round) => round);

  it('are the same for the same seed, others for another', () => {
    const moments = (seed: string) => rounds.map((round) => momentOf({ seed, round, kind: 'api' }, 10_000));
    assert.deepEqual(moments('1'), moments('1'));
    assert.notDeepEqual(moments('1'), moments('2'));
  });

  it('lie anywhere in the deploy, and the bus is silent from the start', () => {
    const moments = rounds.map((round) => momentOf({ seed: 's', round, kind: 'worker' }, 1_000));
    for (let tenth = 0; tenth < 10; tenth += 1)
      assert.ok(moments.filter((moment) => Math.floor(moment / 100) === tenth).length > 15, `tenth ${tenth}`);
    assert.equal(momentOf({ seed: 's', round: 1, kind: 'nats' }, 1_000), 0);
    const endings = rounds.map((round) => endingOf({ seed: 's', round, kind: 'nats' }));
    assert.deepEqual([...new Set(endings)].sort(), ['continued', 'killed']);
  });

  it('options: all kinds and 18 minutes unless told, and a sentence for nonsense', () => {
    const { seed, rounds: count, kinds, minutes } = parseDrillOptions(['--seed', '7']);
    assert.deepEqual({ seed, count, kinds, minutes }, { seed: '7', count: 1, kinds: [...KINDS], minutes: 18 });
    assert.deepEqual(parseKinds('api, nats', 0), ['api', 'nats']);
    assert.throws(() => parseKinds('power', 0), /kinds are worker, api, both, nats/);
    assert.throws(() => parseKinds('agent-3', 2), /agent-1, agent-2, agents/);
    assert.deepEqual(parseDrillOptions(['--agents', '2']).kinds, ['worker', 'api', 'agent-1', 'agent-2', 'agents']);
    assert.throws(() => parseDrillOptions(['--rounds', '0']), /--rounds wants a whole number/);
  });
});
