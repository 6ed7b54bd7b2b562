import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { Semaphore, SingleFlight } from '../../lib/concurrency.ts';

describe('work that many ask for', () => {
  it('is done once, and progress reaches all', async () => {
    const flights = new SingleFlight<number>();
    const heard: string[] = [];
    let runs = 0;
    const work = async (_signal: AbortSignal, tell: (step: string) => void): Promise<number> => {
      runs += 1;
      await turn();
      tell('halfway');
      return 7;
    };
    const ask = (who: string) => flights.run('k', { onProgress: (step) => heard.push(`${who} ${step}`) }, work);
    assert.deepEqual(await Promise.all([ask('a'), ask('b')]), [7, 7]);
    assert.equal(runs, 1);
    assert.deepEqual(heard.sort(), ['a halfway', 'b halfway']);
    await ask('c');
    assert.equal(runs, 2);
  });

  it('fails for all, and is done anew for who asks later', async () => {
    const flights = new SingleFlight<number>();
    const fail = () => flights.run('k', {}, () => Promise.reject(new Error('no')));
    const results = await Promise.allSettled([fail(), fail()]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ['rejected', 'rejected'],
    );
    assert.equal(await flights.run('k', {}, () => Promise.resolve(1)), 1);
  });

  it('goes on when one of two gives up, and is aborted when the last does', async () => {
    const flights = new SingleFlight<void>();
    const [first, second] = [new AbortController(), new AbortController()];
    let inner: AbortSignal | undefined;
    const ask = (signal: AbortSignal) =>
      flights.run('k', { signal }, (shared) => {
        inner = shared;
        return new Promise(() => undefined);
      });
    const both = [ask(first.signal), ask(second.signal)].map((one) => one.catch((error: Error) => error.message));
    first.abort(new Error('one'));
    assert.equal(await both[0], 'one');
    assert.equal(inner?.aborted, false);
    second.abort(new Error('two'));
    assert.equal(await both[1], 'two');
    assert.equal(inner?.aborted, true);
  });
});

describe('the semaphore', () => {
  it('lets in as many as it has places, in order', async () => {
    const semaphore = new Semaphore(1);
    const order: string[] = [];
    const release = await semaphore.acquire();
    const waiting = ['b', 'c'].map(async (who) => {
      const done = await semaphore.acquire();
      order.push(who);
      done();
    });
    await turn();
    assert.deepEqual(order, []);
    release();
    release();
    await Promise.all(waiting);
    assert.deepEqual(order, ['b', 'c']);
  });

  it('forgets a waiter that gives up', async () => {
    const semaphore = new Semaphore(1);
    const release = await semaphore.acquire();
    const controller = new AbortController();
    const waiting = semaphore.acquire(controller.signal);
    controller.abort(new Error('enough'));
    await assert.rejects(waiting, /enough/);
    release();
    (await semaphore.acquire())();
  });
});
