/** What `npm audit --json` said, in words, and whether it is a reason to stop: pure, so that each answer of a registry can be tested. */

export interface Verdict {
  readonly exitCode: 0 | 1;
  readonly lines: readonly string[];
}

interface Finding {
  readonly name?: string;
  readonly severity?: string;
  readonly range?: string;
}

/** Of these, one is enough to fail. */
const GRAVE = new Set(['high', 'critical']);

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : {};
  } catch {
    return {};
  }
}

/** A registry that does not answer is said aloud and fails nothing: no test can be red for where it runs. */
export function auditVerdict(stdout: string): Verdict {
  const answer = parsed(stdout);
  if (!isRecord(answer.vulnerabilities)) {
    // What npm says begins with the status; the address behind it is of no use here.
    const reason = typeof answer.message === 'string' ? answer.message.split(' - ')[0] : 'no answer that can be read';
    return {
      exitCode: 0,
      lines: [
        `NOT AUDITED: the registry of this machine answers no audits (${reason}).`,
        'Nothing is known of the packages in package-lock.json. Run `npm run audit` where the registry does, before a release.',
      ],
    };
  }
  const findings = Object.values(answer.vulnerabilities) as Finding[];
  const lines = findings.map(({ name, severity, range }) => `${severity}: ${name} ${range ?? ''}`.trimEnd()).sort();
  const grave = findings.filter(({ severity }) => GRAVE.has(severity ?? '')).length;
  const summary = `Audited package-lock.json: ${findings.length} packages with known flaws, ${grave} of them high or critical.`;
  return { exitCode: grave > 0 ? 1 : 0, lines: [...lines, summary] };
}
