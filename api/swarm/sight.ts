/** What a status says of a host's engine, for the comparison with what should be there. Words of the agent's own are not passed on. */
import { type Difference, DRIFT, type DriftReason, type EngineSight, type SeenDecky } from '../../fleet/drift.ts';
import { deckyConfigOf, entriesOf, isObject, type Json } from './report.ts';

/** Names as deckies and containers have them; others are dropped. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$/;
const DECKY_NAME = /^[A-Za-z0-9_.-]{1,128}$/;
/** More differences of one decky than a decky has containers mean nothing. */
const MOST_DIFFERENCES = 100;
/** Each is a line of drift with an event of its own; what is beyond comes to light when some are gone. */
const MOST_ORPHANS = 1_000;

const WORDS: Readonly<Record<DriftReason, string>> = Object.freeze({
  missing: 'it is missing',
  exited: 'it does not run',
  other_image: 'it is made of another image',
  other_configuration: 'it is not as it was sent',
  orphan: 'nobody wants it',
  moved_address: 'it has another address, or network',
});

const isReason = (value: unknown): value is DriftReason => Object.values<unknown>(DRIFT).includes(value);

export function sightOf(status: Json): EngineSight {
  const report = isObject(status.deckhand) ? status.deckhand : null;
  const { entries, complete } = entriesOf(status);
  const runtime = isObject(status.runtime) ? status.runtime : {};
  const known = isObject(report?.deckies) ? report.deckies : {};
  // An agent leaves `runtime` empty where Docker does not answer.
  if (entries.length > 0 && Object.keys(runtime).length === 0)
    return { answered: false, why: 'the host’s container engine does not answer' };
  const deckies = new Map<string, SeenDecky>();
  for (const entry of entries) {
    const config = deckyConfigOf(entry);
    if (!config) continue;
    const own = Object.hasOwn(known, config.name) ? known[config.name] : null;
    const seen = Object.hasOwn(runtime, config.name) ? runtime[config.name] : null;
    deckies.set(config.name, {
      config,
      busy: !isObject(seen) || (isObject(own) && (own.status === 'pending' || own.status === 'running')),
      differences: isObject(own) && Array.isArray(own.drift) ? reported(own.drift) : judged(config.name, seen),
    });
  }
  return {
    answered: true,
    deckies,
    orphans: Array.isArray(report?.orphans) ? report.orphans.slice(0, MOST_ORPHANS).filter(isDeckyName) : [],
    complete,
  };
}

const isDeckyName = (value: unknown): value is string => typeof value === 'string' && DECKY_NAME.test(value);

/** What an agent of ours has compared. */
function reported(drift: readonly unknown[]): Difference[] {
  return drift.slice(0, MOST_DIFFERENCES).flatMap((one): Difference[] => {
    if (!isObject(one) || !isReason(one.reason)) return [];
    if (typeof one.container !== 'string' || !NAME.test(one.container)) return [];
    return [{ reason: one.reason, container: one.container, detail: WORDS[one.reason] }];
  });
}

/** An agent of DECNET says of each service only whether its container runs. */
function judged(name: string, seen: unknown): Difference[] {
  const services = isObject(seen) && isObject(seen.services) ? Object.entries(seen.services) : [];
  return services.flatMap(([service, state]): Difference[] => {
    if (state === 'running' || !NAME.test(service)) return [];
    const reason = state === 'absent' ? DRIFT.missing : DRIFT.exited;
    return [{ reason, container: `${name}-${service}`, detail: WORDS[reason] }];
  });
}
