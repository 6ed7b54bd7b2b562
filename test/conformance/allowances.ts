/**
 * Where an answer may differ from what was recorded of DECNET 1.0, and why: the only such place. Each use is counted, and
 * printed at the end of `npm run test:conformance`.
 */

/** Differences on purpose (docs/differences.md), by the step's name: what ours must answer instead. */
export interface OurAnswer {
  readonly status: number;
  readonly detail: RegExp;
}

export const OUR_ANSWERS: Readonly<Record<string, OurAnswer>> = {
  'deploy: syntax': { status: 409, detail: /^Configuration conflict: / },
  'deploy: only general': { status: 409, detail: /^Invalid INI config structure: No decky sections found\.$/ },
  'deploy: interface that does not exist': { status: 409, detail: /^Network configuration conflict: / },
  // The recorded text is that of the original's validation library.
  'deploy: bad name': { status: 409, detail: /we b!/ },
};

/** Keys that an answer of ours may have beside the recorded ones (docs/differences.md#requests-and-answers). */
export const ADDED_KEYS: ReadonlySet<string> = new Set(['removed_lifecycle_ids', 'warnings']);

export const ALLOWANCES = {
  'ours differs on purpose':
    'The original breaks (500, 422) or answers in its validation library’s words; docs/differences.md says 409 and a sentence.',
  'key of ours': 'docs/differences.md adds keys to an answer; clients of the original ignore them.',
  'running for pending': 'The recordings were made with the work left out: there, no row ever began.',
  'read again': 'The work is real and takes time: a read is repeated for up to 10 s before it counts.',
  'waited for rows':
    'The recordings were made with the work left out: rows that an earlier step made have to end first.',
  'place of this machine':
    'Subnet, network interface and agents’ ports of the recording machine stand for free ones of this machine, in questions and answers alike.',
  'silent agent': 'The hosts’ agents accept every order and report nothing, so that only recorded reports count.',
  'late agent':
    'An accepted order is a sign of life and makes a host active; the recording machine sent none, so h2 listens only after the hosts were looked at.',
  'failed by a report': 'The recording machine failed row b by hand; here its host reports the failure.',
} as const;

export type Allowance = keyof typeof ALLOWANCES;

const used = new Map<Allowance, number>();

export function allow(allowance: Allowance): void {
  used.set(allowance, (used.get(allowance) ?? 0) + 1);
}

/** A line for each allowance that was used, with how often and why. */
export const allowanceLines = (): string[] =>
  [...used].map(([allowance, times]) => `  ${allowance} (${times}×): ${ALLOWANCES[allowance]}`);
