/** One whole stack for drills: `npm start` in a home of its own, with what is needed to ask, to look, and to leave nothing behind. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type Docker from 'dockerode';
import postgres from 'postgres';
import { createApiClient } from '../../cli/api-client.ts';
import { type Master, masterOf } from '../../cli/master.ts';
import { connectDocker } from '../../engine/docker/transport.ts';
import { identify } from '../../lib/process-table.ts';
import type { StackFile } from '../../stack/home.ts';
import { processesOf } from '../support/stack/leftovers.ts';
import { StackProcess } from '../support/stack/stack-process.ts';
import type { CuttableDatabase } from './cuttable-database.ts';
import { EventWatch } from './events.ts';
import type { SeenContainer } from './judge.ts';

/** What a shell may have set and a drill must not take over. */
const UNSET = [
  'DECKHAND_API_PORT',
  'DECKHAND_API_URL',
  'DECKHAND_TOKEN',
  'DECKHAND_BRIDGE_POOL',
  'DECKHAND_INSTANCE',
  'DECKHAND_LOG_LEVEL',
  'DECKHAND_MIN_HEALTHY_TIME',
];
const BACK_MS = 90_000;
const STOP_MS = 90_000;

export class DrillStack {
  /** Names of its deckies begin with it, so that they are nobody else's on a shared engine. */
  readonly id = `d${randomBytes(3).toString('hex')}`;
  readonly home: string;
  readonly #interrupted = new AbortController();
  #process: StackProcess;
  #sql: postgres.Sql | null = null;
  #events: EventWatch | null = null;
  #docker: Docker | null = null;
  /** Where the stack was last: its file is away while it starts again. */
  #lastFile: StackFile | null = null;
  readonly #database: CuttableDatabase | null;

  /** Names of the agents' processes. */
  readonly agents: readonly string[];

  private constructor(home: string, agents: number, database: CuttableDatabase | null) {
    this.home = home;
    this.#database = database;
    this.agents = Array.from({ length: agents }, (_, index) => `agent-${index + 1}`);
    this.#process = this.#spawn();
  }

  /**
   * `onSpawned` hands the stack over before it is up, so that an interruption can stop it. `database`: a PostgreSQL beside the
   * stack, which a drill can cut off; null: the stack's own.
   */
  static async start(
    home: string,
    onSpawned: (stack: DrillStack) => void = () => {},
    agents = 0,
    database: CuttableDatabase | null = null,
  ): Promise<DrillStack> {
    const stack = new DrillStack(home, agents, database);
    onSpawned(stack);
    await stack.#opened();
    return stack;
  }

  /** `npm start` again in the same home, after {@link StackProcess} was killed. */
  async restart(): Promise<void> {
    await this.#closeConnections();
    this.#process = this.#spawn();
    await this.#opened();
  }

