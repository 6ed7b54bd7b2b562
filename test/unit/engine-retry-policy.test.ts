import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { withRetries } from '../../engine/retry-policy.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import { growingPause } from '../../lib/concurrency.ts';

const never = new AbortController().signal;
const busy = () => new DeckhandError('EngineBusy', 'the engine is busy');
const options = (progressDeadlineMs: number, signal = never) => ({
  progressDeadlineMs,
  signal,
  abort: signal,
  onStep: () => {},
});

describe('trying again', () => {
  it('grows by doubling up to a bound, with up to half of it taken off by chance', () => {
    assert.deepEqual(
      [0, 1, 2, 10, 1_000].map((n) => growingPause(n, 1_000, 30_000, 0)),
      [1_000, 2_000, 4_000, 30_000, 30_000],
    );
    assert.equal(growingPause(0, 1_000, 30_000, 1), 500);
  });

  it('goes on after errors that may pass, and gives back what comes at last', async () => {
    let tries = 0;
    const result = await withRetries(async () => {
      tries += 1;
      if (tries < 2) throw busy();
      return tries;
    }, options(5_000));
    assert.equal(result, 2);
  });

  // proof: field-3.7-2
  it('says why, and until when, in the step and to the log', async () => {
    const [steps, told]: [string[], string[]] = [[], []];
    const began = Date.now();
    let tries = 0;
    await withRetries(
      async () => {
        tries += 1;
        if (tries < 2) throw busy();
      },
      {
        ...options(5_000),
        onStep: (step) => void steps.push(step),
        onRetry: (why, until) => void told.push(`${why}; until ${until.toISOString()}`),
      },
    );
    const [, why, until] = /^retrying: (.*); until (\S+)$/.exec(steps[0] ?? '') ?? [];
    assert.equal(why, 'the engine is busy');
    const deadline = Date.parse(until ?? '') - began;
    assert.ok(deadline > 4_000 && deadline <= 6_000, `until ${deadline} ms after the begin`);
    assert.deepEqual(told, [`the engine is busy; until ${until}`]);
  });

  it('takes a full disk for something that passes', async () => {
    let tries = 0;
    await withRetries(async () => {
      tries += 1;
      if (tries < 2) throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    }, options(5_000));
    assert.equal(tries, 2);
  });

  it('goes on after a restart with what was left, and takes no step for new that it saw before', async () => {
    const seen = new Set(['creating web']);
    const memory = {
      leftMs: 120,
      boundMs: 60_000,
      hasSeen: (step: string) => seen.has(step),
      note: async (step: string) => void seen.add(step),
    };
    const work = (steps: readonly string[]) =>
      withRetries(
        async (step, within) => {
          for (const text of steps) {
            step(text);
            await sleep(80, undefined, { signal: within });
          }
        },
        { ...options(60_000), memory },
      );
    await assert.rejects(work(['creating web', 'creating web', 'creating web']), { code: 'ProgressDeadline' });
    await work(['starting web', 'creating web', 'creating web']);
    const bounded = withRetries((step, within) => moveFor(600, step, within), {
      ...options(60_000),
      memory: { ...memory, leftMs: 60_000, boundMs: 120 },
    });
    await assert.rejects(bounded, { code: 'ProgressDeadline', message: /took too long, though something moved/ });
  });

  it('ends at once with an error that no try can cure', async () => {
    let tries = 0;
    const work = withRetries(async () => {
      tries += 1;
      throw new DeckhandError('NameTaken', 'somebody else has it');
    }, options(5_000));
    await assert.rejects(work, { code: 'NameTaken' });
    assert.equal(tries, 1);
  });

  it('gives up with the last error when there is no time for another try', async () => {
    await assert.rejects(
      withRetries(() => Promise.reject(busy()), options(100)),
      { code: 'EngineBusy', message: /the engine is busy \(tried until progress_deadline, 0\.1 s\)/ },
    );
  });

  it('ends work that does not move any more, saying what it was doing', async () => {
    const hangs = withRetries(async (step, signal) => {
      step('pulling example/honey:1');
      await sleep(60_000, undefined, { signal });
    }, options(50));
    await assert.rejects(hangs, { code: 'ProgressDeadline', message: /it was pulling example\/honey:1/ });
  });

  it('lets work go on as long as there are new steps', async () => {
    const moving = withRetries(async (step, signal) => {
      for (let n = 0; n < 7; n += 1) {
        step(`step ${n}`);
        await sleep(60, undefined, { signal });
      }
      return 'done';
    }, options(300));
    assert.equal(await moving, 'done');
  });

  it('lets a call end before it stops, unless it is abort off', async () => {
    const [stop, abort] = [new AbortController(), new AbortController()];
    const call = withRetries(
      async (_, signal) => {
        stop.abort(new Error('stopping'));
        await sleep(30, undefined, { signal });
        return 'ended';
      },
      { progressDeadlineMs: 60_000, signal: stop.signal, abort: abort.signal, onStep: () => {} },
    );
    assert.equal(await call, 'ended');
    const next = withRetries(() => Promise.resolve('begun'), {
      progressDeadlineMs: 60_000,
      signal: stop.signal,
      abort: abort.signal,
      onStep: () => {},
    });
    await assert.rejects(next, /stopping/);
  });

  it('throws the reason of an abort, in work and between tries', async () => {
    for (const work of [(signal: AbortSignal) => sleep(60_000, undefined, { signal }), () => Promise.reject(busy())]) {
      const controller = new AbortController();
      const running = withRetries((_, signal) => work(signal), options(60_000, controller.signal));
      setTimeout(() => controller.abort(new Error('stopping')), 10);
      await assert.rejects(running, (error: Error) => error.message === 'stopping' || error.name === 'AbortError');
    }
  });
});

/** Work that makes a new step every 20 ms. */
async function moveFor(ms: number, step: (text: string) => void, signal: AbortSignal): Promise<void> {
  for (let n = 0; n < ms / 20; n += 1) {
    step(`step ${n}`);
    await sleep(20, undefined, { signal });
  }
}
