/** Starts processes, keeps them running, and stops them in reverse order; one supervisor per DECKHAND_HOME. */
import { rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { tryLock } from '../lib/file-lock.ts';
import { readJson, writeJson } from '../lib/files.ts';
import {
  commandLine,
  findByEnvironment,
  isRunning,
  type ProcessIdentity,
  signalProcess,
  waitForExit,
} from '../lib/process-table.ts';
import type { ProcessSpec } from './context.ts';
import type { StackHome } from './home.ts';
import { MARK, markOf, SupervisedProcess } from './supervised-process.ts';

interface SupervisorOptions {
  readonly home: StackHome;
  readonly sayFor: (part: string) => (line: string) => void;
  /** A process died and is back, perhaps with another pid, or has ended for good. */
  readonly onRestarted: (name: string) => void;
}

export const lockFilePath = (home: string): string => join(home, 'supervisor.lock');
export const lockFile = (home: StackHome): string => lockFilePath(home.directory);

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #release: () => void;
  readonly #survivors: Survivor[];
  readonly #children: { readonly spec: ProcessSpec; readonly child: SupervisedProcess }[] = [];
  #stopped: Promise<void> | null = null;

  private constructor(options: SupervisorOptions, release: () => void) {
    this.#options = options;
    this.#release = release;
    this.#survivors = findSurvivors(options.home);
  }

  /** Null when another supervisor runs for this home. */
  static acquire(options: SupervisorOptions): Supervisor | null {
    const release = tryLock(lockFile(options.home));
    return release && new Supervisor(options, release);
  }

  /** Whether a process of that name outlived the last supervisor. */
  survives(name: string): boolean {
    return this.#survivors.some((survivor) => survivor.name === name);
  }

  /** Stops survivors that nothing will take over: programs of ours, and what is not part of the stack any more. */
  async stopSurvivorsBut(names: readonly string[]): Promise<void> {
    const unwanted = this.#survivors.filter(({ name }) => !names.includes(name));
    await Promise.all(unwanted.map((survivor) => this.#stopSurvivor(survivor)));
  }

  /** Resolves once it is ready. Rejects when it ends at its start or takes too long: then stop, or {@link abandon} it. */
  async start(spec: ProcessSpec): Promise<void> {
    if (this.#stopped !== null) return;
    const say = this.#options.sayFor(spec.name);
    const survivor = await this.#survivorFor(spec);
    if (this.#stopped !== null) return;
    const child = new SupervisedProcess({
      spec,
      instance: this.#options.home.instance,
      logFile: this.#options.home.logFile(spec.name),
      say,
      onChange: () => this.#record(),
      onRestarted: () => this.#options.onRestarted(spec.name),
    });
    this.#children.push({ spec, child });
    await child.start(survivor);
  }

  /** Name and pid of all that runs, in the order in which they were started. */
  get processes(): { readonly name: string; readonly pid: number }[] {
    return this.#children.flatMap(({ child }) =>
      child.identity ? [{ name: child.name, pid: child.identity.pid }] : [],
    );
  }

  /** Stops one for good, as when it can't be brought up and something else takes its part. */
  async abandon(name: string): Promise<void> {
    const index = this.#children.findIndex(({ spec }) => spec.name === name);
    const [entry] = index < 0 ? [] : this.#children.splice(index, 1);
    await entry?.child.stop();
  }

  /** Stops everything that was started, the last first. Safe to call twice. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stopAll();
    return this.#stopped;
  }

  async #stopAll(): Promise<void> {
    for (const { child } of [...this.#children].reverse()) await child.stop();
    rmSync(this.#options.home.path('processes.json'), { force: true });
    this.#release();
  }

  /** The one to take over: same name, same arguments. Others of that name are stopped: two can't share a directory or a port. */
  async #survivorFor(spec: ProcessSpec): Promise<Survivor | null> {
    const named = this.#survivors.filter(({ name }) => name === spec.name);
    const same = ({ args }: Survivor) => spec.adoptable && JSON.stringify(args) === JSON.stringify(spec.args);
    const chosen = named.find(same) ?? null;
    for (const survivor of named) if (survivor !== chosen) await this.#stopSurvivor(survivor);
    return chosen;
  }

  async #stopSurvivor(survivor: Survivor): Promise<void> {
    this.#options.sayFor(survivor.name)(`stopping pid ${survivor.pid}, left by a start that was killed`);
    await stopSurvivor(survivor);
  }

  #record(): void {
    recordProcesses(
      this.#options.home,
      this.#children.flatMap(({ spec, child }) =>
        child.identity ? [{ name: spec.name, ...child.identity, command: spec.command, args: [...spec.args] }] : [],
      ),
    );
  }
}

// What a killed supervisor left running: found by what it wrote down, or by the mark in their environment

const recordSchema = z.object({
  processes: z.array(
    z.object({
      name: z.string(),
      pid: z.number().int().positive(),
      startedAt: z.string(),
      command: z.string(),
      args: z.array(z.string()),
    }),
  ),
});
type ProcessRecord = z.infer<typeof recordSchema>['processes'][number];

interface Survivor extends ProcessIdentity {
  readonly name: string;
  readonly args: readonly string[];
}

const recordFile = (home: StackHome): string => home.path('processes.json');

export function recordProcesses(home: StackHome, processes: readonly ProcessRecord[]): void {
  writeJson(recordFile(home), { processes });
}

/** Only what is provably ours: same pid and start time as recorded, or our instance's mark and the program that the mark names. */
export function findSurvivors(home: StackHome): Survivor[] {
  const recorded = readJson(recordFile(home), recordSchema)?.processes ?? [];
  const found = new Map<number, Survivor>();
  for (const { name, pid, startedAt, args } of recorded)
    if (isRunning({ pid, startedAt })) found.set(pid, { name, pid, startedAt, args });
  for (const { pid, startedAt, value } of findByEnvironment(MARK)) {
    const [command = '', ...args] = commandLine(pid);
    const name = value.split(':')[1] ?? '';
    if (value === markOf(home.instance, { name, command: basename(command) }) && !found.has(pid))
      found.set(pid, { name, pid, startedAt, args });
  }
  return [...found.values()];
}

/** Stops a survivor that is not taken over. */
export async function stopSurvivor(survivor: Survivor, politeMs = 15_000): Promise<void> {
  if (signalProcess(survivor, 'SIGTERM') && !(await waitForExit(survivor, politeMs))) {
    signalProcess(survivor, 'SIGKILL');
    await waitForExit(survivor, 5_000);
  }
}
