/** What a status says of a host's engine, for the comparison with what should be there. Words of the agent's own are not passed on. */
import type { SaidRuntime, SaidStatus } from '../../fleet/agent-says.ts';
import { type Difference, DRIFT, type DriftReason, type EngineSight, type SeenDecky } from '../../fleet/drift.ts';
import { STATUS } from '../../fleet/lifecycle.ts';

/** Services as containers are named after them; others are dropped. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$/;

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

export function sightOf(status: SaidStatus): EngineSight {
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
function judged(name: string, seen: SaidRuntime | undefined): Difference[] {
  return Object.entries(seen?.services ?? {}).flatMap(([service, state]): Difference[] => {
    if (state === 'running' || !NAME.test(service)) return [];
    const reason = state === 'absent' ? DRIFT.missing : state === 'paused' ? DRIFT.paused : DRIFT.exited;
    return [{ reason, container: `${name}-${service}`, detail: WORDS[reason] }];
  });
}
