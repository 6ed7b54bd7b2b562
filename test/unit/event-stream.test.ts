/** How events of one consumer are dealt to many readers, in memory; on a real bus: test/integration/events.test.ts. */
import assert from 'node:assert/strict';
import type { EventLog, StreamedEvent } from '../../adapters/nats/event-log.ts';
import { createEventStream, type EventReader } from '../../adapters/nats/event-stream.ts';

const event = (sequence: number): StreamedEvent => ({
  sequence,
  origin: { deckyName: 'web-01', deploymentId: 'd', hostUuid: null },
  envelope: { v: 1, id: 'x', topic: 't', type: 'lifecycle', ts: 0, payload: {} },
});
const range = (from: number, to: number): StreamedEvent[] =>
  Array.from({ length: to - from + 1 }, (_, index) => event(from + index));

/** What is stored, and what the consumer of this process has got of it. */
class ScriptedLog implements EventLog {
  stored: StreamedEvent[] = [];
  #wake: () => void = () => undefined;
  #waiting: StreamedEvent[] = [];
  #lost = false;

  deliver(events: readonly StreamedEvent[]): void {
    this.#waiting.push(...events);
    this.#wake();
  }
  lose(): void {
    this.#lost = true;
    this.#wake();
  }
  async bounds(): Promise<{ first: number; last: number }> {
    return { first: this.stored[0]?.sequence ?? 1, last: this.stored.at(-1)?.sequence ?? 0 };
  }
  async size(): Promise<{ events: number; bytes: number }> {
    return { events: this.stored.length, bytes: 0 };
  }
  async *follow(_after: number, signal: AbortSignal): AsyncGenerator<StreamedEvent> {
    signal.addEventListener('abort', () => this.lose());
    for (this.#lost = false; !this.#lost && !signal.aborted; ) {
      yield* this.#waiting.splice(0);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
  async *between(after: number, until: number): AsyncGenerator<StreamedEvent> {
    yield* this.stored.filter(({ sequence }) => sequence > after && sequence <= until);
  }
  async close(): Promise<void> {}
}

describe('a stream of events', () => {
  const scene = (stored: StreamedEvent[]) => {
    const log = new ScriptedLog();
    log.stored = stored;
    return { log, stream: createEventStream(log) };
  };
  const all = (): boolean => true;
  const taken = async (reader: EventReader): Promise<number[] | undefined> =>
    (await reader.take(10_000))?.map(({ sequence }) => sequence);

  // proof: event-readers
  it('hands out together what comes close together', async () => {
    const { log, stream } = scene([]);
    const reader = await stream.read({ after: null, wants: all });
    const taking = taken(reader);
    log.deliver([event(1)]);
    // Microtasks only: no timer can end in between.
    for (let turn = 0; turn < 50; turn += 1) await null;
    log.deliver([event(2)]);
    assert.deepEqual(await taking, [1, 2]);
    await stream.close('over');
  });

  it('hands out what it has gathered before it ends', async () => {
    const { log, stream } = scene([]);
    const reader = await stream.read({ after: null, wants: all });
    log.deliver([event(1)]);
    for (let turn = 0; turn < 50; turn += 1) await null;
    await stream.close('The master stops.');
    assert.deepEqual(await taken(reader), [1]);
    assert.equal(await reader.take(0), null);
  });

  it('hands a backlog out in order, joined to what comes', async () => {
    const { log, stream } = scene(range(1, 450));
    const reader = await stream.read({ after: 0, wants: all });
    log.deliver(range(449, 455));
    const seen: number[] = [];
    while (seen.length < 455) seen.push(...((await taken(reader)) ?? []));
    assert.deepEqual(
      seen,
      range(1, 455).map(({ sequence }) => sequence),
    );
    await stream.close('over');
  });

  // proof: event-readers
  it('repeats nothing to who comes from another API that is ahead of this one', async () => {
    const { log, stream } = scene(range(1, 3));
    const early = await stream.read({ after: null, wants: all });
    log.stored = range(1, 5);
    const ahead = await stream.read({ after: 5, wants: all });
    log.deliver(range(4, 6));
    assert.deepEqual(await taken(early), [4, 5, 6]);
    assert.deepEqual(await taken(ahead), [6]);
    await stream.close('over');
  });

  it('goes on for everybody with a stream that was made anew', async () => {
    const { log, stream } = scene(range(1, 9));
    const reader = await stream.read({ after: null, wants: all });
    const late = await stream.read({ after: 9, wants: all });
    log.stored = [event(1)];
    log.deliver([event(1)]);
    log.lose();
    assert.deepEqual(await taken(reader), [1]);
    assert.deepEqual(await taken(late), [1]);
    const never = await stream.read({ after: 9, wants: all });
    assert.match(never.gap ?? '', /made anew/);
    assert.equal(never.from, 1);
    await stream.close('over');
  });
});
