/** `npm run audit`: what the registry knows against the packages of the lock file that a running master has. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ROOT } from './root.ts';

const LIMIT_MS = 120_000;

interface Verdict {
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

/** Mirrors of a registry often have no audit endpoint: they answer 404 or 405. */
function reasonOf({ statusCode, message }: Record<string, unknown>): string {
  // What npm says begins with the status; the address behind it is of no use here.
  const said = typeof message === 'string' ? message.split(' - ')[0] : 'no answer that can be read';
  return statusCode === 404 || statusCode === 405
    ? `the npm registry of this machine has no audit endpoint (it answered ${said}).`
    : `the npm registry of this machine did not answer the audit (${said}).`;
}

/** A registry that does not answer is said aloud and fails nothing: no test can be red for where it runs. */
export function auditVerdict(stdout: string): Verdict {
  const answer = parsed(stdout);
  if (!isRecord(answer.vulnerabilities)) {
    return {
      exitCode: 0,
      lines: [
        `NOT AUDITED: ${reasonOf(answer)}`,
        'Nothing is known of the packages in package-lock.json. Run `npm run audit` before a release, with a registry that has one.',
      ],
    };
  }
  const findings = Object.values(answer.vulnerabilities) as Finding[];
  const lines = findings.map(({ name, severity, range }) => `${severity}: ${name} ${range ?? ''}`.trimEnd()).sort();
  const grave = findings.filter(({ severity }) => GRAVE.has(severity ?? '')).length;
  const summary = `Audited package-lock.json: ${findings.length} packages with known flaws, ${grave} of them high or critical.`;
  return { exitCode: grave > 0 ? 1 : 0, lines: [...lines, summary] };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { stdout } = spawnSync('npm', ['audit', '--json', '--package-lock-only', '--omit=dev'], {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: LIMIT_MS,
  });
  const { exitCode, lines } = auditVerdict(stdout ?? '');
  process.stdout.write(`${lines.join('\n')}\n`);
  process.exitCode = exitCode;
}
