import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { EVERY_DECKY, Exclusive } from '../../activities/exclusive.ts';

// proof: promise-6
describe('activities on one decky', () => {
  let exclusive: Exclusive;
  let heard: string[];
  beforeEach(() => {
    exclusive = new Exclusive();
    heard = [];
  });

  /** An activity that works until it is let go, whether it was overtaken or not. */
  function begin(subject: string | typeof EVERY_DECKY, name: string, scheduledAt = 1) {
    const info = { currentAttemptScheduledTimestampMs: scheduledAt };
    const environment = new MockActivityEnvironment(info, { logger: new DefaultLogger('ERROR') });
    let letGo = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const work = async (signal: AbortSignal): Promise<void> => {
      heard.push(`${name} begins`);
      await gate;
      heard.push(`${name} ends${signal.aborted ? ', overtaken' : ''}`);
    };
    const result = environment.run(() => exclusive.take(subject, work)).catch((error: Error) => error.message);
    return { letGo, result, cancel: () => environment.cancel('CANCELLED') };
  }
  const settle = (): Promise<void> => pause(20);

  it('are one at a time: the next breaks off the one before, waits for its end, and only then begins', async () => {
    const [old, next] = [begin('a', 'old'), begin('a', 'next')];
    await settle();
    assert.deepEqual(heard, ['old begins']);
    old.letGo();
    next.letGo();
    await next.result;
    assert.deepEqual(heard, ['old begins', 'old ends, overtaken', 'next begins', 'next ends']);
  });

  it('belong to the attempt that was scheduled last, also where an earlier one arrives after it', async () => {
    const current = begin('a', 'current', 20);
    for (const subject of ['a', EVERY_DECKY] as const)
      assert.match(String(await begin(subject, 'stale', 10).result), /taken its place/);
    const later = begin('a', 'later', 30);
    current.letGo();
    later.letGo();
    await later.result;
    assert.deepEqual(heard, ['current begins', 'current ends, overtaken', 'later begins', 'later ends']);
  });

  it('on other deckies go on side by side', async () => {
    const both = [begin('a', 'a'), begin('b', 'b')];
    await settle();
    assert.deepEqual(heard, ['a begins', 'b begins']);
    for (const { letGo } of both) letGo();
    await Promise.all(both.map(({ result }) => result));
    assert.ok(!heard.some((line) => line.includes('overtaken')));
  });

  it('that are overtaken or cancelled while they wait never begin, and whoever comes next waits for the first still', async () => {
    const [first, second] = [begin('a', 'first'), begin('a', 'second')];
    const third = begin('a', 'third');
    assert.match(String(await second.result), /taken its place/);
    third.cancel();
    assert.match(String(await third.result), /CANCELLED/);
    const fourth = begin('a', 'fourth');
    await settle();
    assert.deepEqual(heard, ['first begins']);
    first.letGo();
    fourth.letGo();
    await fourth.result;
    assert.deepEqual(heard, ['first begins', 'first ends, overtaken', 'fourth begins', 'fourth ends']);
  });

  it('on every decky wait for all, and are waited for by each', async () => {
    const [a, b] = [begin('a', 'a'), begin('b', 'b')];
    const every = begin(EVERY_DECKY, 'every');
    a.letGo();
    await settle();
    assert.ok(!heard.includes('every begins'));
    b.letGo();
    await settle();
    assert.ok(heard.includes('every begins'));
    const c = begin('c', 'c');
    await settle();
    assert.ok(!heard.includes('c begins'));
    every.letGo();
    c.letGo();
    await c.result;
    assert.deepEqual(heard.slice(-4), ['every begins', 'every ends, overtaken', 'c begins', 'c ends']);
  });

  it('end with what their work throws, and leave the decky free', async () => {
    const environment = new MockActivityEnvironment(undefined, { logger: new DefaultLogger('ERROR') });
    const failing = environment.run(() => exclusive.take('a', () => Promise.reject(new Error('no'))));
    await assert.rejects(failing, /no/);
    const next = begin('a', 'next');
    next.letGo();
    await next.result;
    assert.deepEqual(heard, ['next begins', 'next ends']);
  });
});
