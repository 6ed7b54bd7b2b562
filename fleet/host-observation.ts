/**
 * What a host reports, parsed once. Its agent's status is read here only, whether it came with a
 * heartbeat or was asked for:
 *
 *   readHostObservation   a status, as HostObservation
 *   readDelta             a delta of a heartbeat
 *   hostStates            what an observation makes of the deckies' states
 *   engineObservation     the same, for the comparison with what should be there (drift.ts)
 *
 * What an observation proves about open rows is judge-host.ts. No reader throws. What makes no
 * sense costs itself only, a word of a later version is unknown (null), and every text is plain and
 * bounded, so that a row, a report and a history can hold it.
 */
import { addressProblem } from './addresses.ts';
import type { Fence } from './agent-wire.ts';
import type { DeckyConfig } from './config.ts';
import { type Difference, DRIFT, type DriftReason, type EngineObservation, type SeenDecky } from './drift.ts';
import { rowText } from './errors.ts';
import { DECKY_STATE, type DeckyState, OPERATION, type Operation, STATUS, type Status } from './lifecycle.ts';
import { LIMITS } from './limits.ts';
import { boundedText, LONGEST_STEP, plainText } from './text.ts';
import { StrictDeckyConfig } from './wire.ts';

export type Json = Readonly<Record<string, unknown>>;

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * NUL and half a surrogate pair, as JSON escapes them: JSON can carry them, PostgreSQL's jsonb
 * can't. A backslash before them is text.
 */
const UNSTORABLE = /(?<!\\)(?:\\\\)*\\(?:u0000|ud[89a-f][0-9a-f]{2})/i;
/**
 * Deeper values exhaust the stack of whoever writes them; a decky's configuration has five levels.
 */
const DEEPEST = 32;

/** Whether the value has no more than `levels` of nesting. */
export function isWithin(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return levels > 0 && Object.values(value).every((one) => isWithin(one, levels - 1));
}

/** Whether PostgreSQL's jsonb takes the value as it is. */
export const isStorable = (value: unknown): boolean =>
  isWithin(value, DEEPEST) && !UNSTORABLE.test(JSON.stringify(value) ?? '');

/** Longest name of a decky, a service or a container. */
const LONGEST_NAME = 128;
const LONGEST_CONTAINER = 200;
/** A deployment's id has 36 characters. */
const LONGEST_ID = 200;
const LONGEST_WORD = 50;
/** More differences of one decky than a decky has containers mean nothing. */
const MOST_DIFFERENCES = 100;
/**
 * Each is a line of drift with an event of its own; what is beyond comes to light when some are
 * gone.
 */
const MOST_ORPHANS = 1_000;
const MOST_WORK = 10_000;
/** Deckies of the largest fleet, and as many that were there before. */
const MOST_DECKIES = 2 * LIMITS.deploymentLimitMax;
const DECKY_NAME = /^[A-Za-z0-9_.-]{1,128}$/;
const CONTAINER_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$/;

/** One decky of a status, as DECNET's agents list them too. */
interface ListedDecky {
  readonly name: string;
  readonly services: readonly string[];
  /** Null: it is no whole DeckyConfig. */
  readonly config: DeckyConfig | null;
}

interface ObservedRuntime {
  readonly running: boolean;
  /** By service: Docker's word, or "absent". */
  readonly services: Readonly<Record<string, string>>;
}

interface ObservedDifference {
  readonly reason: DriftReason;
  readonly container: string;
}

/** What an agent of ours says of one decky. */
interface ObservedDecky extends Fence {
  /** Null: a word that this master does not know. */
  readonly status: Status | null;
  readonly error: string | null;
  readonly seen: DeckyState | null;
  readonly step: string | null;
  /** Null: it was not compared. */
  readonly drift: readonly ObservedDifference[] | null;
}

export interface ObservedReport {
  readonly work: readonly Fence[];
  readonly deckies: ReadonlyMap<string, ObservedDecky>;
  readonly orphans: readonly string[];
  /** The highest ticket that it has accepted; null: none that is a number. */
  readonly ticket: number | null;
  /** False: a part of it can't be read, so that what it does not name may be there all the same. */
  readonly complete: boolean;
}

