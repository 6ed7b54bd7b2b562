/**
 * What runs on the engine.
 *
 * 1. The listing: containers of this instance and project.
 * 2. The inspection of one container, and the end of its log as evidence for a sentence.
 * 3. Its fate: whether it ended by itself or was ended from outside. Everybody who observes a container judges by this.
 * 4. Ages: how long containers have run.
 * 5. Base joins: which services are cut off from their base.
 */

import { stripVTControlCharacters } from 'node:util';
import type Docker from 'dockerode';
import { raceAbort, Semaphore } from '../../lib/concurrency.ts';
import type { EngineScope } from '../engine.ts';
import { LABEL } from './create-options.ts';
import { allSettled, callEngine, engineStatus, READ_TIMEOUT_MS } from './transport.ts';

export interface CurrentContainer {
  readonly id: string;
  readonly name: string;
  readonly decky: string;
  /** Key of the service in the compose document. */
  readonly key: string;
  /** The image's name; its id where the name has come to mean another image since. */
  readonly image: string;
  /** created, running, paused, restarting, removing, exited or dead. */
  readonly state: string;
  readonly configHash: string;
  /** Id of the fleet's network that it is attached to, and its address there. */
  readonly networkId: string | null;
  readonly ip: string | null;
  /** Of its endpoint on that network: another one after each start. */
  readonly endpointId: string | null;
  /** A service whose base was started after it ({@link BaseJoins}). */
  readonly cutOff?: boolean;
  /** The engine can't start it as it is: only one that is made anew can run. */
  readonly unstartable?: boolean;
}

interface EndpointFacts {
  readonly NetworkID: string;
  readonly EndpointID?: string;
  readonly IPAddress: string;
  readonly IPAMConfig?: { readonly IPv4Address?: string } | null;
}

function toCurrent(info: Docker.ContainerInfo, networkName: string): CurrentContainer {
  const endpoint = info.NetworkSettings?.Networks?.[networkName] as EndpointFacts | undefined;
  return {
    id: info.Id,
    name: (info.Names?.[0] ?? info.Id).replace(/^\//, ''),
    decky: info.Labels[LABEL.decky] ?? '',
    key: info.Labels[LABEL.composeService] ?? '',
    image: info.Image,
    state: info.State,
    configHash: info.Labels[LABEL.composeConfigHash] ?? '',
    networkId: endpoint?.NetworkID || null,
    ip: endpoint?.IPAMConfig?.IPv4Address || endpoint?.IPAddress || null,
    endpointId: endpoint?.EndpointID || null,
  };
}

interface Batch {
  readonly deckies: Set<string>;
  everything: boolean;
  readonly promise: Promise<readonly CurrentContainer[]>;
}

/**
 * Lists containers. Those who ask in one tick of the event loop share one listing, which begins after all of them asked:
 * twelve deckies on their way up cost one call, and nobody is answered from before his question.
 */
export class ContainerListing {
  readonly #docker: Docker;
  readonly #scope: EngineScope;
  readonly #networkName: string;
  #open: Batch | null = null;

  constructor(docker: Docker, scope: EngineScope, networkName: string) {
    this.#docker = docker;
    this.#scope = scope;
    this.#networkName = networkName;
  }

  /** Containers of one decky. */
  async ofDecky(decky: string, signal?: AbortSignal): Promise<readonly CurrentContainer[]> {
    const all = await raceAbort(
      this.#join((batch) => batch.deckies.add(decky)),
      signal,
    );
    return all.filter((container) => container.decky === decky);
  }

  /** Containers of all deckies of the project. */
  all(signal?: AbortSignal): Promise<readonly CurrentContainer[]> {
    const everything = this.#join((batch) => {
      batch.everything = true;
    });
    return raceAbort(everything, signal);
  }

  #join(enter: (batch: Batch) => void): Promise<readonly CurrentContainer[]> {
    this.#open ??= this.#newBatch();
    enter(this.#open);
    return this.#open.promise;
  }

  #newBatch(): Batch {
    const tick = new Promise((resolve) => setImmediate(resolve));
    const batch: Batch = {
      deckies: new Set(),
      everything: false,
      promise: tick.then(() => {
        this.#open = null;
        const [only] = batch.deckies;
        return this.#list(!batch.everything && batch.deckies.size === 1 ? only : undefined);
      }),
    };
    return batch;
  }

  async #list(decky: string | undefined): Promise<readonly CurrentContainer[]> {
    const label = [`${LABEL.instance}=${this.#scope.instance}`, `${LABEL.project}=${this.#scope.project}`];
    if (decky !== undefined) label.push(`${LABEL.decky}=${decky}`);
    const infos = await callEngine(
      { doing: 'listing of containers', signal: undefined, timeoutMs: READ_TIMEOUT_MS },
      (abortSignal) => this.#docker.listContainers({ all: true, filters: { label }, abortSignal }),
    );
    return infos.map((info) => toCurrent(info, this.#networkName));
  }
}