  get process(): StackProcess {
    return this.#process;
  }
  get sql(): postgres.Sql {
    return present(this.#sql);
  }
  get events(): EventWatch {
    return present(this.#events);
  }
  get instance(): string {
    return readFileSync(join(this.home, 'instance'), 'utf8').trim();
  }

  /** Asks as an operator does, by the address and password of stack.json. */
  readonly master: Master = masterOf(
    createApiClient(() => {
      const { api_url: apiUrl, admin } = this.#whereabouts();
      return { apiUrl, credentials: admin };
    }, this.#interrupted.signal),
  );

  get docker(): Docker {
    return present(this.#docker);
  }

  /** Whether dockerd is a process of this stack, and may be ended. */
  get ownsEngine(): boolean {
    return this.#process.pidOf('docker') !== null;
  }

  /** How many connections to PostgreSQL carry nothing from now on. */
  cutDatabaseOff(): number {
    return present(this.#database).cutOff();
  }

  /** The containers that carry the instance's label, whatever their state. */
  async containers(): Promise<SeenContainer[]> {
    // An engine that was ended answers again soon.
    const listed = await this.#patiently(async () => {
      const found = await this.#docker?.listContainers({ all: true, filters: this.#ours() });
      return found ?? [];
    });
    return listed.map(({ Names, State }) => ({ name: Names[0]?.slice(1) ?? '', state: State }));
  }

  /** Whether there is a real engine to look at. */
  get hasEngine(): boolean {
    return this.#docker !== null;
  }

  pidOf(name: string): number {
    const pid = this.#process.pidOf(name);
    if (pid === null) throw new Error(`${name} is not in stack.json`);
    return pid;
  }

  /** Resolves when these processes run, under another pid than the one given, and the API is ready. */
  async back(killed: ReadonlyMap<string, number>): Promise<void> {
    const isBack = ([name, before]: [string, number]): boolean => {
      const pid = this.#process.pidOf(name);
      return pid !== null && pid !== before && identify(pid) !== null;
    };
    const until = Date.now() + BACK_MS;
    while (!([...killed].every(isBack) && (await this.#isReady()))) {
      if (Date.now() > until)
        throw new Error(`${[...killed.keys()].join(' and ')}: not back after ${BACK_MS / 1000} s`);
      await pause(200);
    }
  }

  /** Stops all and removes what it made. Returns what was left behind, in sentences. */
  async stop(): Promise<string[]> {
    this.#interrupted.abort(new Error('the drill is being stopped'));
    return [...(await this.#leftOnEngine()), ...(await this.#stopProcesses())];
  }

  #spawn(): StackProcess {
    const env = Object.fromEntries(UNSET.map((name) => [name, undefined]));
    const args = ['--fleet', 'none', '--yes', ...(this.agents.length > 0 ? ['--agents', `${this.agents.length}`] : [])];
    // A task queue of its own: a worker that a killed stack left may still ask whatever Temporal listens on its old port.
    const own = {
      DECKHAND_PROJECT: this.id,
      DECKHAND_TASK_QUEUE: this.id,
      ...(this.#database ? { DATABASE_URL: this.#database.url } : {}),
    };
    return new StackProcess({ home: this.home, args, env: { ...env, ...own } });
  }

  async #opened(): Promise<void> {
    await this.#process.up();
    const file = this.#process.stackFile();
    this.#sql = postgres(this.#database?.directUrl ?? file.database_url, { max: 2, onnotice: () => {} });
    this.#events = await EventWatch.open(file.nats_url);
    this.#docker = file.docker_host ? connectDocker(file.docker_host) : null;
  }

  async #patiently<T>(work: () => Promise<T>): Promise<T> {
    for (const until = Date.now() + BACK_MS; ; await pause(200)) {
      try {
        return await work();
      } catch (error) {
        if (Date.now() > until) throw error;
      }
    }
  }

  #whereabouts(): StackFile {
    try {
      this.#lastFile = this.#process.stackFile();
    } catch (error) {
      if (this.#lastFile === null) throw error;
    }
    return present(this.#lastFile);
  }

  async #isReady(): Promise<boolean> {
    const { api_url: url } = this.#process.stackFile();
    const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(5_000) }).catch(() => null);
    await answer?.body?.cancel();
    return answer?.status === 200;
  }

  #ours(): { label: string[] } {
    return { label: [`deckhand.instance=${this.instance}`] };
  }

  /** Removes what is there still, so that nothing stays, and says so, since it should have gone before. */
  async #leftOnEngine(): Promise<string[]> {
    const docker = this.#docker;
    if (!docker) return [];
    const left: string[] = [];
    try {
      for (const { Id, Names } of await docker.listContainers({ all: true, filters: this.#ours() })) {
        left.push(`container ${Names[0]} was left behind`);
        await docker.getContainer(Id).remove({ force: true, v: true });
      }
      for (const { Id, Name } of await docker.listNetworks({ filters: this.#ours() })) {
        left.push(`network ${Name} was left behind`);
        await docker.getNetwork(Id).remove();
      }
    } catch (error) {
      left.push(`what is left on the engine can’t be told: ${(error as Error).message}`);
    }
    return left;
  }

  async #stopProcesses(): Promise<string[]> {
    const { instance } = this;
    await this.#closeConnections();
    this.#process.signal('SIGINT');
    const forced = setTimeout(() => this.#process.signal('SIGKILL'), STOP_MS);
    await this.#process.ended();
    clearTimeout(forced);
    const alive = processesOf(instance);
    for (const { pid } of alive) process.kill(-pid, 'SIGKILL');
    return alive.map(({ name, pid }) => `process ${name} (${pid}) was left behind`);
  }

  async #closeConnections(): Promise<void> {
    await Promise.allSettled([this.#sql?.end({ timeout: 2 }), this.#events?.close()]);
    this.#sql = null;
    this.#events = null;
  }
}

function present<T>(value: T | null): T {
  if (value === null) throw new Error('The stack of the drill is not up.');
  return value;
}
