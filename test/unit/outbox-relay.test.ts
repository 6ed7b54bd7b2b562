/** Who sends the outbox: soon, together, and until it is sent. */
import assert from 'node:assert/strict';
import { OutboxRelay } from '../../worker/outbox-relay.ts';

const settled = (turns = 20): Promise<void> =>
  Array.from({ length: turns }).reduce<Promise<void>>((before) => before.then(() => undefined), Promise.resolve());

function promised(): { kept: Promise<void>; keep: () => void } {
  let keep: () => void = () => undefined;
  const kept = new Promise<void>((resolve) => {
    keep = resolve;
  });
  return { kept, keep };
}

describe('the outbox relay', () => {
  const NEVER = 3_600_000;

  it('makes one more round of all notifies that come while it sends', async () => {
    const rounds: (() => void)[] = [];
    const relay = new OutboxRelay(() => new Promise<number>((resolve) => rounds.push(() => resolve(0))));
    for (let notify = 0; notify < 3; notify += 1) relay.notify();
    assert.equal(rounds.length, 1);
    rounds[0]?.();
    await settled();
    assert.equal(rounds.length, 2);
    rounds[1]?.();
    await settled();
    assert.equal(rounds.length, 2);
    await relay.stop();
  });

  it('tries again by itself while the bus takes nothing, and rests once it has taken all', async () => {
    let rounds = 0;
    const allSent = promised();
    const drain = async (): Promise<number> => {
      rounds += 1;
      if (rounds < 3) throw new Error('NATS can’t be reached');
      allSent.keep();
      return 0;
    };
    const relay = new OutboxRelay(drain, { lookMs: NEVER, retryMs: 1, longestRetryMs: 2 });
    relay.notify();
    await allSent.kept;
    await settled();
    assert.equal(rounds, 3);
    await relay.stop();
  });

  it('looks by itself for what others wrote, until it is stopped', async () => {
    let rounds = 0;
    const twice = promised();
    const drain = async (): Promise<number> => {
      rounds += 1;
      if (rounds === 2) twice.keep();
      return 0;
    };
    const relay = new OutboxRelay(drain, { lookMs: 1, retryMs: NEVER, longestRetryMs: NEVER });
    await twice.kept;
    await relay.stop();
    const atStop = rounds;
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(rounds, atStop);
  });

  it('can be stopped while it waits to try again', async () => {
    const relay = new OutboxRelay(
      async () => {
        throw new Error('NATS can’t be reached');
      },
      { lookMs: NEVER, retryMs: NEVER, longestRetryMs: NEVER },
    );
    relay.notify();
    await settled();
    await relay.stop();
  });

  // proof: field-1.7-2
  it('sends once for all who ask while a round is under way, and tells each', async () => {
    const rounds: ((sent: number) => void)[] = [];
    const relay = new OutboxRelay(() => new Promise<number>((resolve) => rounds.push(resolve)));
    relay.notify();
    const asked = Array.from({ length: 12 }, () => relay.flush());
    await settled();
    assert.equal(rounds.length, 1);
    rounds[0]?.(3);
    await settled();
    assert.equal(rounds.length, 2);
    rounds[1]?.(7);
    assert.deepEqual(await Promise.all(asked), Array(12).fill(7));
    await relay.stop();
  });

  it('tells all who ask why a round failed, and does not make the next one wait', async () => {
    let rounds = 0;
    const relay = new OutboxRelay(
      async () => {
        rounds += 1;
        throw new Error(`round ${rounds} failed`);
      },
      { lookMs: NEVER, retryMs: NEVER, longestRetryMs: NEVER },
    );
    await assert.rejects(relay.flush(), /round 1 failed/);
    await assert.rejects(relay.flush(), /round 2 failed/);
    await relay.stop();
    await assert.rejects(relay.flush());
  });
});
