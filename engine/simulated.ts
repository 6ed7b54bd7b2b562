/**
 * An engine without containers, for machines that can have no Docker and for load: it keeps the same promises about what is
 * there, what is as specified and what an address is, and says `simulated: true`, which every screen shows.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { ComposeDocument, ComposeService, DeckySpec } from '../fleet/compose.ts';
import type { FleetNetwork } from '../fleet/config.ts';
import { type Difference, DRIFT, type DriftReason } from '../fleet/drift.ts';
import { DeckhandError } from '../fleet/errors.ts';
import { composeFilePath, composeFileText, writeComposeFile } from './compose-file.ts';
import { serviceOf } from './docker/plan.ts';
import type {
  ComposeEngine,
  DeckyObservation,
  EngineScope,
  Health,
  OperationOptions,
  PlannedStep,
  Purged,
  UpResult,
} from './engine.ts';

export interface SimulatedEngineOptions {
  readonly scope: EngineScope;
  /** Where its state and the compose file are written. */
  readonly stateDir: string;
}

export const createSimulatedEngine = (options: SimulatedEngineOptions): ComposeEngine => new SimulatedEngine(options);

const addressOf = (service: ComposeService): string | null =>
  Object.values(service.networks ?? {})[0]?.ipv4_address ?? null;

const hashOf = ({ stopped: _, ...spec }: DeckySpec): string =>
  createHash('sha256').update(JSON.stringify(spec)).digest('hex');

/** As the real engine judges: a stopped decky has nothing that runs, and what else differs is for its start. */
function differencesOf(spec: DeckySpec, found: SimulatedDecky | undefined): Difference[] {
  const container = serviceOf(spec, spec.keys[0]).container_name;
  const one = (reason: DriftReason, detail: string): Difference[] => [{ reason, container, detail }];
  if (spec.stopped)
    return found && !found.stopped ? one(DRIFT.otherConfiguration, 'it is running, and should be stopped') : [];
  if (!found) return one(DRIFT.missing, 'it is missing');
  if (found.hash !== hashOf(spec)) return one(DRIFT.otherConfiguration, 'its configuration changed');
  return found.stopped ? one(DRIFT.exited, 'it is exited') : [];
}

class SimulatedEngine implements ComposeEngine {
  readonly simulated = true;
  readonly #scope: EngineScope;
  readonly #store: SimulatedStore;
  readonly #composeFile: string;

  constructor({ scope, stateDir }: SimulatedEngineOptions) {
    this.#scope = scope;
    this.#store = new SimulatedStore(join(stateDir, `${scope.project}.json`), scope.instance);
    this.#composeFile = composeFilePath(stateDir, scope);
  }

  ping(): Promise<{ readonly version: string }> {
    return Promise.resolve({ version: 'simulated' });
  }

  /** No engine restarts here. */
  observeAndMend(specs: readonly DeckySpec[]): Promise<readonly DeckyObservation[]> {
    return this.observe(specs);
  }

  async observe(specs: readonly DeckySpec[]): Promise<readonly DeckyObservation[]> {
    const { deckies } = await this.#store.read();
    return specs.map((spec) => {
      const found = deckies[spec.decky];
      const drift = differencesOf(spec, found);
      const state = found?.stopped ? 'exited' : 'running';
      const containers = (found?.containers ?? []).map((container) => ({ ...container, state }));
      const differences = drift.map(({ detail }) => detail);
      return { decky: spec.decky, asSpecified: drift.length === 0, differences, drift, containers };
    });
  }

  async up(spec: DeckySpec, _network: FleetNetwork, options: OperationOptions = {}): Promise<UpResult> {
    options.signal?.throwIfAborted();
    const state = await this.#store.read();
    const found = state.deckies[spec.decky];
    const hash = hashOf(spec);
    if (spec.stopped) return this.#stop(spec, found);
    if (found?.hash === hash && !found.stopped) return { unchanged: true, steps: [] };
    const containers = spec.keys.map((key) => {
      const service = serviceOf(spec, key);
      return { name: service.container_name, service: key, ip: addressOf(service) };
    });
    refuseTakenAddress(state, spec.decky, containers);
    const reason = differencesOf(spec, found)[0]?.detail ?? '';
    const steps = containers.map(({ name }): PlannedStep => ({ action: 'createContainer', target: name, reason }));
    for (const { name } of containers) options.onProgress?.(`simulating ${name}`);
    state.deckies[spec.decky] = { hash, startedAt: Date.now(), containers };
    state.network = true;
    await this.#store.save();
    return { unchanged: false, steps };
  }

