/** One run of Schemathesis as one account, bounded in requests and in time. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { testDirectory } from '../support/stack/stack.ts';
import type { Front } from './front.ts';
import type { Account, Scene } from './scene.ts';

/** Errors of the server are counted here: a 503 is none where something of the stack did not answer in time, and is documented. */
const CHECKS =
  'status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance';
const REQUEST_TIMEOUT_S = 30;
/** One thread: two that call `ast.parse` at once (Hypothesis does) raise SystemError in Python 3.11, python/cpython#106905, and the run ends with 1. */
const WORKERS = 1;
const UNAVAILABLE = 503;

export interface RunOptions {
  readonly account: Account | null;
  /** Generated requests for each operation, beside its examples and the corners of its schema. */
  readonly perOperation: number;
  readonly seconds: number;
  readonly seed: number;
  readonly onItself: boolean;
  /** `--include-path …` and the like. */
  readonly filter: readonly string[];
}

export interface Outcome {
  readonly requests: number;
  /** Other than 401. */
  readonly accepted: number;
  /** Other than 503. */
  readonly serverErrors: number;
  readonly unavailable: number;
  readonly unanswered: number;
  /** What was not answered, or with a 5xx. */
  readonly errors: readonly string[];
  /** null: it was stopped at its limit of time. */
  readonly exit: number | null;
  readonly output: string;
}

const SECTION = /^=+ [A-Z]+ =+$/m;
const ERROR_LINES = 20;
const FAULT_LINES = 120;

/** How it ended, then what it found: the first lines tell most, since they are all that a list of failures keeps. */
export function told(outcome: Outcome): string {
  const { exit, requests, accepted, serverErrors, unavailable, unanswered, errors, output } = outcome;
  const ending = exit === null ? 'was stopped at its limit of time' : `ended with ${exit}`;
  const counts = `${requests} requests, ${accepted} accepted, ${serverErrors} errors of the server, ${unavailable} times 503, ${unanswered} unanswered`;
  const found = output.search(SECTION);
  const lines = (found < 0 ? output : output.slice(found)).trim().split('\n');
  const kept = found < 0 ? lines.slice(-FAULT_LINES) : lines.slice(0, FAULT_LINES);
  return [`Schemathesis ${ending}: ${counts}`, ...errors.slice(0, ERROR_LINES), ...kept].join('\n');
}

export async function runSchemathesis(
  command: string,
  scene: Scene,
  front: Front,
  options: RunOptions,
): Promise<Outcome> {
  front.take();
  const { exit, output } = await spawned(
    command,
    [
      'run',
      `${front.url}/openapi.json`,
      ...['--checks', CHECKS, '--phases', 'examples,coverage,fuzzing'],
      ...['--workers', String(WORKERS), '--warnings', 'off'],
      ...['--max-examples', String(options.perOperation), '--seed', String(options.seed), '--no-color'],
      ...['--request-timeout', String(REQUEST_TIMEOUT_S), '--generation-database', 'none'],
      ...options.filter,
    ],
    {
      ...process.env,
      PYTHONPATH: fileURLToPath(new URL('.', import.meta.url)),
      PYTHONDONTWRITEBYTECODE: '1',
      SCHEMATHESIS_HOOKS: 'hooks',
      DECKHAND_SCENE: JSON.stringify(sceneOf(scene, options)),
    },
    options.seconds,
  );
  const { counts, errors } = front.take();
  const sum = (wanted: (status: number) => boolean): number =>
    [...counts].reduce((total, [status, times]) => total + (wanted(status) ? times : 0), 0);
  return {
    requests: sum(() => true),
    accepted: sum((status) => status !== 401 && status !== 0),
    serverErrors: sum((status) => status >= 500 && status !== UNAVAILABLE),
    unavailable: sum((status) => status === UNAVAILABLE),
    unanswered: sum((status) => status === 0),
    errors,
    exit,
    output,
  };
}

/** On the routes of an account's own user, that one stands for all users. */
function sceneOf({ facts }: Scene, { account, onItself }: RunOptions): object {
  const { uuid: own = null, ...login } = account ?? {};
  const asked = { ...facts, account: account && login, own };
  if (!onItself) return asked;
  const spared = facts.spared.filter((uuid) => uuid !== own);
  return { ...asked, spared, known: { ...facts.known, user_uuid: [own] } };
}

function spawned(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  seconds: number,
): Promise<{ exit: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    // It leaves a folder of its own where it runs.
    const cwd = testDirectory('schemathesis');
    const child = spawn(command, args, { env, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    const chunks: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    const limit = setTimeout(() => child.kill('SIGKILL'), seconds * 1000);
    child.on('error', reject);
    child.on('close', (exit) => {
      clearTimeout(limit);
      resolve({ exit, output: Buffer.concat(chunks).toString('utf8') });
    });
  });
}
