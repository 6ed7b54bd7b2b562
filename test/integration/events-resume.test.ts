/** Whoever resumes reads all that was missed, or is told: with a bus that answers late, and with a stream that was made anew. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { createBus } from '../../adapters/nats/bus.ts';
import { createEventLog } from '../../adapters/nats/event-log.ts';
import { createEventStream } from '../../adapters/nats/event-stream.ts';
import { EVENT_STREAM, EVENT_SUBJECTS } from '../../fleet/lifecycle.ts';
import { locateNats } from '../../stack/nats.ts';
import { layCable } from '../support/servers/cable.ts';
import { freePort } from '../support/servers/free-port.ts';
import { testDirectory } from '../support/stack/stack.ts';
import { until } from '../support/until.ts';

async function ownNats() {
  const port = await freePort();
  const directory = testDirectory('nats');
  const child = spawn(locateNats() ?? 'nats-server', ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', directory], {
    stdio: 'ignore',
  });
  const url = `nats://127.0.0.1:${port}`;
  await until('NATS', () =>
    connect({ servers: url, reconnect: false }).then(
      (nc) => nc.close().then(() => true),
      () => null,
    ),
  );
  return {
    url,
    port,
    async stop(): Promise<void> {
      const exit = once(child, 'exit');
      child.kill('SIGKILL');
      await exit;
    },
  };
}

describe('who resumes', function () {
  this.timeout(90_000);
  let nats: Awaited<ReturnType<typeof ownNats>>;
  beforeEach(async () => {
    nats = await ownNats();
  });
  afterEach(() => nats.stop());

  const wants = (): boolean => true;
  async function publish(from: number, to: number): Promise<void> {
    const bus = createBus(nats.url);
    for (let number = from; number <= to; number += 1)
      await bus.publish({
        messageId: `m${number}`,
        envelope: { v: 1, id: `${number}`, topic: 'decky.a.lifecycle', type: 'lifecycle', ts: 0, payload: {} },
        origin: { deckyName: 'a', deploymentId: null, hostUuid: null },
      });
    await bus.close();
  }
  async function idsOf(reader: Awaited<ReturnType<ReturnType<typeof createEventStream>['read']>>, count: number) {
    const ids: string[] = [];
    while (ids.length < count) {
      const events = await reader.take(20_000);
      if (events === null || events.length === 0) break;
      ids.push(...events.map(({ envelope }) => envelope.id));
    }
    return ids;
  }
  const numbers = (from: number, to: number): string[] =>
    Array.from({ length: to - from + 1 }, (_, index) => String(from + index));

  // proof: field-3.6-1
  it('reads all that was missed where the bus answers later than a second', async () => {
    await publish(1, 95);
    const cable = await layCable('127.0.0.1', nats.port);
    const stream = createEventStream(createEventLog(`nats://127.0.0.1:${cable.port}`, 'late'));
    await stream.read({ after: null, wants });
    cable.delay(1_300);
    const reader = await stream.read({ after: 0, wants });
    assert.equal(reader.gap, null);
    assert.deepEqual(await idsOf(reader, 95), numbers(1, 95));
    cable.delay(0);
    await stream.close('over');
    await cable.close();
  });

  // proof: field-3.6-1
  it('is told of a gap where the stream was made anew, however many events it has again', async () => {
    await publish(1, 5);
    const before = createEventStream(createEventLog(nats.url, 'before'));
    const first = await before.read({ after: 0, wants });
    const seen = (await first.take(10_000)) ?? [];
    await before.close('over');
    const nc = await connect({ servers: nats.url });
    const manager = await jetstreamManager(nc);
    await manager.streams.delete(EVENT_STREAM);
    await manager.streams.add({ name: EVENT_STREAM, subjects: [EVENT_SUBJECTS] });
    await nc.close();
    await publish(11, 30);
    const after = createEventStream(createEventLog(nats.url, 'after'));
    const reader = await after.read({ after: seen.at(-1)?.sequence ?? 0, wants });
    assert.match(reader.gap ?? '', /no longer kept/);
    assert.deepEqual(await idsOf(reader, 20), numbers(11, 30));
    await after.close('over');
  });

  it('and who stayed connected goes on with a stream that was made anew', async () => {
    await publish(1, 5);
    const stream = createEventStream(createEventLog(nats.url, 'stays'));
    const reader = await stream.read({ after: null, wants });
    const nc = await connect({ servers: nats.url });
    const manager = await jetstreamManager(nc);
    await manager.streams.delete(EVENT_STREAM);
    await manager.streams.add({ name: EVENT_STREAM, subjects: [EVENT_SUBJECTS] });
    await nc.close();
    await publish(11, 13);
    assert.deepEqual(await idsOf(reader, 3), numbers(11, 13));
    await stream.close('over');
  });
});