// 2. One container

/** By its name or id; null where there is none that is ours. */
export async function inspectContainer(
  docker: Docker,
  scope: EngineScope,
  name: string,
  signal?: AbortSignal,
): Promise<Inspection | null> {
  const doing = `inspection of container ${name}`;
  return callEngine({ doing, signal, timeoutMs: READ_TIMEOUT_MS }, async (abortSignal) => {
    try {
      const info = await docker.getContainer(name).inspect({ abortSignal });
      if (info.Config.Labels?.[LABEL.instance] !== scope.instance) return null;
      const { State } = info;
      return {
        id: info.Id,
        name: info.Name.replace(/^\//, ''),
        state: State.Status,
        exitCode: State.ExitCode,
        oomKilled: State.OOMKilled,
        error: State.Error,
        startedAt: Date.parse(State.StartedAt),
        restarts: info.RestartCount,
        policy: info.HostConfig.RestartPolicy?.Name || 'no',
      };
    } catch (error) {
      if (engineStatus(error) === 404) return null;
      throw error;
    }
  });
}

/** Cleaned; empty when there is no log, or its driver can't be read. */
export async function lastLogLines(docker: Docker, id: string, signal?: AbortSignal): Promise<string> {
  const doing = `log of container ${id}`;
  return callEngine({ doing, signal, timeoutMs: READ_TIMEOUT_MS }, async (abortSignal) => {
    try {
      const container = docker.getContainer(id);
      const options = { stdout: true, stderr: true, tail: EVIDENCE_LINES, follow: false as const, abortSignal };
      const raw: unknown = await container.logs(options);
      return cleanLog(Buffer.isBuffer(raw) ? demultiplex(raw) : String(raw));
    } catch (error) {
      if (engineStatus(error) !== null) return '';
      throw error;
    }
  });
}

export const EVIDENCE_LINES = 10;
export const EVIDENCE_CHARACTERS = 1_200;

/** Header of a frame in the engine's multiplexed stream: stream number, three zeros, length (big endian). */
const HEADER_BYTES = 8;

/** The engine's multiplexed stdout and stderr → text, in order. A raw stream (of a terminal) is taken as it is. */
export function demultiplex(buffer: Buffer): string {
  const parts: Buffer[] = [];
  let offset = 0;
  while (offset + HEADER_BYTES <= buffer.length) {
    const [stream, zero1, zero2, zero3] = buffer.subarray(offset, offset + 4);
    if (stream === undefined || stream > 2 || zero1 !== 0 || zero2 !== 0 || zero3 !== 0) return buffer.toString('utf8');
    const length = buffer.readUInt32BE(offset + 4);
    parts.push(buffer.subarray(offset + HEADER_BYTES, offset + HEADER_BYTES + length));
    offset += HEADER_BYTES + length;
  }
  return (parts.length > 0 ? Buffer.concat(parts) : buffer).toString('utf8');
}

/** Control characters but the line feed, C1 included: what a decoy wrote must not steer an operator's terminal. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what has to go
const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g;

/** The last ten lines without ANSI sequences and control characters, at most 1,200 characters, the end kept. */
export function cleanLog(text: string): string {
  const lines = stripVTControlCharacters(text).replace(/\r\n/g, '\n').replace(CONTROL, ' ').split('\n');
  const kept = lines
    .map((line) => line.trimEnd())
    .filter((line) => line !== '')
    .slice(-EVIDENCE_LINES)
    .join('\n');
  return kept.length > EVIDENCE_CHARACTERS ? `…${kept.slice(1 - EVIDENCE_CHARACTERS)}` : kept;
}

// 3. Its fate

/** One container as its inspection shows it; null where it is missing. */
export interface Inspection {
  readonly id: string;
  readonly name: string;
  /** created, running, paused, restarting, removing, exited or dead. */
  readonly state: string;
  readonly exitCode: number;
  readonly oomKilled: boolean;
  /** The engine's own words when it could not start it. */
  readonly error: string;
  /** Epoch milliseconds, by the engine's clock. */
  readonly startedAt: number;
  readonly restarts: number;
  /** Name of the restart policy: no, on-failure, unless-stopped or always. */
  readonly policy: string;
}

/**
 * `startable`: something outside ended it, or it was never started: a start is right.
 * `ended`: it ended by itself, for good.
 * `cut off`: it runs in the network that its base had before.
 */
export type Fate = 'missing' | 'running' | 'restarting' | 'paused' | 'startable' | 'ended' | 'cut off';

/** The engine's words, since it has no code for it: 20.10 to 28, seen with 20.10. */
const BASE_WAS_NOT_THERE = /cannot join network\b.*\bnon.running container/;

/**
 * After a restart of the machine, or of Docker, the engine starts all containers side by side. A service that starts
 * before its base can't join the base's network. The engine gives that service up, whatever its restart policy says.
 */
export const isLeftBehind = ({ state, error }: Pick<Inspection, 'state' | 'error'>): boolean =>
  (state === 'exited' || state === 'created') && BASE_WAS_NOT_THERE.test(error);

/**
 * Under these policies the engine itself starts what ends: such a container is `restarting` or runs again. When it is `exited`
 * all the same, somebody stopped it, or the engine did as it ended, or could not start it as it came back.
 */
const KEPT_UP: readonly string[] = ['always', 'unless-stopped'];

/**
 * A service joins the network namespace of its base when it starts. A base that was started later has a new namespace, and
 * nobody reaches the service in the old one. Both times are by the engine's clock, and the base runs before a service can join.
 */
export const isCutOff = (
  service: Pick<Inspection, 'state' | 'startedAt'>,
  base: Pick<Inspection, 'state' | 'startedAt'> | null,
): boolean => service.state === 'running' && base?.state === 'running' && base.startedAt > service.startedAt;

/** `base` is null for a base itself. */
export function fateOf(container: Inspection | null, base: Inspection | null): Fate {
  if (!container) return 'missing';
  const { state, policy } = container;
  if (state === 'running') return isCutOff(container, base) ? 'cut off' : 'running';
  if (state === 'restarting' || state === 'paused') return state;
  // A dead one is what a removal left that the engine could not finish; it can only be made anew.
  if (['created', 'removing', 'dead'].includes(state) || isLeftBehind(container)) return 'startable';
  return state === 'exited' && KEPT_UP.includes(policy) ? 'startable' : 'ended';
}

/** One clause: what an operator needs to know of a container that does not run. */
export function describeContainer(container: Inspection): string {
  if (container.state === 'paused') return `container ${container.name} is paused; ${howToUnpause(container.name)}`;
  const restarts = container.restarts > 0 ? `, restarted ${container.restarts} times` : '';
  const memory = container.oomKilled ? ', killed for want of memory' : '';
  const words = container.error ? `; the engine says: ${container.error}` : '';
  return `container ${container.name} is ${container.state}, exit code ${container.exitCode}${memory}${restarts}${words}`;
}

export const howToUnpause = (name: string): string =>
  `\`docker unpause ${name}\` lets it go on, a reconcile makes it anew`;

// 4. Ages. The engine's clock may be minutes away from ours, and either may be set while a decky is watched. So an age counts
// from the first observation that saw this start, by a clock that nobody sets. What the engine's own clock says at that moment
// is added, since a container may have run for long before anybody observed it.

interface Start {
  /** Which start of the container it is about. */
  readonly start: string;
  /** By the steady clock, in milliseconds. */
  readonly firstSeen: number;
  /** How old it was then, by the engine's clock. */
  readonly ageMs: number;
}

/** More than an engine has containers; the oldest are forgotten first, and measured again when they are seen again. */
const MOST = 20_000;

const startOf = ({ startedAt, restarts }: Inspection): string => `${startedAt}/${restarts}`;

export class Ages {
  readonly #starts = new Map<string, Start>();
  readonly #steadyNow: () => number;

  constructor(steadyNow: () => number = () => performance.now()) {
    this.#steadyNow = steadyNow;
  }

  /** Whether one of them was not seen before in this run of it: then the engine's clock has to be asked. */
  hasNew(containers: readonly Inspection[]): boolean {
    return containers.some((container) => this.#starts.get(container.id)?.start !== startOf(container));
  }

  /** `engineNow`: epoch milliseconds by the engine's own clock. */
  note(containers: readonly Inspection[], engineNow: number): void {
    for (const container of containers) {
      if (!this.hasNew([container])) continue;
      this.#starts.delete(container.id);
      const ageMs = Math.max(0, engineNow - container.startedAt) || 0;
      this.#starts.set(container.id, { start: startOf(container), firstSeen: this.#steadyNow(), ageMs });
    }
    for (const id of this.#starts.keys()) {
      if (this.#starts.size <= MOST) break;
      this.#starts.delete(id);
    }
  }

  /** In milliseconds; 0 for a start that was not noted. */
  of(container: Inspection): number {
    const known = this.#starts.get(container.id);
    if (known?.start !== startOf(container)) return 0;
    return known.ageMs + (this.#steadyNow() - known.firstSeen);
  }
}

// 5. Base joins. A service is cut off from its base when the base was started after the service had joined its network. A
// listing does not show when a container was started, so each pair is inspected once. A base gets a new endpoint with each
// start, and a service that joined it stays joined for as long as that endpoint is there: observing a fleet that stands still
// inspects nothing.

/** Inspections at one time. */
const PARALLEL = 8;

export type InspectById = (id: string, signal: AbortSignal | undefined) => Promise<Inspection | null>;

export class BaseJoins {
  readonly #inspect: InspectById;
  readonly #semaphore = new Semaphore(PARALLEL);
  /** Service's id → the start of its base that it was seen to have joined. */
  readonly #joined = new Map<string, string>();

  constructor(inspect: InspectById) {
    this.#inspect = inspect;
  }

  /** `current` with the services marked that are cut off. */
  async mark(current: readonly CurrentContainer[], signal?: AbortSignal): Promise<readonly CurrentContainer[]> {
    const running = current.filter(({ state }) => state === 'running');
    const found = await allSettled(
      running.filter(isBase).map((base) => {
        const services = running.filter((one) => one.decky === base.decky && !isBase(one));
        const unknown = services.filter(({ id }) => this.#joined.get(id) !== endpointOf(base));
        return unknown.length === 0 ? Promise.resolve([]) : this.#compare(base, unknown, signal);
      }),
    );
    const cutOff = new Set(found.flat());
    this.#forgetAllBut(current);
    return cutOff.size === 0
      ? current
      : current.map((container) => (cutOff.has(container.id) ? { ...container, cutOff: true } : container));
  }

  /** Ids of those that are cut off. */
  async #compare(
    base: CurrentContainer,
    services: readonly CurrentContainer[],
    signal: AbortSignal | undefined,
  ): Promise<readonly string[]> {
    const seenBase = await this.#inspectOne(base, signal);
    const cutOff: string[] = [];
    for (const service of services) {
      const seen = await this.#inspectOne(service, signal);
      if (!seen || !seenBase) continue;
      if (isCutOff(seen, seenBase)) cutOff.push(service.id);
      else if (base.endpointId && seen.state === 'running') this.#joined.set(service.id, endpointOf(base));
    }
    return cutOff;
  }

  async #inspectOne(container: CurrentContainer, signal: AbortSignal | undefined): Promise<Inspection | null> {
    const release = await this.#semaphore.acquire(signal);
    try {
      return await this.#inspect(container.id, signal);
    } finally {
      release();
    }
  }

  /** A listing of one decky says nothing of the others; ids are never used again, so that forgetting late costs memory only. */
  #forgetAllBut(current: readonly CurrentContainer[]): void {
    if (this.#joined.size <= 2 * current.length + 10_000) return;
    const there = new Set(current.map(({ id }) => id));
    for (const id of this.#joined.keys()) if (!there.has(id)) this.#joined.delete(id);
  }
}

const isBase = ({ key, decky }: CurrentContainer): boolean => key === decky;
const endpointOf = ({ id, endpointId }: CurrentContainer): string => `${id}/${endpointId}`;
