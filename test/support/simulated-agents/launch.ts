/** The parent's side: makes hosts with certificates, starts their process, and tells it what to do. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Authority } from '../../../adapters/pki/authority.ts';
import type { HostStore } from '../../../adapters/postgres/hosts.ts';
import type { Answers, Command, Limits, Line, Mode, Ready, Setup } from './protocol.ts';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const ADDRESS = '127.0.0.1';

export interface SimulatedHost {
  readonly hostUuid: string;
  readonly name: string;
  readonly fingerprint: string;
  readonly notAfter: Date;
}

/** Certificates of `count` hosts, written where their process looks for them. Names sort as numbers do. */
export async function makeHosts(
  authority: Authority,
  directory: string,
  count: number,
  prefix = 'host',
): Promise<SimulatedHost[]> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeFileSync(join(directory, 'ca.crt'), authority.caPem, { mode: 0o600 });
  const hosts: SimulatedHost[] = [];
  for (let index = 1; index <= count; index += 1) {
    const name = `${prefix}-${String(index).padStart(4, '0')}`;
    const { certPem, keyPem, fingerprint, notAfter } = await authority.issue({ name, sans: [ADDRESS] });
    const hostUuid = randomUUID();
    mkdirSync(join(directory, hostUuid), { mode: 0o700 });
    writeFileSync(join(directory, hostUuid, 'worker.crt'), certPem, { mode: 0o600 });
    writeFileSync(join(directory, hostUuid, 'worker.key'), keyPem, { mode: 0o600 });
    hosts.push({ hostUuid, name, fingerprint, notAfter });
  }
  return hosts;
}

/** Enrols simulated hosts by the store, as if they had joined. A dead one gets a port that nobody listens on. */
export async function enrollHosts(store: HostStore, hosts: readonly SimulatedHost[], { ports }: Ready): Promise<void> {
  for (const { hostUuid, name, fingerprint, notAfter } of hosts)
    await store.enroll({
      uuid: hostUuid,
      name,
      address: ADDRESS,
      agentPort: ports[hostUuid] || 1,
      notes: null,
      useIpvlan: false,
      fingerprint,
      certNotAfter: notAfter,
      fenced: true,
    });
}

export class SimulatedAgents {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #turn: Promise<unknown> = Promise.resolve();
  ready: Ready = { ports: {} };

  private constructor(child: ChildProcess) {
    this.#child = child;
    if (!child.stdout) throw new Error('The simulated agents have no output.');
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  /** Resolves when all of them listen. */
  static async start(setup: Setup): Promise<SimulatedAgents> {
    const child = spawn(process.execPath, ['--import', 'tsx', MAIN], {
      cwd: ROOT,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const agents = new SimulatedAgents(child);
    agents.ready = (await agents.#exchange(setup)) as Ready;
    return agents;
  }

  static for(
    hosts: readonly SimulatedHost[],
    setup: Omit<Setup, 'agents'>,
    modeOf: (host: SimulatedHost) => Mode = () => 'ready',
  ): Promise<SimulatedAgents> {
    const agents = hosts.map((host) => ({ hostUuid: host.hostUuid, name: host.name, mode: modeOf(host) }));
    return SimulatedAgents.start({ ...setup, agents });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  reportTo(url: string): Promise<unknown> {
    return this.#tell({ do: 'report-to', url });
  }
  drop(): Promise<unknown> {
    return this.#tell({ do: 'drop' });
  }
  push(limits: Limits): Promise<Answers['push']> {
    return this.#tell({ do: 'push', limits });
  }
  pretend(deckies: number): Promise<unknown> {
    return this.#tell({ do: 'pretend', deckies });
  }
  beat(agents: number, ms: number, changed: boolean): Promise<Answers['beat']> {
    return this.#tell({ do: 'beat', agents, ms, changed });
  }
  counts(): Promise<Answers['counts']> {
    return this.#tell({ do: 'counts' });
  }

  /** All of them are gone, connections and all. */
  async kill(): Promise<void> {
    await this.#end(() => this.#child.kill('SIGKILL'));
  }

  async stop(): Promise<void> {
    await this.#end(() => this.#child.stdin?.end());
  }

  async #end(how: () => void): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    how();
    await ended;
  }

  async #tell<C extends Command['do']>(command: Extract<Command, { do: C }>): Promise<Answers[C]> {
    return (await this.#exchange(command)) as Answers[C];
  }

  /** One at a time. */
  #exchange(message: Setup | Command): Promise<unknown> {
    const answer = this.#turn.then(async () => {
      this.#child.stdin?.write(`${JSON.stringify(message)}\n`);
      const { value, done } = await this.#lines.next();
      if (done) throw new Error('The process of the simulated agents has ended.');
      const line = JSON.parse(value) as Line;
      if ('failure' in line) throw new Error(`The simulated agents: ${line.failure}`);
      return 'ready' in line ? line.ready : line.answer;
    });
    this.#turn = answer.catch(() => undefined);
    return answer;
  }
}
