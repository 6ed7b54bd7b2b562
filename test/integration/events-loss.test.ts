/** Readers of events outlive the bus: what happened while it was out of reach comes once it is back, once and in order. */
import assert from 'node:assert/strict';
import { createBus } from '../../adapters/nats/bus.ts';
import { createEventLog } from '../../adapters/nats/event-log.ts';
import { createEventStream } from '../../adapters/nats/event-stream.ts';
import { layCable } from '../support/servers/cable.ts';
import { testServers } from '../support/stack/stack.ts';

/** A reader behind a cable, and events of one decky. */
async function scene(decky: string) {
  const { hostname, port } = new URL(testServers.natsUrl);
  const line = await layCable(hostname, Number(port));
  const bus = createBus(testServers.natsUrl, decky);
  const stream = createEventStream(createEventLog(`nats://127.0.0.1:${line.port}`, decky));
  const wants = ({ origin }: { origin: { deckyName: string } }): boolean => origin.deckyName === decky;
  const reader = await stream.read({ after: null, wants });
  const seen: string[] = [];
  return {
    line,
    seen,
    resume: () => stream.read({ after: 1, wants }),
    async publish(from: number, to: number): Promise<void> {
      for (let number = from; number <= to; number += 1)
        await bus.publish({
          messageId: `${decky}:${number}`,
          envelope: { v: 1, id: `${number}`, topic: `decky.${decky}.lifecycle`, type: 'lifecycle', ts: 0, payload: {} },
          origin: { deckyName: decky, deploymentId: null, hostUuid: null },
        });
    },
    async until(count: number): Promise<void> {
      for (const end = Date.now() + 40_000; seen.length < count; ) {
        assert.ok(Date.now() < end, `${seen.length} of ${count} events; ended: ${reader.ended}`);
        seen.push(...((await reader.take(500)) ?? []).map((event) => event.envelope.id));
      }
    },
    async close(): Promise<void> {
      await stream.close('over');
      assert.equal(reader.ended, 'over');
      await line.cut();
      await bus.close();
    },
  };
}

const numbers = (count: number): string[] => Array.from({ length: count }, (_, index) => String(index + 1));
const unavailable = { code: 'Unavailable', message: /can’t be reached/ };

describe('events and a bus that goes away', function () {
  this.timeout(90_000);

  // proof: events, event-readers
  it('none is missed and none comes twice; a reader that comes meanwhile is told to try again', async () => {
    const { line, seen, resume, publish, until, close } = await scene(`loss${process.pid}`);
    await publish(1, 5);
    await until(5);
    await line.cut();
    await publish(6, 15);
    await assert.rejects(resume(), unavailable);
    await line.mend();
    await publish(16, 20);
    await until(20);
    assert.deepEqual(seen, numbers(20));
    await close();
  });

  // proof: schemathesis, event-readers
  it('nor where it takes connections and answers nothing', async () => {
    const { line, seen, resume, publish, until, close } = await scene(`hang${process.pid}`);
    await publish(1, 5);
    await until(5);
    line.hold(true);
    await publish(6, 15);
    await assert.rejects(resume(), unavailable);
    line.letGo();
    await publish(16, 20);
    await until(20);
    assert.deepEqual(seen, numbers(20));
    await close();
  });
});
