/** What the worker's log says of events that can't be sent. */
import assert from 'node:assert/strict';
import { loggedDrain, SendLog } from '../../worker/outbox-relay.ts';

describe('the log of sending', () => {
  const going = new AbortController().signal;
  function watched(results: (number | string)[]) {
    const lines: string[] = [];
    let clock = 0;
    const logger = {
      warn: (line: string) => void lines.push(`warn ${line}`),
      info: (_: object, line: string) => void lines.push(`info ${line}`),
    };
    const log = new SendLog(logger as unknown as ConstructorParameters<typeof SendLog>[0], () => clock);
    const drain = loggedDrain(async () => {
      const result = results.shift() ?? 0;
      if (typeof result === 'string') throw new Error(result);
      return result;
    }, log);
    return {
      lines,
      pass: (ms: number) => {
        clock += ms;
      },
      rounds: async (count: number, signal = going) => {
        for (let round = 0; round < count; round += 1) await drain(signal).catch(() => undefined);
      },
    };
  }

  // proof: field-3.5-6
  it('tells a reason when it changes, not at each retry', async () => {
    const { lines, rounds } = watched(['no room', 'no room', 'no rights', 'no room']);
    await rounds(4);
    assert.deepEqual(
      lines,
      ['no room', 'no rights', 'no room'].map((reason) => `warn events are not sent, and retried: ${reason}`),
    );
  });
  it('tells once that events are sent again; a round without events tells nothing', async () => {
    const { lines, rounds } = watched([3, 'no room', 0, 'no room', 2, 2]);
    await rounds(6);
    assert.deepEqual(lines, ['warn events are not sent, and retried: no room', 'info events are sent again']);
  });
  it('tells a reason that stays again after ten minutes', async () => {
    const { lines, rounds, pass } = watched(['no room', 'no room', 'no room']);
    await rounds(2);
    pass(600_000);
    await rounds(1);
    assert.equal(lines.length, 2);
  });
  it('says nothing of a round that the end of the worker cut short', async () => {
    const { lines, rounds } = watched(['aborted']);
    await rounds(1, AbortSignal.abort());
    assert.deepEqual(lines, []);
  });
});
