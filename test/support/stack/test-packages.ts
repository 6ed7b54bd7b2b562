/** The rooms, and how mocha runs one: in a process of its own, bounded in time, its totals read from a file. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ROOT } from '../../../stack/root.ts';
import { addTotals, NOTHING, oneFailure, type Totals } from './stack-totals.ts';

export interface Room {
  readonly name: string;
  readonly needsServers: boolean;
  /** Milliseconds for one test, and for the whole room. */
  readonly testLimitMs: number;
  readonly roomLimitMs: number;
  /** Files of one lane run one after the other, in a process of their own beside the other lanes', since tests wait more than they work; absent: all in one. */
  readonly laneOf?: (file: string) => string;
  /** Runs beside the room before it, which leaves a processor idle. */
  readonly beside?: true;
  /** No test: it writes files, and runs only when it is asked for by name. */
  readonly onlyNamed?: true;
}

/**
 * End-to-end tests mostly wait. Those that deploy fleets with names like `web-01` stay together, since only one fleet on an engine
 * can have them; those that make names of their own, or have an engine of their own, run beside them. Lost workflows are waited for by minutes.
 */
const E2E_LANES: Readonly<Record<string, string>> = {
  'interop-decnet': 'faults',
  kill: 'faults',
  'lost-workflows': 'lost',
  'swarm-faults': 'faults',
  'stack-docker': 'starts',
  'swarm-start': 'starts',
};
/** They spend their time waiting for hosts, and use simulated engines or names of their own. */
const WAITING = /^(swarm|deploy-shard|sweep|rotation|mutate-on-host)\b/;
const waits = (file: string): string => (WAITING.test(basename(file)) ? 'waiting' : 'working');
/** Agents as programs, one after the other; requests to an API of their own, whose starts and time limits are what takes time. */
const integrationLane = (file: string): string => {
  const [subject = ''] = basename(file).split('-');
  if (subject === 'agent') return 'agents';
  return ['access', 'api', 'cli', 'stack'].includes(subject) ? 'asking' : waits(file);
};

const MINUTE = 60_000;
/** In the order in which they run: what fails fast comes first. */
export const ROOMS: readonly Room[] = [
  { name: 'unit', needsServers: false, testLimitMs: 20_000, roomLimitMs: 3 * MINUTE },
  { name: 'workflow', needsServers: true, testLimitMs: MINUTE, roomLimitMs: 15 * MINUTE, laneOf: waits },
  { name: 'conformance', needsServers: true, testLimitMs: 2 * MINUTE, roomLimitMs: 12 * MINUTE, beside: true },
  { name: 'integration', needsServers: true, testLimitMs: MINUTE, roomLimitMs: 15 * MINUTE, laneOf: integrationLane },
  { name: 'replay', needsServers: false, testLimitMs: MINUTE, roomLimitMs: 5 * MINUTE, beside: true },
  {
    name: 'e2e',
    needsServers: true,
    testLimitMs: 5 * MINUTE,
    roomLimitMs: 30 * MINUTE,
    laneOf: (file) => E2E_LANES[basename(file, '.test.ts')] ?? 'names',
  },
  { name: 'recording', needsServers: true, testLimitMs: 2 * MINUTE, roomLimitMs: 15 * MINUTE, onlyNamed: true },
];

/** A room whose tests are over and that does not end has left something open. */
const EXIT_LIMIT_MS = 20_000;
const POLITE_MS = 30_000;
const OUTPUT_MS = 3_000;

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
      // What it printed comes first, unless something that it left behind holds its output open.
      child.once('close', () => resolve({ code, why }));
      setTimeout(() => resolve({ code, why }), OUTPUT_MS).unref();
    });
  });
}

/** With `files` of it. */
export interface RoomRun {
  readonly room: Room;
  readonly files: readonly string[];
}

/** A room with those that run beside it. */
export function togetherOf(runs: readonly RoomRun[]): RoomRun[][] {
  const groups: RoomRun[][] = [];
  for (const run of runs) {
    const last = groups.at(-1);
    if (run.room.beside && last) last.push(run);
    else groups.push([run]);
  }
  return groups;
}

/**
 * Counts one failure more when mocha itself failed, hung, or was killed. `scratch`: a directory for totals. `held`: its lines come
 * when it is done.
 */
export async function runRoom(
  { room, files }: RoomRun,
  mochaArguments: readonly string[],
  env: Readonly<Record<string, string>>,
  scratch: string,
  held: boolean,
): Promise<Totals> {
  console.log(`\n── ${room.name} (${files.length} files)`);
  const totals = await Promise.all(
    lanesOf(room, files).map((lane, index) => {
      const totalsFile = join(scratch, `totals-${room.name}-${index}.json`);
      // Several at once would mix their lines: those of all but the first come when it is done.
      return totalsOf(
        room,
        spawnMocha(room, [...mochaArguments, ...lane], env, totalsFile, held || index > 0),
        totalsFile,
      );
    }),
  );
  return addTotals(totals);
}

function lanesOf({ laneOf = () => '' }: Room, files: readonly string[]): string[][] {
  const lanes = new Map<string, string[]>();
  for (const file of files) {
    const lane = laneOf(file);
    lanes.set(lane, [...(lanes.get(lane) ?? []), file]);
  }
  return [...lanes.values()];
}

function spawnMocha(
  room: Room,
  mochaArguments: readonly string[],
  env: Readonly<Record<string, string>>,
  totalsFile: string,
  held: boolean,
): ChildProcess {
  rmSync(totalsFile, { force: true });
  const output = held ? 'pipe' : 'inherit';
  const child = spawn(
    process.execPath,
    [
      join(ROOT, 'node_modules/mocha/bin/mocha.js'),
      ...['--timeout', String(room.testLimitMs), '--reporter', join(ROOT, 'test/support/stack/stack-reporter.cjs')],
      ...mochaArguments,
    ],
    {
      cwd: ROOT,
      stdio: ['ignore', output, output],
      detached: true,
      env: { ...process.env, ...env, DECKHAND_TEST_TOTALS: totalsFile },
    },
  );
  const chunks: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.once('close', () => {
    if (held) process.stdout.write(Buffer.concat(chunks));
  });
  return child;
}

async function totalsOf(room: Room, child: ChildProcess, totalsFile: string): Promise<Totals> {
  running.add(child);
  const { code, why } = await untilEnded(child, room, totalsFile);
  const totals = existsSync(totalsFile) ? (JSON.parse(readFileSync(totalsFile, 'utf8')) as Totals) : NOTHING;
  const broken = why ?? (code !== 0 && totals.failed === 0 ? `ended with ${code} before its tests did` : null);
  if (broken) console.error(`${room.name}: ${broken}`);
  return broken ? addTotals([totals, oneFailure(room.name, broken)]) : totals;
}
