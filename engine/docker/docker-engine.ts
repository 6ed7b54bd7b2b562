/** The compose engine on the Docker Engine, by dockerode. */
import type Docker from 'dockerode';
import type { ComposeDocument, DeckySpec } from '../../fleet/compose.ts';
import type { FleetNetwork } from '../../fleet/config.ts';
import { DRIFT } from '../../fleet/drift.ts';
import { isDeckhandError } from '../../fleet/errors.ts';
import { raceAbort, Semaphore } from '../../lib/concurrency.ts';
import type { Logger } from '../../lib/logger.ts';
import { composeFilePath, composeFileText, writeComposeFile } from '../compose-file.ts';
import {
  type ComposeEngine,
  type DeckyObservation,
  type EngineScope,
  type Health,
  networkNameOf,
  type OperationOptions,
  type Purged,
  type UpResult,
} from '../engine.ts';
import { Containers } from './containers.ts';
import { withOwnLabels } from './create-options.ts';
import { executePlan, type Tools } from './execute.ts';
import { judgeHealth, withEvidence } from './health.ts';
import { HelperInterface } from './helper-interface.ts';
import { type ImageContexts, ImageStore } from './images.ts';
import { asFleetNetwork, NetworkKeeper } from './network.ts';
import {
  Ages,
  BaseJoins,
  ContainerListing,
  type CurrentContainer,
  fateOf,
  type Inspection,
  inspectContainer,
  isLeftBehind,
  lastLogLines,
} from './observe.ts';
import { describeDifferences, findDifferences, type PlanContext, planDecky, RUNS, serviceOf } from './plan.ts';
import { purge } from './purge.ts';
import { allSettled, callEngine, connectDocker, READ_TIMEOUT_MS } from './transport.ts';

/** Creations, starts and removals at one time; see docs/engine.md for what was measured. */
const DEFAULT_PARALLEL = 8;
/** How soon it is worth inspecting again a container that should have stopped. */
const STILL_MS = 500;

export interface DockerEngineOptions {
  readonly dockerHost: string;
  readonly scope: EngineScope;
  readonly images: ImageContexts;
  /** Where the resolved compose file is written. */
  readonly composeDir: string;
  readonly logger: Logger;
  readonly parallel?: number;
}

export function createDockerEngine(options: DockerEngineOptions): ComposeEngine {
  return new DockerEngine(connectDocker(options.dockerHost), options);
}

class DockerEngine implements ComposeEngine {
  readonly simulated = false;
  readonly #docker: Docker;
  readonly #scope: EngineScope;
  readonly #composeFile: string;
  readonly #logger: Logger;
  readonly #listing: ContainerListing;
  readonly #tools: Tools;
  readonly #helper: HelperInterface;
  readonly #joins: BaseJoins;
  readonly #ages = new Ages();
  /** Deckies that are being brought back: what is missing of them was removed here. */
  readonly #returning = new Set<string>();

