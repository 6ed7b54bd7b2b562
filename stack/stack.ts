/** The whole stack of one home: servers, API, worker, agents, and the file that says where they are. */
import { rmSync } from 'node:fs';
import { loginKeyOf } from '../lib/login-key.ts';
import { agentNumbers, inGroups, provideAgents } from './agents.ts';
import { PortBook, withPortsReserved } from './claims.ts';
import type { ProcessSpec, StackContext } from './context.ts';
import { loadSecrets, type Secrets, type StackFile, type StackHome, stackFilePath, writeStackFile } from './home.ts';
import { describePrograms } from './programs.ts';
import { type Servers, startServers } from './servers.ts';
import { Supervisor } from './supervisor.ts';

/** Survivors of these names may be taken over. */
const SERVER_NAMES = ['temporal', 'postgres', 'nats', 'docker'];

interface StackOptions {
  readonly home: StackHome;
  readonly environment: NodeJS.ProcessEnv;
  readonly sayFor: StackContext['sayFor'];
  readonly confirm: StackContext['confirm'];
  /** How many agents there shall be at least. */
  readonly agents: number;
}

interface Up {
  readonly servers: Servers;
  readonly secrets: Secrets;
  readonly apiUrl: string;
  readonly swarmUrl: string;
  readonly caDir: string;
}

export interface Started {
  readonly file: StackFile;
  readonly servers: Servers;
  readonly secrets: Secrets;
}

export class Stack {
  readonly #options: StackOptions;
  readonly #supervisor: Supervisor;
  #up: Up | null = null;
  #wasUp = false;
  #stopped = false;

  private constructor(options: StackOptions, supervisor: Supervisor) {
    this.#options = options;
    this.#supervisor = supervisor;
  }

  /** Null when a stack runs for this home already. */
  static open(options: StackOptions): Stack | null {
    let stack: Stack | null = null;
    const { home, sayFor } = options;
    const supervisor = Supervisor.acquire({ home, sayFor, onRestarted: () => stack?.rewrite() });
    stack = supervisor && new Stack(options, supervisor);
    return stack;
  }

  /** Resolves once the API says that it is ready and stack.json is written. */
  async start(): Promise<Started> {
    const { home, environment, sayFor, confirm } = this.#options;
    rmSync(stackFilePath(home.directory), { force: true });
    await this.#supervisor.stopSurvivorsBut(SERVER_NAMES);
    const context: StackContext = {
      home,
      environment,
      sayFor,
      confirm,
      ports: new PortBook(home, true),
      survives: (name) => this.#supervisor.survives(name),
      disposable: false,
    };
    const up = await withPortsReserved(sayFor('stack'), () => this.#startAll(context));
    if (this.#stopped) throw new Error('it was stopped while it started');
    this.#up = up;
    this.#wasUp = true;
    return { file: this.#write(up), servers: up.servers, secrets: up.secrets };
  }

  async #startAll(context: StackContext): Promise<Up> {
    const servers = await startServers(context, this.#supervisor);
    const secrets = loadSecrets(context.home, context.environment);
    const { apiUrl, swarmUrl, caDir, api, worker } = await describePrograms(context, servers, secrets);
    const wanted = agentNumbers(context.home, this.#options.agents);
    if (wanted.length === 0) {
      await Promise.all([this.#bring(context, api), this.#bring(context, worker)]);
      return { servers, secrets, apiUrl, swarmUrl, caDir };
    }
    // What is started last is stopped first: the worker goes before the agents that it talks to.
    await this.#bring(context, api);
    const master = { apiUrl, swarmUrl, secrets };
    const agents = await provideAgents({ count: this.#options.agents, context, servers, master }, wanted);
    await inGroups(agents.specs, (agent) => this.#bring(context, agent));
    await agents.met();
    await this.#bring(context, worker);
    return { servers, secrets, apiUrl, swarmUrl, caDir };
  }

  async #bring(context: StackContext, spec: ProcessSpec): Promise<void> {
    const begun = Date.now();
    await this.#supervisor.start(spec);
    context.sayFor(spec.name)(`ready (${((Date.now() - begun) / 1000).toFixed(1)} s)`);
  }

  /** Whether it ever came up; stays true after the end. */
  get wasUp(): boolean {
    return this.#wasUp;
  }

  /** Whether there is a real engine, so that deckies may run on it. */
  get hasEngine(): boolean {
    return this.#up?.servers.docker.host != null;
  }

  /** Whether the Docker Engine was ours to start, and its deckies stop with it. */
  get ownsDocker(): boolean {
    return this.#supervisor.processes.some(({ name }) => name === 'docker');
  }

  /** Stops all that was started, and nothing else. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#up = null;
    rmSync(stackFilePath(this.#options.home.directory), { force: true });
    await this.#supervisor.stop();
  }

  /** Pids change when a process is started again. */
  rewrite(): void {
    if (this.#up) this.#write(this.#up);
  }

  #write({ servers, secrets, apiUrl, swarmUrl, caDir }: Up): StackFile {
    const file: StackFile = {
      api_url: apiUrl,
      swarm_url: swarmUrl,
      temporal_address: servers.temporal.address,
      temporal_namespace: servers.temporal.namespace,
      temporal_ui_url: servers.temporal.uiUrl,
      nats_url: servers.natsUrl,
      database_url: servers.databaseUrl,
      docker_host: servers.docker.host,
      admin: { username: secrets.adminUser, password: secrets.adminPassword },
      login_key: loginKeyOf(secrets.jwtSecret),
      ca_dir: caDir,
      processes: this.#supervisor.processes,
    };
    writeStackFile(this.#options.home.directory, file);
    return file;
  }
}
