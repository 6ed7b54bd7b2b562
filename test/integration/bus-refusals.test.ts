/** What NATS refuses is told in its own words, and a stream is made as large as there is room. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createBus } from '../../adapters/nats/bus.ts';
import { locateNats } from '../../stack/nats.ts';
import { freePort } from '../support/servers/free-port.ts';
import { testDirectory } from '../support/stack/stack.ts';
import { until } from '../support/until.ts';

describe('a bus that refuses', function () {
  this.timeout(60_000);
  let child: ChildProcess | undefined;
  afterEach(async () => {
    if (!child) return;
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
  });

  /** What a ping ends with; null where all is well. */
  async function pinged(config: (directory: string) => string): Promise<string | null> {
    const directory = testDirectory('refusing');
    const port = await freePort();
    const file = join(directory, 'nats.conf');
    writeFileSync(file, `listen: "127.0.0.1:${port}"\n${config(directory)}`);
    child = spawn(locateNats() ?? 'nats-server', ['-c', file], { stdio: 'ignore' });
    const bus = createBus(`nats://127.0.0.1:${port}`);
    const end = await until('an answer', async () => {
      const said = await bus.ping().then(
        () => 'ok',
        (error: Error) => error.message,
      );
      return /can’t be reached/.test(said) ? null : said;
    });
    await bus.close();
    return end === 'ok' ? null : end;
  }

  // proof: field-3.5-1
  it('gets a smaller stream where there is too little room for the usual one', async () => {
    assert.equal(await pinged((directory) => `jetstream { store_dir: "${directory}", max_file_store: 900MB }`), null);
  });
  it('is told in its own words where there is too little room for any', async () => {
    const said = await pinged((directory) => `jetstream { store_dir: "${directory}", max_file_store: 1MB }`);
    assert.match(said ?? '', /can’t keep events: insufficient storage/);
  });
  it('is told where it has no JetStream', async () => {
    assert.match((await pinged(() => '')) ?? '', /has no JetStream/);
  });
  // proof: field-3.5-1
  it('is told where it does not let Deckhand in', async () => {
    assert.match(
      (await pinged(() => 'authorization { user: a, password: b }')) ?? '',
      /refuses Deckhand: .*Authorization/,
    );
  });
});