  constructor(docker: Docker, options: DockerEngineOptions) {
    const { scope } = options;
    const networkName = networkNameOf(scope);
    this.#docker = docker;
    this.#scope = scope;
    this.#logger = options.logger;
    this.#composeFile = composeFilePath(options.composeDir, scope);
    this.#helper = new HelperInterface(docker, { networkName, dockerHost: options.dockerHost, logger: options.logger });
    this.#listing = new ContainerListing(docker, scope, networkName);
    this.#joins = new BaseJoins((id, signal) => inspectContainer(docker, scope, id, signal));
    this.#tools = {
      docker,
      scope,
      composeFile: this.#composeFile,
      containers: new Containers(docker, scope, new Semaphore(options.parallel ?? DEFAULT_PARALLEL)),
      images: new ImageStore(docker, options.images),
      network: new NetworkKeeper(docker, scope, networkName),
    };
  }

  async ping(signal?: AbortSignal): Promise<{ readonly version: string }> {
    const version = await callEngine({ doing: 'ping', signal, timeoutMs: READ_TIMEOUT_MS }, (abortSignal) =>
      raceAbort(this.#docker.version(), abortSignal),
    );
    return { version: version.Version };
  }

  async observe(specs: readonly DeckySpec[], signal?: AbortSignal): Promise<readonly DeckyObservation[]> {
    const all = await this.#marked(await this.#listing.all(signal), signal);
    return specs.map((spec) => this.#observeOne(this.#own(spec), all));
  }

  async observeAndMend(specs: readonly DeckySpec[], signal?: AbortSignal): Promise<readonly DeckyObservation[]> {
    const seen = await this.observe(specs, signal);
    const resumed = await allSettled(
      seen.flatMap(({ decky, drift }) =>
        drift
          .filter(({ reason }) => reason === DRIFT.exited || reason === DRIFT.cutOff)
          .map(({ container }) => this.#resume(container, decky, signal)),
      ),
    );
    await this.#helper.afterObservation();
    return resumed.includes(true) ? this.observe(specs, signal) : seen;
  }

  async up(given: DeckySpec, fleetNetwork: FleetNetwork, options: OperationOptions = {}): Promise<UpResult> {
    const spec = this.#own(given);
    const { network } = this.#tools;
    const [current, networkPlan] = await allSettled<unknown>([
      this.#current(spec.decky, options.signal),
      network.plan(fleetNetwork, options.signal),
    ]).then((both) => both as [readonly CurrentContainer[], Awaited<ReturnType<NetworkKeeper['plan']>>]);
    const networkId = networkPlan.kind === 'keep' ? networkPlan.id : null;
    const steps = planDecky(spec, current, { networkName: network.name, networkId, project: this.#scope.project });
    if (steps.length > 0) {
      const ids = new Map(current.map((container) => [container.key, container.id]));
      this.#logger.debug({ decky: spec.decky, steps }, 'bringing a decky up');
      await executePlan(steps, { tools: this.#tools, spec, fleetNetwork, options, ids });
    }
    await this.#helper.afterUp(fleetNetwork.driver);
    return {
      unchanged: steps.length === 0,
      steps: steps.map(({ action, target, reason }) => ({ action, target, reason })),
    };
  }

  async health(given: DeckySpec, minHealthyMs: number, signal?: AbortSignal): Promise<Health> {
    const spec = this.#own(given);
    if (spec.stopped) return this.#stillness(spec, signal);
    if (minHealthyMs === 0 && (await this.#allRun(spec, signal))) return { status: 'healthy' };
    const inspections = await allSettled(
      spec.keys.map((key) => inspectContainer(this.#docker, this.#scope, serviceOf(spec, key).container_name, signal)),
    );
    await this.#noteAges(inspections, signal);
    const judgement = judgeHealth(spec, inspections, minHealthyMs, (container) => this.#ages.of(container));
    const isReturning = judgement.status === 'failed' && !judgement.container && this.#returning.has(spec.decky);
    if (judgement.status === 'stopped' || isReturning)
      return this.#bringBack(spec, judgement.sentence, minHealthyMs, signal);
    const culprit = judgement.status === 'failed' ? judgement.container : null;
    return withEvidence(judgement, culprit ? await lastLogLines(this.#docker, culprit.id, signal) : '');
  }

  async down(decky: string, options: OperationOptions = {}): Promise<readonly string[]> {
    const containers = await this.#listing.ofDecky(decky, options.signal);
    await allSettled(
      containers.map((container) => {
        options.onProgress?.(`removing ${container.name}`);
        return this.#tools.containers.remove(container.id, container.name, options.signal);
      }),
    );
    await this.#helper.afterDown();
    return containers.map((container) => container.name);
  }

  async otherNetwork(
    network: FleetNetwork,
    signal?: AbortSignal,
  ): Promise<{ readonly present: FleetNetwork | null } | null> {
    const current = await this.#tools.network.other(network, signal);
    return current && { present: asFleetNetwork(current) };
  }

  tryNetwork(network: FleetNetwork, signal?: AbortSignal): Promise<void> {
    return this.#tools.network.tryOut(network, signal);
  }

  async ensureNetwork(network: FleetNetwork, options: OperationOptions = {}): Promise<void> {
    await this.#tools.network.ensure(network, options);
  }

  async removeNetworkIfUnused(signal?: AbortSignal): Promise<boolean> {
    const removed = await this.#tools.network.removeIfUnused(signal);
    if (removed) await this.#helper.remove();
    return removed;
  }

  async deckies(signal?: AbortSignal): Promise<readonly string[]> {
    const all = await this.#listing.all(signal);
    return [...new Set(all.map((container) => container.decky))].filter((decky) => decky !== '').sort();
  }

  async writeDocument(document: ComposeDocument): Promise<string> {
    await writeComposeFile(this.#composeFile, composeFileText(document, this.#scope));
    return this.#composeFile;
  }

  async purge(options: OperationOptions = {}): Promise<Purged> {
    const purged = await purge({ docker: this.#docker, instance: this.#scope.instance, tools: this.#tools, options });
    if (purged.networks > 0) await this.#helper.afterDown();
    return purged;
  }

  /** The spec with our labels on every service, as they stand in the written file. */
  #own(spec: DeckySpec): DeckySpec {
    const services = Object.fromEntries(
      Object.entries(spec.services).map(([key, service]) => [key, withOwnLabels(key, service, this.#scope)]),
    );
    return { ...spec, services };
  }

  #observeOne(spec: DeckySpec, all: readonly CurrentContainer[]): DeckyObservation {
    const mine = all.filter((container) => container.decky === spec.decky);
    const context = this.#asItIs(spec, mine);
    const differences = describeDifferences(spec, mine, context);
    return {
      decky: spec.decky,
      asSpecified: differences.length === 0,
      differences,
      drift: findDifferences(spec, mine, context),
      containers: mine.map(({ name, key, state, ip }) => ({ name, service: key, state, ip })),
    };
  }

  /** An observation takes the network that the base is on as the right one: `up` is who judges networks. */
  #asItIs({ keys }: DeckySpec, mine: readonly CurrentContainer[]): PlanContext {
    const networkId = mine.find((container) => container.key === keys[0])?.networkId ?? null;
    return { networkName: this.#tools.network.name, networkId, project: this.#scope.project };
  }

  async #current(decky: string, signal: AbortSignal | undefined): Promise<readonly CurrentContainer[]> {
    return this.#marked(await this.#listing.ofDecky(decky, signal), signal);
  }

  async #marked(
    current: readonly CurrentContainer[],
    signal: AbortSignal | undefined,
  ): Promise<readonly CurrentContainer[]> {
    return this.#tools.containers.mark(await this.#joins.mark(current, signal));
  }

  /**
   * Brings a container back that the engine had left behind, or whose base was started after it; says whether it did. One that
   * does not start is logged. It inspects the container again first: who brings the decky up meanwhile is not disturbed.
   */
  async #resume(name: string, base: string, signal: AbortSignal | undefined): Promise<boolean> {
    const inspect = (one: string) => inspectContainer(this.#docker, this.#scope, one, signal);
    const inspection = await inspect(name);
    if (!inspection) return false;
    const isCutOff = name !== base && fateOf(inspection, await inspect(base)) === 'cut off';
    if (!isCutOff && !isLeftBehind(inspection)) return false;
    const { containers } = this.#tools;
    const why = isCutOff ? 'its base was started after it' : 'the engine had left it behind';
    try {
      await (isCutOff ? containers.restart : containers.start).call(containers, inspection.id, name, signal);
      this.#logger.info({ container: name }, `started again: ${why}`);
      return true;
    } catch (error) {
      signal?.throwIfAborted();
      this.#logger.warn({ err: error, container: name }, `does not start again: ${why}`);
      return false;
    }
  }

  /**
   * What was ended from outside while its decky was watched is no failure of the decky: it is brought up again as it was, and has
   * to run for its time anew. Throws what may pass; what does not is the verdict.
   */
  async #bringBack(spec: DeckySpec, why: string, remainingMs: number, signal?: AbortSignal): Promise<Health> {
    const current = await this.#current(spec.decky, signal);
    const steps = planDecky(spec, current, this.#asItIs(spec, current));
    this.#logger.info({ decky: spec.decky, why, steps }, 'bringing back what was ended from outside');
    const ids = new Map(current.map((container) => [container.key, container.id]));
    const options = signal ? { signal } : {};
    this.#returning.add(spec.decky);
    try {
      await executePlan(steps, { tools: this.#tools, spec, fleetNetwork: null, options, ids });
      this.#returning.delete(spec.decky);
    } catch (error) {
      if (!isDeckhandError(error) || error.retryable) throw error;
      this.#returning.delete(spec.decky);
      return { status: 'failed', sentence: `${why}; it was started again, in vain: ${error.message}` };
    }
    return { status: 'waiting', sentence: `${why}; it was started again`, remainingMs };
  }

  async #stillness({ decky }: DeckySpec, signal?: AbortSignal): Promise<Health> {
    const live = (await this.#listing.ofDecky(decky, signal)).find(({ state }) => RUNS.includes(state));
    if (!live) return { status: 'healthy' };
    return { status: 'waiting', sentence: `container ${live.name} is ${live.state} still`, remainingMs: STILL_MS };
  }

  async #allRun(spec: DeckySpec, signal?: AbortSignal): Promise<boolean> {
    const current = await this.#current(spec.decky, signal);
    return spec.keys.every((key) =>
      current.some((container) => container.key === key && container.state === 'running' && !container.cutOff),
    );
  }

  /** The engine's clock is asked only where a start is seen for the first time. */
  async #noteAges(inspections: readonly (Inspection | null)[], signal: AbortSignal | undefined): Promise<void> {
    const running = inspections.flatMap((one) => (one?.state === 'running' ? [one] : []));
    if (this.#ages.hasNew(running)) this.#ages.note(running, await this.#engineNow(signal));
  }

  #engineNow(signal: AbortSignal | undefined): Promise<number> {
    const doing = "reading of the engine's clock";
    return callEngine({ doing, signal, timeoutMs: READ_TIMEOUT_MS }, async (abortSignal) => {
      const info: { SystemTime?: string } = await raceAbort(this.#docker.info(), abortSignal);
      return Date.parse(info.SystemTime ?? '') || 0;
    });
  }
}
