/** What waits for one reader of events is bounded, and its end is told. */
import assert from 'node:assert/strict';
import type { StreamedEvent } from '../../adapters/nats/event-log.ts';
import { EventReader, READER_LIMIT } from '../../adapters/nats/event-stream.ts';
import { eventChunks } from '../../api/routes/events.ts';

const event = (sequence: number, deckyName = 'web-01'): StreamedEvent => ({
  sequence,
  origin: { deckyName, deploymentId: 'd', hostUuid: null },
  envelope: { v: 1, id: 'x', topic: 't', type: 'lifecycle', ts: 0, payload: {} },
});
const reading = (wants: (one: StreamedEvent) => boolean = () => true) => {
  const left: number[] = [];
  const reader = new EventReader(wants, 0, () => left.push(1));
  return { reader, left };
};
const wantsOnly =
  (name: string) =>
  ({ origin }: StreamedEvent): boolean =>
    origin.deckyName === name;
const hooks = { allowed: async () => true, left: () => undefined, outgoing: undefined };

describe('a reader of events', () => {
  it('gets what it wants, in order', async () => {
    const { reader } = reading(({ origin }) => origin.deckyName === 'a');
    for (const [sequence, name] of [
      [1, 'a'],
      [2, 'b'],
      [3, 'a'],
    ] as const)
      reader.offer([event(sequence, name)]);
    const taken = await reader.take(0);
    assert.deepEqual(
      taken?.map((one) => one.sequence),
      [1, 3],
    );
  });

  it('is cut off when too much waits, and still gets what waited', async () => {
    const { reader, left } = reading();
    for (let sequence = 1; sequence < READER_LIMIT - 5; sequence += 1) reader.offer([event(sequence)]);
    reader.offer(Array.from({ length: 10 }, (_, index) => event(READER_LIMIT - 5 + index)));
    assert.match(reader.ended ?? '', /Last-Event-ID/);
    assert.equal(left.length, 1);
    assert.equal((await reader.take(0))?.length, READER_LIMIT);
    assert.equal(await reader.take(0), null);
  });

  it('waits for room in its queue while it catches up', async () => {
    const { reader } = reading();
    const given = (async () => {
      for (let sequence = 1; sequence <= 450; sequence += 1) assert.ok(await reader.give([event(sequence)]));
    })();
    const taken: number[] = [];
    while (taken.length < 450) taken.push(...((await reader.take(100)) ?? []).map((one) => one.sequence));
    await given;
    assert.deepEqual(
      taken,
      Array.from({ length: 450 }, (_, index) => index + 1),
    );
    assert.equal(reader.ended, null);
  });

  it('says why it ends, and gives its sequence before the first event', async () => {
    const { reader } = reading();
    reader.offer([event(7)]);
    reader.end('The master stops.');
    const text = await new Response(eventChunks(reader, hooks)).text();
    assert.match(text, /^retry: 2000\nid: 0\n\nid: 7\nevent: lifecycle\ndata: \{.*"decky_name":"web-01".*\}\n\n/);
    assert.match(text, /event: end\ndata: \{"detail":"The master stops\."\}\n\n$/);
  });

  it('tells a reader what is no longer kept', async () => {
    const { reader } = reading();
    reader.missed(3, 10);
    reader.end('over');
    assert.match(
      await new Response(eventChunks(reader, hooks)).text(),
      /event: gap\ndata: .*Events 4 to 9 are no longer/,
    );
  });

  // proof: event-readers
  it('shares the text of a batch with those who have the same events only', async () => {
    const some = [event(1, 'a'), event(2, 'b'), event(3, 'a'), event(4, 'b')];
    const wants = [() => true, () => true, ...['a', 'b', 'a'].map((name) => wantsOnly(name))];
    const texts = wants.map(async (filter) => {
      const { reader } = reading(filter);
      for (const one of some) reader.offer([one]);
      reader.end('over');
      return [...(await new Response(eventChunks(reader, hooks)).text()).matchAll(/id: (\d)\nevent/g)].map(
        ([, id]) => id,
      );
    });
    const all = ['1', '2', '3', '4'];
    assert.deepEqual(await Promise.all(texts), [all, all, ['1', '3'], ['2', '4'], ['1', '3']]);
  });
});
