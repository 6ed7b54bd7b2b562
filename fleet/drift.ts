/**
 * Drift: how what was observed of an engine differs from what should be there
 * (docs/convergence.md). What was not observed is unknown, never gone.
 *
 *   compare         a whole engine
 *   mendPauseMs     when a decky that drifts is tried again
 *   judgeReturned   a host that was unreachable is back
 */
import type { DeckyConfig } from './config.ts';

export const DRIFT = Object.freeze({
  missing: 'missing',
  exited: 'exited',
  paused: 'paused',
  cutOff: 'cut_off',
  otherImage: 'other_image',
  otherConfiguration: 'other_configuration',
  orphan: 'orphan',
  movedAddress: 'moved_address',
});
export type DriftReason = (typeof DRIFT)[keyof typeof DRIFT];

/**
 * A decky that drifts so does not run as a whole, or nobody reaches it: it is not shown as running.
 */
export const NOT_UP: readonly DriftReason[] = [
  DRIFT.missing,
  DRIFT.exited,
  DRIFT.paused,
  DRIFT.cutOff,
  DRIFT.movedAddress,
];

/** One way in which a container differs from what it should be. */
export interface Difference {
  readonly reason: DriftReason;
  readonly container: string;
  /** A clause: "it is exited". */
  readonly detail: string;
}

/** A member of an engine's fleet. */
export interface WantedDecky {
  readonly name: string;
  /** An operator stopped it: none of its containers should run. */
  readonly stopped: boolean;
  /**
   * False while nothing can be said of it: a row is open, it never came up, or it is on its way
   * out.
   */
  readonly settled: boolean;
  readonly config: DeckyConfig;
}

export interface SeenDecky {
  readonly differences: readonly Difference[];
  /** As its host has it; null where the engine was compared with the database. */
  readonly config: DeckyConfig | null;
  /** The host is at work on it: what is seen passes. */
  readonly busy: boolean;
}

/** What was observed of an engine, at one moment. */
export type EngineObservation =
  | { readonly answered: false; readonly why: string }
  | {
      readonly answered: true;
      readonly deckies: ReadonlyMap<string, SeenDecky>;
      /** Deckies that have containers under our label, and that nobody wants there. */
      readonly orphans: readonly string[];
      /** False: what is not named may be there all the same. */
      readonly complete: boolean;
    };

export interface Drift {
  readonly decky: string;
  readonly reason: DriftReason;
  readonly detail: string;
}

/** `unknown`: nothing was seen, so that nothing is concluded. */
export type Comparison =
  | { readonly known: false; readonly why: string }
  | { readonly known: true; readonly drift: readonly Drift[] };

/** Of a whole decky that nobody wants; a wanted one may have a single container too many. */
export const ORPHAN_DETAIL = 'nobody wants its containers';
const LONGEST_DETAIL = 500;

/** Compares a whole engine; at most one entry for a decky and a reason. */
export function compare(wanted: readonly WantedDecky[], observed: EngineObservation): Comparison {
  if (!observed.answered) return { known: false, why: observed.why };
  const names = new Set(wanted.map(({ name }) => name));
  const orphans = [...new Set(observed.orphans)].filter((name) => !names.has(name));
  return {
    known: true,
    drift: [
      ...wanted.flatMap((decky) => (decky.settled ? driftOf(decky, observed) : [])),
      ...orphans.map((decky): Drift => ({ decky, reason: DRIFT.orphan, detail: ORPHAN_DETAIL })),
    ],
  };
}

function driftOf(decky: WantedDecky, observed: Extract<EngineObservation, { answered: true }>): Drift[] {
  const seen = observed.deckies.get(decky.name);
  if (!seen) {
    if (decky.stopped || !observed.complete) return [];
    return [{ decky: decky.name, reason: DRIFT.missing, detail: 'it is not there at all' }];
  }
  if (seen.busy) return [];
  const byReason = new Map<DriftReason, string[]>();
  const add = (reason: DriftReason, text: string): void => {
    byReason.set(reason, [...(byReason.get(reason) ?? []), text]);
  };
  for (const { reason, container, detail } of seen.differences) add(reason, `${container}: ${detail}`);
  if (seen.config && !sameVersion(decky.config, seen.config))
    add(DRIFT.otherConfiguration, 'its host has another version of it');
  return [...byReason].map(([reason, texts]) => ({
    decky: decky.name,
    reason,
    detail: texts.join('; ').slice(0, LONGEST_DETAIL),
  }));
}

/** A host gives addresses of its own net, and dates of its own; all else it has from us. */
function sameVersion(one: DeckyConfig, other: DeckyConfig): boolean {
  const version = (config: DeckyConfig) =>
    canonical([
      config.services,
      config.service_config,
      config.hostname,
      config.base_image,
      config.build_base,
      config.nmap_os,
    ]);
  return version(one) === version(other);
}

/** JSON with sorted keys: PostgreSQL and agents keep them in orders of their own. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  );

/** The longest pause between two tries of one decky. */
const LONGEST_PAUSE_MS = 6 * 60 * 60 * 1_000;

/**
 * How long after its last try a decky is left alone that `tries` tries in a row did not mend:
 * doubling, six hours at most.
 */
export const mendPauseMs = (intervalMs: number, tries: number): number =>
  tries === 0 ? 0 : Math.max(intervalMs, Math.min(intervalMs * 2 ** Math.min(tries - 1, 30), LONGEST_PAUSE_MS));

/** A decky of a host that is back, whose row ended while the host was unreachable. */
export interface ReturnedDecky {
  readonly name: string;
  readonly established: boolean;
}

/**
 * Which of them differ from what the fleet has. Of a decky in neither list nothing can be said now, nor of any while the host works
 * on one of them: an order carries the whole host, so a reconcile for the first that is done would remove the others.
 */
export function judgeReturned(
  deckies: readonly ReturnedDecky[],
  observed: EngineObservation,
  comparison: Comparison,
): { readonly asTheyShould: readonly string[]; readonly differ: readonly string[] } {
  if (!observed.answered || !comparison.known) return { asTheyShould: [], differ: [] };
  if (deckies.some(({ name }) => observed.deckies.get(name)?.busy)) return { asTheyShould: [], differ: [] };
  const drifting = new Set(comparison.drift.map(({ decky }) => decky));
  const known = deckies.filter(({ name }) => observed.deckies.has(name) || observed.complete);
  // One that never came up by a row is not compared: that it is there at all is the difference.
  const isOther = ({ name, established }: ReturnedDecky): boolean =>
    established ? drifting.has(name) : observed.deckies.has(name);
  return {
    asTheyShould: known.filter((one) => !isOther(one)).map(({ name }) => name),
    differ: known.filter(isOther).map(({ name }) => name),
  };
}