export interface HostObservation {
  readonly deployed: boolean;
  readonly deckies: readonly ListedDecky[];
  /** False: nothing can be concluded from what is not among the deckies. */
  readonly complete: boolean;
  readonly runtime: ReadonlyMap<string, ObservedRuntime>;
  /** Null: an agent of DECNET. */
  readonly report: ObservedReport | null;
}

/** One delta of a heartbeat. */
export interface ObservedDelta {
  readonly deckyName: string;
  readonly operation: Operation;
  readonly status: Exclude<Status, 'pending'>;
  readonly error: string | null;
  /** Epoch milliseconds by the host's clock; null where it is not given or no time. */
  readonly completedMs: number | null;
  readonly seen: DeckyState | null;
  readonly fence: { readonly operationId: string; readonly attempt: number; readonly sequence: number } | null;
}

type Cut = (text: string) => string;
const asItIs: Cut = (text) => text;

const member = <T extends string>(values: readonly T[], value: unknown): T | null =>
  values.find((candidate) => candidate === value) ?? null;

/** A word by which something is found: it is right as it stands, or it is none. */
const wordOf = (value: unknown, longest: number): string | null =>
  typeof value === 'string' && value !== '' && value.length <= longest && plainText(value) === value ? value : null;

/**
 * A text for people. Control characters go first, so that none hides a secret, and again after the
 * cut.
 */
const textOf = (value: unknown, cut: Cut, bound: (text: string) => string): string | null =>
  typeof value === 'string' ? bound(cut(plainText(cut(value)))) : null;

/** `cut` takes the secrets out of a text; the bound holds after it. */
export function readHostObservation(value: unknown, cut: Cut = asItIs): HostObservation {
  const status = isObject(value) ? value : {};
  const report = isObject(status.deckhand) ? readReport(status.deckhand, cut) : null;
  return { ...entriesOf(status, report !== null), runtime: runtimeOf(status.runtime), report };
}

/** As many deckies as a fleet may have. */
function entriesOf(status: Json, ours: boolean): Pick<HostObservation, 'deployed' | 'deckies' | 'complete'> {
  // An agent of DECNET says `false` too where it knows nothing.
  if (!status.deployed) return { deployed: false, deckies: [], complete: ours && status.deployed === false };
  if (!Array.isArray(status.deckies)) return { deployed: true, deckies: [], complete: false };
  const deckies = status.deckies.slice(0, LIMITS.deploymentLimitMax).flatMap((entry: unknown): ListedDecky[] => {
    const name = isObject(entry) ? wordOf(entry.name, LONGEST_NAME) : null;
    if (!isObject(entry) || name === null) return [];
    const services = Array.isArray(entry.services) ? entry.services : [];
    return [{ name, services: services.filter((one) => typeof one === 'string'), config: configOf(entry) }];
  });
  return { deployed: true, deckies, complete: status.deckies.length <= LIMITS.deploymentLimitMax };
}

function configOf(entry: Json): DeckyConfig | null {
  if (!isStorable(entry)) return null;
  const result = StrictDeckyConfig.safeParse(entry);
  return result.success ? withAddress(result.data) : null;
}

/**
 * What is no address is none: the fleet's addresses are counted on (docs/gaps.md, B12), and one of
 * them may come from here.
 */
const withAddress = (config: DeckyConfig): DeckyConfig =>
  addressProblem(config.ip) === null ? config : { ...config, ip: '' };

function runtimeOf(value: unknown): ReadonlyMap<string, ObservedRuntime> {
  const entries = isObject(value) ? Object.entries(value).slice(0, MOST_DECKIES) : [];
  return new Map(
    entries.flatMap(([name, one]): [string, ObservedRuntime][] => {
      if (wordOf(name, LONGEST_NAME) === null || !isObject(one)) return [];
      const services = isObject(one.services) ? Object.entries(one.services) : [];
      return [
        [
          name,
          {
            running: Boolean(one.running),
            services: Object.fromEntries(
              services
                .filter(([service]) => wordOf(service, LONGEST_CONTAINER) !== null)
                .map(([service, state]) => [
                  service,
                  boundedText(String(wordOf(state, LONGEST_WORD) ?? 'unknown'), LONGEST_WORD),
                ]),
            ),
          },
        ],
      ];
    }),
  );
}

