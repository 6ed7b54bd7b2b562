/** The rooms, and how mocha runs one: in a process of its own, bounded in time, its totals read from a file. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../stack/root.ts';
import { addTotals, NOTHING, type Totals } from './stack-totals.ts';

export interface Room {
  readonly name: string;
  readonly needsServers: boolean;
  /** Milliseconds for one test, and for the whole room. */
  readonly testLimitMs: number;
  readonly roomLimitMs: number;
}

const MINUTE = 60_000;
/** In the order in which they run: what fails fast comes first. */
export const ROOMS: readonly Room[] = [
  { name: 'unit', needsServers: false, testLimitMs: 20_000, roomLimitMs: 3 * MINUTE },
  { name: 'workflow', needsServers: true, testLimitMs: MINUTE, roomLimitMs: 8 * MINUTE },
  { name: 'integration', needsServers: true, testLimitMs: MINUTE, roomLimitMs: 10 * MINUTE },
  { name: 'replay', needsServers: false, testLimitMs: MINUTE, roomLimitMs: 5 * MINUTE },
  { name: 'e2e', needsServers: true, testLimitMs: 5 * MINUTE, roomLimitMs: 20 * MINUTE },
];

/** A room whose tests are over and that does not end has left something open. */
const EXIT_LIMIT_MS = 20_000;
const POLITE_MS = 30_000;

export function testFiles(room: string): string[] {
  const directory = join(ROOT, 'test', room);
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((name) => name.endsWith('.test.ts'))
    .sort()
    .map((name) => join('test', room, name));
}

const running = new Set<ChildProcess>();
/** Mocha and all below it, as on Ctrl-C. */
export function killRunning(): void {
  for (const child of running) endGroup(child);
}

/** Politely first: a stack that a test started stops its servers then. */
function endGroup(child: ChildProcess): void {
  signalGroup(child, 'SIGTERM');
  setTimeout(() => signalGroup(child, 'SIGKILL'), POLITE_MS).unref();
}
function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (child.pid) process.kill(-child.pid, signal);
  } catch {
    // It is gone already.
  }
}

interface Ending {
  readonly code: number | null;
  readonly why: string | null;
}

/** Ends by itself, or by us: past its time, or when it hangs after its last test. */
function untilEnded(child: ChildProcess, room: Room, totalsFile: string): Promise<Ending> {
  return new Promise((resolve) => {
    let why: string | null = null;
    const end = (reason: string) => {
      why = reason;
      endGroup(child);
    };
    const limit = setTimeout(() => end(`took longer than ${room.roomLimitMs / MINUTE} minutes`), room.roomLimitMs);
    const watch = setInterval(() => {
      if (!existsSync(totalsFile)) return;
      clearInterval(watch);
      setTimeout(() => end('did not end after its last test: something was left open'), EXIT_LIMIT_MS).unref();
    }, 500);
    child.once('exit', (code) => {
      clearTimeout(limit);
      clearInterval(watch);
      running.delete(child);
      resolve({ code, why });
    });
  });
}

/** Counts one failure more when mocha itself failed, hung, or was killed. */
export async function runRoom(
  room: Room,
  files: readonly string[],
  mochaArguments: readonly string[],
  env: Readonly<Record<string, string>>,
  totalsFile: string,
): Promise<Totals> {
  console.log(`\n── ${room.name} (${files.length} files)`);
  if (files.length === 0) return NOTHING;
  rmSync(totalsFile, { force: true });
  const child = spawn(
    process.execPath,
    [
      join(ROOT, 'node_modules/mocha/bin/mocha.js'),
      ...['--timeout', String(room.testLimitMs), '--reporter', join(ROOT, 'test/support/stack-reporter.cjs')],
      ...mochaArguments,
      ...files,
    ],
    {
      cwd: ROOT,
      stdio: ['ignore', 'inherit', 'inherit'],
      detached: true,
      env: { ...process.env, ...env, DECKHAND_TEST_TOTALS: totalsFile },
    },
  );
  running.add(child);
  const { code, why } = await untilEnded(child, room, totalsFile);
  const totals = existsSync(totalsFile) ? (JSON.parse(readFileSync(totalsFile, 'utf8')) as Totals) : NOTHING;
  const broken = why ?? (code !== 0 && totals.failed === 0 ? `ended with ${code} before its tests did` : null);
  if (broken) console.error(`${room.name}: ${broken}`);
  return broken ? addTotals([totals, { ...NOTHING, failed: 1 }]) : totals;
}
