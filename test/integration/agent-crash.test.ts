import assert from 'node:assert/strict';
import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mutateOrder } from '../../agent/bodies.ts';
import type { AgentState, OrderRecord } from '../../agent/state.ts';
import type { Delta } from '../../fleet/agent-wire.ts';
import { type AgentHost, agentHost } from '../support/agents/agent-host.ts';
import { engineProxy } from '../support/docker/engine-proxy.ts';
import { until } from '../support/until.ts';

/** Milliseconds after the 202: before the first container, between them, while they grow old enough, at the end. */
const MOMENTS = [0, 150, 400, 700, 1_000];

const ended = (deltas: readonly Delta[]): Delta[] => deltas.filter(({ status }) => status !== 'running');

describe('the agent when something dies', () => {
  let host: AgentHost;
  beforeEach(async () => {
    host = await agentHost();
    await host.start();
  });
  afterEach(() => host?.clean());

  // proof: gap-a4
  it('A5: goes on with what it took when it is killed at any moment, and reports each decky once', async () => {
    const operations: string[] = [];
    for (const [round, moment] of MOMENTS.entries()) {
      const deckies = ['a', 'b', 'c', 'd'].map((name, n) =>
        host.decky(`${name}${round}`, 10 + n, { services: ['http', 'ssh'] }),
      );
      const order = host.order(deckies);
      operations.push(order.deckhand?.operation_id ?? '');
      assert.equal((await host.call('POST', '/deploy', order)).status, 202);
      await sleep(moment);
      await host.end('SIGKILL');
      await host.start();
      const mine = () => ended(host.master.deltas()).filter((delta) => delta.operation_id === operations[round]);
      await until(
        'four reports, all acknowledged',
        async () => mine().length >= 4 && (await host.status()).deckhand?.unreported === 0,
      );
      assert.deepEqual(
        mine()
          .map(({ decky_name, status }) => `${decky_name} ${status}`)
          .sort(),
        deckies.map(({ name }) => `${name} succeeded`),
        `killed after ${moment} ms`,
      );
      // The set replaces the one before: nothing of it, and nothing half-made, is left.
      const expected = deckies.flatMap(({ name }) => [name, `${name}-http`, `${name}-ssh`]).sort();
      assert.deepEqual(Object.keys(await host.containers()).sort(), expected);
    }
    const sequences = ended(host.master.deltas()).map(({ sequence }) => sequence);
    assert.equal(new Set(sequences).size, sequences.length, 'a number was used twice');
  }).timeout(150_000);

  it('keeps what a failed mutation went back to when it is killed before that order has left the queue', async () => {
    const decky = host.decky('one', 11);
    const order = host.order([decky]);
    const idle = () => until('an agent without work', async () => (await host.status()).deckhand?.work.length === 0);
    await host.call('POST', '/deploy', order);
    await idle();
    const { deckhand } = order;
    assert.ok(deckhand);
    const services = ['no-such-service'];
    const fence = { ...deckhand, operation_id: `m-${host.prefix}` };
    const body = { decky_id: decky.name, services, dry_run: false, deckhand: { ...fence, custom_services: {} } };
    await host.call('POST', '/mutate', body);
    await until('the end of the mutation', () => ended(host.master.deltas()).length === 2);
    assert.deepEqual(
      ended(host.master.deltas()).map(({ status }) => status),
      ['succeeded', 'failed'],
    );
    const file = join(host.directory, 'state', 'agent-state.json');
    // Killed before it has written that the master took a report, it sends that one again, as it should.
    await until('an agent with nothing left to do or to report on its disk', async () => {
      const { orders, outbox } = JSON.parse(await readFile(file, 'utf8')) as AgentState;
      return orders.length === 0 && outbox.length === 0;
    });
    await host.end('SIGKILL');
    await queueAgain(file, mutateOrder(body, new Date()));
    await host.start();
    await idle();
    assert.deepEqual(
      (await host.status()).deckies.map((one) => one.services),
      [['http']],
    );
    assert.deepEqual(Object.keys(await host.containers()).sort(), [decky.name, `${decky.name}-http`]);
    assert.equal(ended(host.master.deltas()).length, 2, 'it was reported twice');
  });

  // proof: promise-3, gap-a4
  it('A6: keeps what the master has not acknowledged, also when it is killed itself, and delivers it later', async () => {
    await host.master.away();
    const order = host.order([host.decky('one', 11), host.decky('two', 12)]);
    assert.equal((await host.call('POST', '/deploy', order)).status, 202);
    await until('an agent without work', async () => (await host.status()).deckhand?.work.length === 0);
    assert.equal((await host.status()).deckhand?.unreported, 2);
    await host.end('SIGKILL');
    await host.start();
    assert.equal((await host.status()).deckhand?.unreported, 2);
    assert.deepEqual(host.master.deltas(), []);
    await host.master.back();
    await until('two deltas', () => host.master.deltas().length >= 2);
    // What merely ran is not told any more once it has ended.
    assert.deepEqual(
      host.master.deltas().map(({ status }) => status),
      ['succeeded', 'succeeded'],
    );
    await until('reports that are acknowledged', async () => (await host.status()).deckhand?.unreported === 0);
    assert.equal((await host.status()).deckhand?.unreported, 0);
  });

  it('A6: repeats what was answered 503, not before Retry-After, and once it is taken never again', async () => {
    let refusals = 0;
    const times: number[] = [];
    host.master.answer = (_path, body) => {
      if (!(body as { lifecycle?: unknown }).lifecycle) return { status: 204 };
      times.push(performance.now());
      refusals += 1;
      return refusals === 1 ? { status: 503, headers: { 'retry-after': '2' } } : { status: 204 };
    };
    await host.call('POST', '/deploy', host.order([host.decky('one', 11)]));
    await until('the end of a decky', () => ended(host.master.deltas()).length > 0);
    await until('reports that are acknowledged', async () => (await host.status()).deckhand?.unreported === 0);
    await host.end('SIGTERM');
    await host.start();
    await until('a heartbeat without deltas', () => host.master.heartbeats.some(({ body }) => !body.lifecycle));
    assert.equal(ended(host.master.deltas()).length, 1);
    assert.ok((times[1] ?? 0) - (times[0] ?? 0) >= 2_000, 'Retry-After was not honoured');
  });

  it('stops politely, keeps what it had not done, and goes on with it', async () => {
    const order = host.order([host.decky('one', 11), host.decky('two', 12)], { min_healthy_time_ms: 3_000 });
    await host.call('POST', '/deploy', order);
    await until('a container', async () => Object.keys(await host.containers()).length > 0);
    assert.equal(await host.end('SIGTERM'), 0);
    assert.deepEqual(ended(host.master.deltas()), []);
    await host.start();
    await until('the end of 2 deckies', () => ended(host.master.deltas()).length === 2);
    assert.deepEqual(
      ended(host.master.deltas()).map(({ status }) => status),
      ['succeeded', 'succeeded'],
    );
  });

  it('says in its status that the engine is away, and gives a decky up when it stays away', async () => {
    const [one, two] = [host.decky('one', 11), host.decky('two', 12)];
    await host.call('POST', '/deploy', host.order([one]));
    await until('the end of a decky', () => ended(host.master.deltas()).length === 1);
    await host.end('SIGTERM');
    await host.start({ DOCKER_HOST: 'unix:///nowhere/docker.sock' });
    const status = await host.status();
    assert.deepEqual(
      status.deckies.map(({ name }) => name),
      [one.name],
    );
    assert.deepEqual(status.runtime, {});
    const order = host.order([one, two], { deploy: [two.name], progress_deadline_ms: 2_000 });
    await host.call('POST', '/deploy', order);
    await until('the end of 2 deckies', () => ended(host.master.deltas()).length === 2);
    const delta = ended(host.master.deltas())[1];
    assert.deepEqual([delta?.decky_name, delta?.status], [two.name, 'failed']);
    assert.match(delta?.error ?? '', /^EngineUnreachable: .*tried until progress_deadline.*nothing was changed/);
  });

  it('takes down what goes where it can’t tell its network, and says what to set', async () => {
    const [stays, goes, comes] = [host.decky('stays', 11), host.decky('goes', 12), host.decky('comes', 13)];
    await host.call('POST', '/deploy', host.order([stays, goes]));
    await until('the end of 2 deckies', () => ended(host.master.deltas()).length === 2);
    await host.end('SIGTERM');
    // The gateway of this machine is not in that subnet.
    await host.start({ DECKHAND_NETWORK: 'macvlan', DECKHAND_AGENT_NET: '203.0.113.0/30' });
    host.master.heartbeats.length = 0;
    await host.call('POST', '/deploy', host.order([stays, comes], { deploy: [comes.name], remove: [goes.name] }));
    await until('the end of 2 deckies', () => ended(host.master.deltas()).length === 2);
    const outcome = Object.fromEntries(ended(host.master.deltas()).map((delta) => [delta.decky_name, delta]));
    assert.equal(outcome[goes.name]?.status, 'succeeded');
    assert.match(outcome[comes.name]?.error ?? '', /^NetworkConflict: .*DECKHAND_AGENT_NET/);
    assert.deepEqual(Object.keys(await host.containers()).sort(), [stays.name, `${stays.name}-http`]);
  });

  it('goes on when the engine was away in the middle of the work', async function () {
    // Two waits of 30 s and a start: beside other work on the machine that was more than a minute once.
    this.timeout(150_000);
    const proxy = await engineProxy(host.dockerHost);
    try {
      await host.end('SIGTERM');
      await host.start({ DOCKER_HOST: proxy.host });
      await host.call('POST', '/deploy', host.order([host.decky('one', 11), host.decky('two', 12)]));
      await until('calls of the engine', () => proxy.connections > 3);
      await proxy.away();
      await until('an engine that does not answer', async () =>
        JSON.stringify((await host.status()).deckhand?.deckies).includes('does not answer'),
      );
      await proxy.back();
      await until('the end of 2 deckies', () => ended(host.master.deltas()).length === 2, 60_000);
      assert.deepEqual(
        ended(host.master.deltas()).map(({ status, error }) => [status, error]),
        [
          ['succeeded', undefined],
          ['succeeded', undefined],
        ],
      );
    } finally {
      await proxy.close();
    }
  });

  it('refuses what it can’t write down, for now, and has forgotten it then', async () => {
    const state = join(host.directory, 'state');
    const order = host.order([host.decky('one', 11)]);
    await rename(state, `${state}.aside`);
    const answers = await Promise.all([host.call('POST', '/deploy', order), host.call('POST', '/deploy', order)]);
    assert.deepEqual(
      answers.map(({ status }) => status),
      [503, 503],
    );
    assert.match(JSON.stringify(answers[0]?.body), /This host can’t write the order down.*Make room on its disk/);
    assert.deepEqual((await host.status()).deckhand?.work, []);
    await rename(`${state}.aside`, state);
    assert.deepEqual(host.master.deltas(), []);
    assert.equal((await host.call('POST', '/deploy', order)).status, 202);
    await until('the end of a decky', () => ended(host.master.deltas()).length === 1);
    assert.equal(ended(host.master.deltas())[0]?.status, 'succeeded');
  });

  it('begins anew when its state can’t be read, and keeps that file', async () => {
    const order = host.order([host.decky('one', 11)]);
    await host.call('POST', '/deploy', order);
    await until('the end of a decky', () => ended(host.master.deltas()).length === 1);
    const before = await host.containers();
    await host.end('SIGKILL');
    const file = join(host.directory, 'state', 'agent-state.json');
    await writeFile(file, '{"version":1,"seq');
    await host.start();
    assert.equal((await host.status()).deployed, false);
    const files = await readdir(join(host.directory, 'state'));
    assert.ok(files.some((name) => name.includes('.unreadable-')));
    // As a master does that finds nothing known: the same set, anew. What runs is found as it should be.
    const { deckhand } = order;
    assert.ok(deckhand);
    await host.call('POST', '/deploy', { ...order, deckhand: { ...deckhand, attempt: 2 } });
    await until('the end of the second attempt', () =>
      ended(host.master.deltas()).some(({ attempt }) => attempt === 2),
    );
    assert.deepEqual(await host.containers(), before);
  });

  it('removes its own containers and stops when it is told to destroy itself, and nothing else', async () => {
    await host.call('POST', '/deploy', host.order([host.decky('one', 11)]));
    await until('the end of a decky', () => ended(host.master.deltas()).length === 1);
    const answer = await host.call('POST', '/self-destruct');
    assert.deepEqual(answer, { status: 200, body: { status: 'self_destruct_scheduled' } });
    assert.equal(await host.ended(), 0);
    assert.deepEqual(await host.containers(), {});
    await host.start();
    assert.equal((await host.status()).deployed, false);
  });
});

/** As it stands on disk between the note of the last outcome and the end of the order. */
async function queueAgain(file: string, order: OrderRecord): Promise<void> {
  const state = JSON.parse(await readFile(file, 'utf8')) as AgentState;
  await writeFile(file, JSON.stringify({ ...state, orders: [order] }));
}
