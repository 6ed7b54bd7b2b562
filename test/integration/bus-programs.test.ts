/** The programs themselves on a NATS that refuses: the API is not ready and says why, the worker's log has the reason, both end when asked. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { isReady } from '../../stack/programs.ts';
import { type ProgramName, programArguments } from '../../stack/root.ts';
import { createTestDatabase, type TestDatabase } from '../support/servers/database.ts';
import { type NatsServer, startNats } from '../support/servers/nats-server.ts';
import { testDirectory, testServers } from '../support/stack/stack.ts';
import { until } from '../support/until.ts';

const PATIENCE_MS = 90_000;
const withRoom = (room: string) => (directory: string) =>
  `jetstream { store_dir: "${directory}", max_file_store: ${room} }`;

describe('the programs on a bus of their own', function () {
  this.timeout(180_000);
  let database: TestDatabase;
  let nats: NatsServer;
  let children: ChildProcess[];
  beforeEach(async () => {
    children = [];
    database = await createTestDatabase();
  });
  afterEach(async () => {
    nats.signal('SIGCONT');
    for (const child of children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await nats.stop();
    await database.drop();
  });

  function run(program: ProgramName): { child: ChildProcess; output: () => string } {
    const id = `b${randomBytes(4).toString('hex')}`;
    const child = spawn(process.execPath, programArguments(program), {
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        DATABASE_URL: database.url,
        DECKHAND_DB_SCHEMA: database.schema,
        TEMPORAL_ADDRESS: testServers.temporalAddress,
        NATS_URL: nats.url,
        DECKHAND_HOME: testDirectory(id),
        DECKHAND_TASK_QUEUE: id,
        DECKHAND_PROJECT: id,
        DECKHAND_INSTANCE: id,
        DECKHAND_ENGINE: 'simulated',
        DECKHAND_API_PORT: '0',
        DECKHAND_SWARM_PORT: '0',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.push(child);
    let text = '';
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => (text += chunk.toString()));
    return { child, output: () => text };
  }
  async function ended(child: ChildProcess): Promise<number | null> {
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    return (await exit)[0];
  }

  // proof: field-3.5-5
  it('that refuses: the API is not ready and says why, and is ready once that is mended', async () => {
    nats = await startNats(withRoom('1MB'));
    const { child, output } = run('api');
    const port = await until('the API', () => /"port":(\d+),"msg":"api listens"/.exec(output())?.[1], PATIENCE_MS);
    const url = `http://127.0.0.1:${port}`;
    const missing = (): Promise<string> => isReady(url).then(String, (error: Error) => error.message);
    const said = await until('the reason alone', async () => {
      const sentence = await missing();
      return sentence.startsWith('nats: ') ? sentence : null;
    });
    assert.match(said, /^nats: NATS at .* can’t keep events: insufficient storage/);
    await nats.stop();
    await nats.start(withRoom('900MB'));
    await until('readiness', async () => (await missing()) === 'true', PATIENCE_MS);
    assert.equal(await ended(child), 0);
  });

  // proof: field-3.5-5
  it('that refuses: the worker’s log has the reason before the first event', async () => {
    nats = await startNats(() => '');
    const { output } = run('worker');
    await until(
      'the reason',
      () => /events are not sent, and retried: NATS at .* has no JetStream/.test(output()),
      PATIENCE_MS,
    );
  });

  // proof: field-3.5-5
  it('that has little room: the worker’s log says what is kept', async () => {
    nats = await startNats(withRoom('900MB'));
    const { output } = run('worker');
    await until('the size', () => /keeps 512 MiB of events instead of 1 GiB/.test(output()), PATIENCE_MS);
  });

  // proof: field-1.7-4
  it('that hangs: a worker ends all the same', async () => {
    nats = await startNats();
    const { child, output } = run('worker');
    await until('the worker', () => output().includes('worker ready'), PATIENCE_MS);
    nats.signal('SIGSTOP');
    assert.equal(await ended(child), 0);
  });
});
