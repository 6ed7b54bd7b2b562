/** What the status in a heartbeat says, judged entry by entry: a bad one costs itself only. */
import { createHash } from 'node:crypto';
import type { ReportedDecky, WholeReport } from '../../adapters/postgres/host-reports.ts';
import { addressProblem } from '../../fleet/addresses.ts';
import type { DeckyConfig } from '../../fleet/config.ts';
import { LIMITS } from '../../fleet/limits.ts';
import { isStorable, StrictDeckyConfig } from './decky-config.ts';

/** Docker's words for a container, and DECNET's for none; others are not passed on. */
const CONTAINER_WORDS = new Set(['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead', 'absent']);
const LONGEST_SENTENCE = 500;

export type Json = Readonly<Record<string, unknown>>;

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What a report is recognised by. */
export const hashOf = (status: Json): string => createHash('sha256').update(JSON.stringify(status)).digest('hex');

export function readReport(status: Json, facts: { hash: string; agentVersion: string | null }): WholeReport {
  const fenced = isObject(status.deckhand);
  const { entries, complete } = entriesOf(status);
  const runtime = isObject(status.runtime) ? status.runtime : {};
  // Of two entries with one name the last counts, as where they are written one after another.
  const deckies = new Map<string, ReportedDecky>();
  for (const entry of entries) {
    const config = deckyConfigOf(entry);
    if (config) deckies.set(config.name, reportedDecky(config, runtime[config.name]));
  }
  return {
    ...facts,
    fenced,
    deckies: [...deckies.values()],
    present: entries.flatMap((entry) => (typeof entry.name === 'string' && isStorable(entry.name) ? [entry.name] : [])),
    complete,
  };
}

/** The deckies that a status names, as many as a fleet may have; `complete`: what is not among them is not there. */
export function entriesOf(status: Json): { readonly entries: readonly Json[]; readonly complete: boolean } {
  // An agent of DECNET says `false` too where it knows nothing.
  if (!status.deployed) return { entries: [], complete: isObject(status.deckhand) && status.deployed === false };
  if (!Array.isArray(status.deckies)) return { entries: [], complete: false };
  const entries = status.deckies.slice(0, LIMITS.deploymentLimitMax).filter(isObject);
  return { entries, complete: status.deckies.length <= LIMITS.deploymentLimitMax };
}

export function deckyConfigOf(entry: Json): DeckyConfig | null {
  const result = StrictDeckyConfig.safeParse(entry);
  return result.success && isStorable(entry) ? withAddress(result.data) : null;
}

/** What is no address is none: the fleet's addresses are counted on (gap B12), and one of them may come from here. */
const withAddress = (config: DeckyConfig): DeckyConfig =>
  addressProblem(config.ip) === null ? config : { ...config, ip: '' };

function reportedDecky(config: DeckyConfig, runtime: unknown): ReportedDecky {
  const running = isObject(runtime) && Boolean(runtime.running);
  const seen = !isObject(runtime) ? null : running ? 'running' : 'degraded';
  return {
    config,
    shardState: running ? 'running' : 'degraded',
    seen,
    sentence: seen === 'degraded' ? sentenceOf(config, isObject(runtime) ? runtime.services : null) : null,
  };
}

function sentenceOf(config: DeckyConfig, services: unknown): string {
  const states = isObject(services) ? services : {};
  const down = [...new Set(config.services)]
    .map((name) => [name, Object.hasOwn(states, name) ? states[name] : 'running'] as const)
    .filter(([, state]) => state !== 'running')
    .map(([name, state]) => `${name} is ${CONTAINER_WORDS.has(String(state)) ? state : 'not running'}`);
  return (down.length > 0 ? `Its host says: ${down.join(', ')}.` : 'Its host says that it does not run.').slice(
    0,
    LONGEST_SENTENCE,
  );
}