function readReport(value: Json, cut: Cut): ObservedReport {
  const work = Array.isArray(value.work) ? value.work.slice(0, MOST_WORK) : null;
  const deckies = isObject(value.deckies) ? Object.entries(value.deckies).slice(0, MOST_DECKIES) : null;
  const orphans = Array.isArray(value.orphans) ? value.orphans : [];
  return {
    work: (work ?? []).flatMap((one: unknown) => (isObject(one) ? (fenceOf(one) ?? []) : [])),
    deckies: new Map(
      (deckies ?? []).flatMap(([name, one]): [string, ObservedDecky][] =>
        wordOf(name, LONGEST_NAME) !== null && isObject(one) ? [[name, readDecky(one, cut)]] : [],
      ),
    ),
    orphans: orphans
      .slice(0, MOST_ORPHANS)
      .filter((name: unknown): name is string => typeof name === 'string' && DECKY_NAME.test(name)),
    ticket: Number.isSafeInteger(value.ticket) ? Number(value.ticket) : null,
    complete: work !== null && deckies !== null,
  };
}

function fenceOf({ operation_id, attempt }: Json): Fence | null {
  const id = wordOf(operation_id, LONGEST_ID);
  return id !== null && Number.isSafeInteger(attempt) ? { operation_id: id, attempt: Number(attempt) } : null;
}

function readDecky(value: Json, cut: Cut): ObservedDecky {
  return {
    // A decky of no order of the master's has no fence.
    ...(fenceOf(value) ?? { operation_id: '', attempt: 0 }),
    status: member(Object.values(STATUS), value.status),
    error: textOf(value.error, cut, rowText),
    seen: member(Object.values(DECKY_STATE), value.seen),
    step: textOf(value.step, cut, (text) => boundedText(text, LONGEST_STEP)),
    drift: Array.isArray(value.drift) ? differencesOf(value.drift) : null,
  };
}

const differencesOf = (drift: readonly unknown[]): ObservedDifference[] =>
  drift.slice(0, MOST_DIFFERENCES).flatMap((one): ObservedDifference[] => {
    const reason = isObject(one) ? member(Object.values(DRIFT), one.reason) : null;
    if (!isObject(one) || reason === null) return [];
    const { container } = one;
    return typeof container === 'string' && CONTAINER_NAME.test(container) ? [{ reason, container }] : [];
  });

/**
 * Null for a delta that makes no sense (docs/gaps.md, A10). Its error still has to be cut free of
 * secrets: {@link deltaError}.
 */
export function readDelta(value: unknown): ObservedDelta | null {
  if (!isObject(value)) return null;
  const { error, completed_at: completedAt } = value;
  const deckyName = wordOf(value.decky_name, LONGEST_NAME);
  const operation = member(Object.values(OPERATION), value.operation);
  const status = member(Object.values(STATUS), value.status);
  if (deckyName === null || operation === null || status === null || status === STATUS.pending) return null;
  const fence = deltaFence(value);
  if (fence === undefined) return null;
  const completedMs = typeof completedAt === 'string' ? Date.parse(completedAt) : Number.NaN;
  return {
    deckyName,
    operation,
    status,
    error: typeof error === 'string' ? error : null,
    completedMs: Number.isNaN(completedMs) ? null : completedMs,
    seen: member(Object.values(DECKY_STATE), value.seen),
    fence,
  };
}

/** A delta's error as a row can hold it. */
export const deltaError = (error: string, cut: Cut): string => textOf(error, cut, rowText) ?? '';

/** Undefined for half a fence. */
function deltaFence(value: Json): ObservedDelta['fence'] | undefined {
  const { operation_id, attempt, sequence } = value;
  if (operation_id === undefined && attempt === undefined && sequence === undefined) return null;
  const fence = fenceOf(value);
  if (fence === null || !Number.isSafeInteger(sequence)) return;
  return { operationId: fence.operation_id, attempt: fence.attempt, sequence: Number(sequence) };
}

/** Docker's words for a container, and DECNET's for none; others are not passed on. */
const CONTAINER_WORDS = new Set(['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead', 'absent']);
const LONGEST_SENTENCE = 500;