  async #stop(spec: DeckySpec, found: SimulatedDecky | undefined): Promise<UpResult> {
    if (!found || found.stopped) return { unchanged: true, steps: [] };
    found.stopped = true;
    await this.#store.save();
    const reason = 'it is running, and should be stopped';
    return { unchanged: false, steps: [{ action: 'stopContainer', target: spec.decky, reason }] };
  }

  async health(spec: DeckySpec, minHealthyMs: number): Promise<Health> {
    const found = (await this.#store.read()).deckies[spec.decky];
    if (spec.stopped) {
      if (!found || found.stopped) return { status: 'healthy' };
      return { status: 'waiting', sentence: `decky ${spec.decky} runs still (simulated)`, remainingMs: 500 };
    }
    if (!found) return { status: 'failed', sentence: `decky ${spec.decky} is not there (simulated)` };
    if (found.stopped) return { status: 'failed', sentence: `decky ${spec.decky} is stopped (simulated)` };
    const remainingMs = found.startedAt + minHealthyMs - Date.now();
    if (remainingMs <= 0) return { status: 'healthy' };
    return { status: 'waiting', sentence: `decky ${spec.decky} is younger than ${minHealthyMs / 1000} s`, remainingMs };
  }

  async down(decky: string, options: OperationOptions = {}): Promise<readonly string[]> {
    options.signal?.throwIfAborted();
    const state = await this.#store.read();
    const found = state.deckies[decky];
    if (!found) return [];
    delete state.deckies[decky];
    await this.#store.save();
    return found.containers.map(({ name }) => name);
  }

  /** The simulated network has no address to differ in. */
  async otherNetwork(): Promise<null> {
    return null;
  }

  async tryNetwork(): Promise<void> {}

  async ensureNetwork(): Promise<void> {}

  async removeNetworkIfUnused(): Promise<boolean> {
    const state = await this.#store.read();
    if (!state.network || Object.keys(state.deckies).length > 0) return false;
    state.network = false;
    await this.#store.save();
    return true;
  }

  async deckies(): Promise<readonly string[]> {
    return Object.keys((await this.#store.read()).deckies).sort();
  }

  async writeDocument(document: ComposeDocument): Promise<string> {
    await writeComposeFile(this.#composeFile, composeFileText(document, this.#scope));
    return this.#composeFile;
  }

  async purge(): Promise<Purged> {
    const state = await this.#store.read();
    const containers = Object.values(state.deckies).reduce((sum, decky) => sum + decky.containers.length, 0);
    const networks = state.network ? 1 : 0;
    state.deckies = {};
    state.network = false;
    await this.#store.save();
    return { containers, networks, stuck: [] };
  }
}

function refuseTakenAddress(state: SimulatedState, decky: string, containers: SimulatedDecky['containers']): void {
  const wanted = new Set(containers.flatMap(({ ip }) => ip ?? []));
  for (const [other, { containers: theirs }] of Object.entries(state.deckies)) {
    const taken = theirs.find(({ ip }) => ip !== null && wanted.has(ip));
    if (other === decky || !taken) continue;
    throw new DeckhandError(
      'AddressTaken',
      `address ${taken.ip} of decky ${decky} is in use by container ${taken.name} (decky ${other}); ` +
        'give the decky another address or free this one',
    );
  }
}

// Its state on disk, so that deckies outlive the worker that made them, as containers would

const container = z.object({ name: z.string(), service: z.string(), ip: z.string().nullable() });
const decky = z.object({
  /** Hash of the spec and the network that it came up with. */
  hash: z.string(),
  /** Epoch milliseconds. */
  startedAt: z.number(),
  containers: z.array(container),
  /** An operator stopped it. */
  stopped: z.boolean().optional(),
});
const state = z.object({ instance: z.string(), deckies: z.record(z.string(), decky), network: z.boolean() });

export type SimulatedState = z.infer<typeof state>;
export type SimulatedDecky = z.infer<typeof decky>;

export class SimulatedStore {
  readonly #path: string;
  readonly #instance: string;
  #state: Promise<SimulatedState> | null = null;
  /** Writes follow each other; the one that waits writes for all who changed something meanwhile. */
  #writing: Promise<void> = Promise.resolve();
  #waiting: Promise<void> | null = null;

  constructor(path: string, instance: string) {
    this.#path = path;
    this.#instance = instance;
  }

  /** The living object; call {@link save} after a change. */
  read(): Promise<SimulatedState> {
    this.#state ??= this.#load();
    return this.#state;
  }

  save(): Promise<void> {
    this.#waiting ??= this.#writing
      .catch(() => {})
      .then(() => {
        this.#waiting = null;
        this.#writing = this.#write();
        return this.#writing;
      });
    return this.#waiting;
  }

  /** A file that is missing, of another instance or unreadable means that nothing runs: it is only a simulation. */
  async #load(): Promise<SimulatedState> {
    const empty: SimulatedState = { instance: this.#instance, deckies: {}, network: false };
    try {
      const read = state.parse(JSON.parse(await readFile(this.#path, 'utf8')));
      return read.instance === this.#instance ? read : empty;
    } catch {
      return empty;
    }
  }

  async #write(): Promise<void> {
    const text = JSON.stringify(await this.read());
    const aside = `${this.#path}.${randomUUID()}`;
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    await writeFile(aside, text, { mode: 0o600 });
    await rename(aside, this.#path);
  }
}
