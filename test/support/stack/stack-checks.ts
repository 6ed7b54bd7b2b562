/** What `npm run check` runs, each counted as one test. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from '../../../stack/root.ts';
import { addTotals, NOTHING, oneFailure, type Totals } from './stack-totals.ts';

/** Scripts of package.json. */
const CHECKS = ['check:types', 'check:lint', 'check:imports'];
const OUTPUT_LIMIT = 8_000;

function run(script: string): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve) => {
    const npm = process.env.npm_execpath;
    const [command, args] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []];
    const child = spawn(command, [...args, 'run', '--silent', script], {
      cwd: join(ROOT),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const keep = (chunk: Buffer) => {
      output += chunk.toString();
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('close', (code) => resolve({ code, output }));
    child.once('error', (error) => resolve({ code: 1, output: error.message }));
  });
}

/** Its lines come when all is known, since other tests print meanwhile; output only of what failed. */
export async function runChecks(): Promise<Totals> {
  const results = await Promise.all(CHECKS.map(async (script) => ({ script, ...(await run(script)) })));
  console.log('\n── checks');
  for (const { script, code, output } of results) {
    console.log(`  ${code === 0 ? '✔' : '✘'} ${script}`);
    if (code !== 0) console.error(output.length > OUTPUT_LIMIT ? `${output.slice(0, OUTPUT_LIMIT)}\n…` : output);
  }
  return addTotals(
    results.map(({ script, code, output }) =>
      code === 0 ? { ...NOTHING, passed: 1 } : oneFailure(script, output.slice(0, OUTPUT_LIMIT)),
    ),
  );
}
