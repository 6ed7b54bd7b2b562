/** Readers of events outlive the bus: what happened while it was out of reach comes once it is back, once and in order. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { createBus } from '../../adapters/nats/bus.ts';
import { createEventLog } from '../../adapters/nats/event-log.ts';
import { createEventStream } from '../../adapters/nats/event-stream.ts';
import { testServers } from '../support/stack.ts';

const DECKY = `loss${process.pid}`;

/** Stands between the reader and the bus. */
async function cable(url: string) {
  const { hostname, port } = new URL(url);
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.pipe(other);
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
      for (const socket of sockets) socket.destroy();
      await closed;
    },
    async mend() {
      server.listen(at, '127.0.0.1');
      await once(server, 'listening');
    },
  };
}

describe('events and a bus that goes away', function () {
  this.timeout(60_000);

  it('none is missed and none comes twice; a reader that comes meanwhile is told to try again', async () => {
    const line = await cable(testServers.natsUrl);
    const bus = createBus(testServers.natsUrl, DECKY);
    const stream = createEventStream(createEventLog(line.url, DECKY));
    const wants = ({ origin }: { origin: { deckyName: string } }): boolean => origin.deckyName === DECKY;
    const publish = async (from: number, to: number): Promise<void> => {
      for (let number = from; number <= to; number += 1)
        await bus.publish({
          messageId: `${DECKY}:${number}`,
          envelope: { v: 1, id: `${number}`, topic: `decky.${DECKY}.lifecycle`, type: 'lifecycle', ts: 0, payload: {} },
          origin: { deckyName: DECKY, deploymentId: null, hostUuid: null },
        });
    };
    const reader = await stream.read({ after: null, wants });
    const seen: string[] = [];
    const until = async (count: number): Promise<void> => {
      for (const end = Date.now() + 30_000; seen.length < count; ) {
        assert.ok(Date.now() < end, `${seen.length} of ${count} events; ended: ${reader.ended}`);
        seen.push(...((await reader.take(500)) ?? []).map((event) => event.envelope.id));
      }
    };
    await publish(1, 5);
    await until(5);
    await line.cut();
    await publish(6, 15);
    await assert.rejects(stream.read({ after: 1, wants }), /can’t be reached/);
    await line.mend();
    await publish(16, 20);
    await until(20);
    assert.deepEqual(
      seen,
      Array.from({ length: 20 }, (_, index) => String(index + 1)),
    );
    await stream.close('over');
    assert.equal(reader.ended, 'over');
    await line.cut();
    await bus.close();
  });
});
