import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type AgentHost, agentHost } from '../support/agents/agent-host.ts';
import { until } from '../support/until.ts';

const LOADED = fileURLToPath(new URL('../support/agents/full-disk.cjs', import.meta.url));

describe('an agent whose disk is full', function () {
  this.timeout(60_000);
  let host: AgentHost;
  let full = '';
  beforeEach(async () => {
    host = await agentHost({ engine: 'simulated' });
    full = join(host.directory, 'full');
    await host.start({ NODE_OPTIONS: `--require ${LOADED}`, FULL_DISK: full });
  });
  afterEach(() => host.clean());
  const ended = () => host.master.deltas().filter(({ status }) => status !== 'running');

  // proof: field-3.14-1
  it('refuses orders with a sentence, lives, and takes them once there is room', async () => {
    const order = host.order([host.decky('one', 11)]);
    await writeFile(full, '');
    for (const [path, body] of [
      ['/deploy', order],
      ['/teardown', { decky_id: null }],
      ['/deploy', order],
    ] as const) {
      const answer = await host.call('POST', path, body);
      assert.equal(answer.status, 503);
      assert.match(JSON.stringify(answer.body), /can’t write the order down.*ENOSPC.*Make room on its disk/);
    }
    assert.deepEqual((await host.status()).deckhand?.work, []);
    await rm(full);
    assert.equal((await host.call('POST', '/deploy', order)).status, 202);
    await until('an end', () => ended().length === 1);
    assert.equal(ended()[0]?.status, 'succeeded');
  });

  // proof: field-3.14-1
  it('goes on with an order that it took before, and says so once there is room', async () => {
    const order = host.order([host.decky('one', 11), host.decky('two', 12)], { min_healthy_time_ms: 1_000 });
    const answer = host.call('POST', '/deploy', order);
    assert.equal((await answer).status, 202);
    await writeFile(full, '');
    await sleep(2_000);
    assert.deepEqual(ended(), []);
    await rm(full);
    await until('two ends', () => ended().length === 2);
    assert.deepEqual(
      ended().map(({ status }) => status),
      ['succeeded', 'succeeded'],
    );
  });
});
