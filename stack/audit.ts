/** `npm run audit`: what the registry knows against the packages of the lock file that a running master has. */
import { spawnSync } from 'node:child_process';
import { auditVerdict } from './audit-verdict.ts';
import { ROOT } from './root.ts';

const LIMIT_MS = 120_000;

const { stdout } = spawnSync('npm', ['audit', '--json', '--package-lock-only', '--omit=dev'], {
  cwd: ROOT,
  encoding: 'utf8',
  timeout: LIMIT_MS,
});
const { exitCode, lines } = auditVerdict(stdout ?? '');
process.stdout.write(`${lines.join('\n')}\n`);
process.exitCode = exitCode;
