/** A whole master, API and worker as processes, for tests that use the `deckhand` command from outside. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { programArguments, ROOT } from '../../../stack/root.ts';
import { createTestDatabase, type TestDatabase } from '../servers/database.ts';
import { testDirectory, testServers } from '../stack/stack.ts';

/** Away from the embedded stack's 10.200–10.219 and the workflow room's 10.231. */
const takePool = (): string => `10.232.${randomBytes(1)[0] ?? 0}.0/24`;
const READY_MS = 90_000;

export interface CommandResult {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface RunningCommand {
  readonly child: ChildProcess;
  readonly result: Promise<CommandResult>;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address ? address.port : 0;
}

export class CliMaster {
  readonly id = `c${randomBytes(4).toString('hex')}`;
  readonly home = testDirectory(this.id);
  readonly environment: NodeJS.ProcessEnv;
  readonly url: string;
  readonly #database: TestDatabase;
  readonly #programs = new Map<string, ChildProcess>();

  private constructor(database: TestDatabase, port: number) {
    this.#database = database;
    this.url = `http://127.0.0.1:${port}`;
    const password = randomBytes(12).toString('hex');
    this.environment = {
      ...process.env,
      DATABASE_URL: database.url,
      DECKHAND_DB_SCHEMA: database.schema,
      NATS_URL: testServers.natsUrl,
      TEMPORAL_ADDRESS: testServers.temporalAddress,
      DECKHAND_ENGINE: testServers.dockerHost ? 'docker' : 'simulated',
      DECKHAND_HOME: this.home,
      DECKHAND_INSTANCE: this.id,
      DECKHAND_PROJECT: this.id,
      DECKHAND_TASK_QUEUE: this.id,
      DECKHAND_API_PORT: String(port),
      DECKHAND_SWARM_PORT: '0',
      DECKHAND_ADMIN_PASSWORD: password,
      DECKHAND_ADMIN_MUST_CHANGE_PASSWORD: 'false',
      DECKHAND_DEPLOYMENT_LIMIT: '100',
      DECKHAND_NETWORK: 'bridge',
      DECKHAND_BRIDGE_POOL: takePool(),
      DECKHAND_API_URL: this.url,
      DECKHAND_USER: 'admin',
      DECKHAND_PASSWORD: password,
    };
  }

  static async start(): Promise<CliMaster> {
    const master = new CliMaster(await createTestDatabase(), await freePort());
    master.launch('api');
    master.launch('worker');
    await master.untilReady();
    return master;
  }

  /** Starts a program of the house; its output goes to a file of its own. */
  launch(program: 'api' | 'worker'): void {
    const log = openSync(join(this.home, `${program}.log`), 'a');
    const child = spawn(process.execPath, programArguments(program), {
      cwd: ROOT,
      env: this.environment,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    this.#programs.set(program, child);
  }

  /** As `kill -9`. */
  async kill(program: 'api' | 'worker'): Promise<void> {
    await end(this.#programs.get(program), 'SIGKILL');
  }

  log(program: 'api' | 'worker'): string {
    return readFileSync(join(this.home, `${program}.log`), 'utf8');
  }

  async untilReady(): Promise<void> {
    for (const until = Date.now() + READY_MS; ; await delay(200)) {
      const answer = await fetch(`${this.url}/readyz`).catch(() => null);
      if (answer?.status === 200 && this.log('worker').includes('worker ready')) return;
      if (Date.now() > until)
        throw new Error(`the master is not ready\n${this.log('api').slice(-2000)}\n${this.log('worker').slice(-2000)}`);
    }
  }

  /** The command as a stranger runs it. */
  begin(...args: readonly string[]): RunningCommand {
    const child = spawn(process.execPath, ['cli/deckhand.mjs', ...args], { cwd: ROOT, env: this.environment });
    let out = '';
    let err = '';
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
    const result = new Promise<CommandResult>((resolve) => child.once('close', (code) => resolve({ code, out, err })));
    return { child, result };
  }

  run(...args: readonly string[]): Promise<CommandResult> {
    return this.begin(...args).result;
  }

  async stop(): Promise<void> {
    await this.run('purge', '--yes');
    for (const child of this.#programs.values()) await end(child, 'SIGTERM');
    await this.#database.drop();
  }
}

async function end(child: ChildProcess | undefined, signal: NodeJS.Signals): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const closed = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  const forced = setTimeout(() => child.kill('SIGKILL'), 15_000);
  await closed;
  clearTimeout(forced);
}
