/** Readers of events outlive the bus: what happened while it was out of reach comes once it is back, once and in order. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { createBus } from '../../adapters/nats/bus.ts';
import { createEventLog } from '../../adapters/nats/event-log.ts';
import { createEventStream } from '../../adapters/nats/event-stream.ts';
import { testServers } from '../support/stack.ts';

/** Stands between the reader and the bus. */
async function cable(url: string) {
  const { hostname, port } = new URL(url);
  const ways = new Map<Socket, Socket>();
  let held = false;
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      ways.set(one, other);
      if (!held) one.pipe(other);
      one.on('error', () => undefined).on('close', () => other.destroy());
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const at = (server.address() as AddressInfo).port;
  return {
    url: `nats://127.0.0.1:${at}`,
    async cut() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of ways.keys()) socket.destroy();
      await closed;
    },
    /** Connections are taken, and nothing comes through. */
    hold() {
      held = true;
      for (const [one, other] of ways) one.unpipe(other);
    },
    letGo() {
      held = false;
      for (const [one, other] of ways) one.pipe(other);
    },
    async mend() {
      server.listen(at, '127.0.0.1');
      await once(server, 'listening');
    },
  };
}

/** A reader behind a cable, and events of one decky. */
async function scene(decky: string) {
  const line = await cable(testServers.natsUrl);
  const bus = createBus(testServers.natsUrl, decky);
  const stream = createEventStream(createEventLog(line.url, decky));
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

  it('nor where it takes connections and answers nothing', async () => {
    const { line, seen, resume, publish, until, close } = await scene(`hang${process.pid}`);
    await publish(1, 5);
    await until(5);
    line.hold();
    await publish(6, 15);
    await assert.rejects(resume(), unavailable);
    line.letGo();
    await publish(16, 20);
    await until(20);
    assert.deepEqual(seen, numbers(20));
    await close();
  });
});
