import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Delta } from '../../fleet/agent-wire.ts';
import { type AgentHost, agentHost } from '../support/agents/agent-host.ts';
import { until } from '../support/until.ts';

const LOADED = fileURLToPath(new URL('../support/agents/deadly-decky.cjs', import.meta.url));
const ended = (deltas: readonly Delta[]): Delta[] => deltas.filter(({ status }) => status !== 'running');

describe('an agent that dies at an order', function () {
  this.timeout(120_000);
  let host: AgentHost;
  /** The supervisor of the agent, which starts it again whenever it has died. */
  let supervising = true;
  let starts = 0;
  let supervisor: Promise<void> = Promise.resolve();

  beforeEach(async () => {
    host = await agentHost({ engine: 'simulated' });
    supervising = true;
    starts = 0;
  });
  afterEach(async () => {
    supervising = false;
    await host.end('SIGKILL');
    await supervisor;
    await host.clean();
  });

  /** Deckies whose names match `deadly` end the agent as soon as the engine is to run them. */
  async function supervise(deadly: string, more: NodeJS.ProcessEnv = {}): Promise<void> {
    const environment = { NODE_OPTIONS: `--require ${LOADED}`, DEADLY: deadly, ...more };
    await host.start(environment);
    starts = 1;
    supervisor = (async () => {
      for (;;) {
        await host.ended();
        if (!supervising) return;
        await host.start(environment).catch(() => undefined);
        starts += 1;
      }
    })();
  }

  /** The agent may be down at the moment. */
  const call: AgentHost['call'] = async (...args) => {
    for (let tries = 0; ; tries += 1) {
      try {
        return await host.call(...args);
      } catch (error) {
        if (tries > 100) throw error;
        await sleep(100);
      }
    }
  };
  const outcomes = (): Record<string, Delta> =>
    Object.fromEntries(
      ended(host.master.deltas()).map((delta) => [delta.decky_name.slice(host.prefix.length + 1), delta]),
    );

  // proof: field-1.6-1
  it('fails the decky that ends it, brings up the others, and goes on', async () => {
    await supervise(`${host.prefix}-bad`);
    const names = ['good', 'bad', 'fine', 'well'];
    await call('POST', '/deploy', host.order(names.map((name, n) => host.decky(name, 10 + n))));
    await until('the end of 4 deckies', () => Object.keys(outcomes()).length === 4, 60_000);
    const { bad, ...others } = outcomes();
    assert.deepEqual(
      Object.values(others).map(({ status }) => status),
      ['succeeded', 'succeeded', 'succeeded'],
    );
    assert.match(bad?.error ?? '', /^AgentDied: the agent died 3 times while it worked on this order/);
    assert.ok(starts <= 6, `it was started ${starts} times`);
    await call('POST', '/deploy', host.order([host.decky('next', 20)]));
    await until('the end of the next order', () => outcomes().next?.status === 'succeeded');
  });

  // proof: field-1.6-2
  it('takes a teardown, a later order and a cancellation, though the one before ends it', async () => {
    await supervise(`${host.prefix}-bad`);
    const dead = host.order([host.decky('bad', 11), host.decky('bad2', 12)]);
    const deaths = async (n: number) => until(`${n} starts`, () => starts >= n, 30_000);
    await call('POST', '/deploy', dead);
    await deaths(2);
    const before = starts;
    const torn = await call('POST', '/teardown', { decky_id: null, deckhand: { operation_id: 't', attempt: 1 } });
    assert.equal(torn.status, 200);
    assert.ok(starts <= before + 1, 'it died more than once before the teardown got through');
    const again = { ...dead, deckhand: { ...dead.deckhand, operation_id: 'again' } };
    await call('POST', '/deploy', again);
    await deaths(starts + 1);
    const recall = host.order([host.decky('kept', 13)], { operation_id: 'again', attempt: 2, deploy: [] });
    assert.equal((await call('POST', '/deploy', recall)).status, 202);
    await until('no work', async () => (await host.status().catch(() => null))?.deckhand?.work.length === 0, 30_000);
    assert.deepEqual(
      (await host.status()).deckies.map(({ name }) => name),
      [`${host.prefix}-kept`],
    );
  });

  // proof: field-1.6-5
  it('gives up a teardown that ends it once, however often the master asks for the same one', async () => {
    await host.start();
    await host.call('POST', '/deploy', host.order([host.decky('gone', 11), host.decky('kept', 12)]));
    await until('the end of 2 deckies', () => Object.keys(outcomes()).length === 2);
    await host.end('SIGTERM');
    await supervise(`${host.prefix}-kept`);
    const ask = (operation_id: string) =>
      call('POST', '/teardown', { decky_id: `${host.prefix}-gone`, deckhand: { operation_id, attempt: 1 } });
    const first = await ask('t');
    const before = starts;
    const second = await ask('t');
    assert.deepEqual([second.status, second.body], [first.status, first.body]);
    assert.match(JSON.stringify(second.body), /AgentDied: .*died 3 times/);
    assert.equal(starts, before, 'it was tried again');
    await ask('later');
    assert.ok(starts > before, 'a later teardown was not tried');
  });

  // proof: field-1.6-3
  it('says in its log which order was in work when an error ends it', async () => {
    const order = host.order([host.decky('bad', 11)]);
    await host.start({ NODE_OPTIONS: `--require ${LOADED}`, DEADLY: `${host.prefix}-bad`, DEADLY_THROWS: '1' });
    await host.call('POST', '/deploy', order);
    assert.equal(await host.ended(), 1);
    const lines = host
      .log()
      .split('\n')
      .filter((line) => line.includes('nobody caught'));
    assert.equal(lines.length, 1);
    const { deployment_id, err } = JSON.parse(lines[0] ?? '') as { deployment_id: string; err: { message: string } };
    assert.deepEqual([deployment_id, err.message], [order.deckhand?.operation_id, 'Cannot read redirect']);
  });

  // proof: field-1.6-4
  it('removes what a kill left half-written, and nothing else', async () => {
    const state = join(host.directory, 'state');
    await host.start();
    await host.call('POST', '/deploy', host.order([host.decky('one', 11)]));
    await until('an end', () => Object.keys(outcomes()).length === 1);
    await host.end('SIGTERM');
    const uuid = 'b1a7c1de-0000-4000-8000-0123456789ab';
    const left = [
      join(host.directory, 'worker.key.0123456789ab.new'),
      join(state, 'agent-state.json.ba9876543210.new'),
      join(state, 'simulated', `project-${host.prefix}.yml.${uuid}`),
      join(state, 'simulated', `project-${host.prefix}.json.${uuid}`),
    ];
    const listed = async () =>
      (await Promise.all([host.directory, state, join(state, 'simulated')].map((folder) => readdir(folder))))
        .flat()
        .sort();
    const before = await listed();
    for (const path of left) await writeFile(path, 'half');
    await host.start();
    assert.deepEqual(await listed(), before);
  });
});

describe('the deadlines of an order', function () {
  this.timeout(60_000);
  let host: AgentHost;
  beforeEach(async () => {
    host = await agentHost({ engine: 'simulated' });
    await host.start();
  });
  afterEach(() => host.clean());

  // proof: field-1.5-1
  it('count from the begin of the work, however often the agent is started anew', async () => {
    const order = host.order([host.decky('one', 11)], {
      min_healthy_time_ms: 600_000,
      healthy_deadline_ms: 5_000,
      progress_deadline_ms: 10_000,
    });
    await host.call('POST', '/deploy', order);
    await until('work', () => host.master.deltas().length > 0);
    for (let restarts = 0; restarts < 12 && ended(host.master.deltas()).length === 0; restarts += 1) {
      await host.end('SIGTERM');
      await host.start();
      await sleep(1_000);
    }
    const [delta] = ended(host.master.deltas());
    assert.match(delta?.error ?? 'it is still running', /^HealthyDeadline/);
    const told = host.master.deltas().filter(({ status }) => status === 'running');
    assert.equal(new Set(told.map(({ sequence }) => sequence)).size, 1, '`running` was reported anew');
  });
});
