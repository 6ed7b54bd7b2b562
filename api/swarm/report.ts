/** What the status in a heartbeat says, judged entry by entry: a bad one costs itself only. */
import { createHash } from 'node:crypto';
import type { ReportedDecky, WholeReport } from '../../adapters/postgres/host-reports.ts';
import type { Json, SaidRuntime, SaidStatus } from '../../fleet/agent-says.ts';
import type { DeckyConfig } from '../../fleet/config.ts';

/** Docker's words for a container, and DECNET's for none; others are not passed on. */
const CONTAINER_WORDS = new Set(['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead', 'absent']);
const LONGEST_SENTENCE = 500;

/** What a report is recognised by. */
export const hashOf = (status: Json): string => createHash('sha256').update(JSON.stringify(status)).digest('hex');

export function wholeReport(status: SaidStatus, facts: { hash: string; agentVersion: string | null }): WholeReport {
  // Of two entries with one name the last counts, as where they are written one after another.
  const deckies = new Map<string, ReportedDecky>();
  for (const { config } of status.deckies)
    if (config) deckies.set(config.name, reportedDecky(config, status.runtime.get(config.name)));
  return {
    ...facts,
    fenced: status.report !== null,
    deckies: [...deckies.values()],
    present: status.deckies.map(({ name }) => name),
    complete: status.complete,
  };
}

function reportedDecky(config: DeckyConfig, runtime: SaidRuntime | undefined): ReportedDecky {
  const seen = runtime && (runtime.running ? 'running' : 'degraded');
  return {
    config,
    shardState: seen ?? 'degraded',
    seen: seen ?? null,
    sentence: seen === 'degraded' ? sentenceOf(config, runtime?.services ?? {}) : null,
  };
}

function sentenceOf(config: DeckyConfig, states: SaidRuntime['services']): string {
  const down = [...new Set(config.services)]
    .map((name) => [name, Object.hasOwn(states, name) ? states[name] : 'running'] as const)
    .filter(([, state]) => state !== 'running')
    .map(([name, state]) => `${name} is ${CONTAINER_WORDS.has(String(state)) ? state : 'not running'}`);
  return (down.length > 0 ? `Its host says: ${down.join(', ')}.` : 'Its host says that it does not run.').slice(
    0,
    LONGEST_SENTENCE,
  );
}