/** One decky as a host reports it. */
interface ReportedDecky {
  readonly config: DeckyConfig;
  /** As DECNET's view has it. */
  readonly reportedState: 'running' | 'degraded';
  /** What was really seen; null where the host's engine said nothing. */
  readonly seen: 'running' | 'degraded' | null;
  /** What is wrong, where it is degraded. */
  readonly sentence: string | null;
}

export interface HostStates {
  /** An agent of ours. */
  readonly fenced: boolean;
  readonly deckies: readonly ReportedDecky[];
  /** Names of all that was reported, well-formed or not. */
  readonly present: readonly string[];
  /** False where nothing can be concluded from what is not in it. */
  readonly complete: boolean;
}

/** The states that an observation gives the deckies of a host. */
export function hostStates(status: HostObservation): HostStates {
  // Of two entries with one name the last counts, as where they are written one after another.
  const deckies = new Map<string, ReportedDecky>();
  for (const { config } of status.deckies)
    if (config) deckies.set(config.name, reportedDecky(config, status.runtime.get(config.name)));
  return {
    fenced: status.report !== null,
    deckies: [...deckies.values()],
    present: status.deckies.map(({ name }) => name),
    complete: status.complete,
  };
}

function reportedDecky(config: DeckyConfig, runtime: ObservedRuntime | undefined): ReportedDecky {
  const seen = runtime && (runtime.running ? 'running' : 'degraded');
  return {
    config,
    reportedState: seen ?? 'degraded',
    seen: seen ?? null,
    sentence: seen === 'degraded' ? sentenceOf(config, runtime?.services ?? {}) : null,
  };
}

function sentenceOf(config: DeckyConfig, states: ObservedRuntime['services']): string {
  const down = [...new Set(config.services)]
    .map((name) => [name, Object.hasOwn(states, name) ? states[name] : 'running'] as const)
    .filter(([, state]) => state !== 'running')
    .map(([name, state]) => `${name} is ${CONTAINER_WORDS.has(String(state)) ? state : 'not running'}`);
  return (down.length > 0 ? `Its host says: ${down.join(', ')}.` : 'Its host says that it does not run.').slice(
    0,
    LONGEST_SENTENCE,
  );
}

/** Services as containers are named after them; others are dropped. */
const SERVICE_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$/;

const WORDS: Readonly<Record<DriftReason, string>> = Object.freeze({
  missing: 'it is missing',
  exited: 'it does not run',
  paused: 'it is paused; `docker unpause` lets it go on, a reconcile makes it anew',
  cut_off: 'it is cut off, since its base was started after it',
  other_image: 'it is made of another image',
  other_configuration: 'it is not as it was sent',
  orphan: 'nobody wants it',
  moved_address: 'it has another address, or network',
});

/** What an observation says of a host's engine. Words of the agent's own are not passed on. */
export function engineObservation(status: HostObservation): EngineObservation {
  const { report, runtime } = status;
  // An agent leaves `runtime` empty where Docker does not answer.
  if (status.deckies.length > 0 && runtime.size === 0)
    return { answered: false, why: 'the host’s container engine does not answer' };
  const deckies = new Map<string, SeenDecky>();
  for (const { config } of status.deckies) {
    if (!config) continue;
    const own = report?.deckies.get(config.name);
    const seen = runtime.get(config.name);
    deckies.set(config.name, {
      config,
      busy: !seen || own?.status === STATUS.pending || own?.status === STATUS.running,
      differences: own?.drift
        ? own.drift.map((one): Difference => ({ ...one, detail: WORDS[one.reason] }))
        : judged(config.name, seen),
    });
  }
  return { answered: true, deckies, orphans: report?.orphans ?? [], complete: status.complete };
}

/** An agent of DECNET says of each service only whether its container runs. */
function judged(name: string, seen: ObservedRuntime | undefined): Difference[] {
  return Object.entries(seen?.services ?? {}).flatMap(([service, state]): Difference[] => {
    if (state === 'running' || !SERVICE_NAME.test(service)) return [];
    const reason = state === 'absent' ? DRIFT.missing : state === 'paused' ? DRIFT.paused : DRIFT.exited;
    return [{ reason, container: `${name}-${service}`, detail: WORDS[reason] }];
  });
}
