/** The program behind test/run.mjs. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runChecks } from './stack-checks.ts';
import { startTestServers, type TestServers } from './stack-servers.ts';
import { addTotals, failureLines, NOTHING, oneFailure, type Totals, totalsLine } from './stack-totals.ts';
import { killRunning, ROOMS, type Room, type RoomRun, runRoom, testFiles, togetherOf } from './test-packages.ts';

interface Request {
  readonly serve: boolean;
  readonly everything: boolean;
  readonly rooms: readonly RoomRun[];
  readonly mocha: readonly string[];
}

/** Rooms and files come first; from the first option on, everything is mocha's. */
export function parseRequest(args: readonly string[]): Request {
  const firstOption = args.findIndex((arg) => arg.startsWith('-'));
  const names = firstOption < 0 ? args : args.slice(0, firstOption);
  const mocha = firstOption < 0 ? [] : args.slice(firstOption).filter((arg) => arg !== '--serve');
  const files = names.filter((name) => name.endsWith('.test.ts')).map((name) => name.replace(/^.*?(?=test\/)/, ''));
  const wanted = names.filter((name) => !name.endsWith('.test.ts'));
  const unknown = wanted.find((name) => !ROOMS.some((room) => room.name === name));
  if (unknown) throw new Error(`There is no room "${unknown}"; rooms are ${ROOMS.map(({ name }) => name).join(', ')}.`);
  const lost = files.find((file) => !ROOMS.some(({ name }) => testFiles(name).includes(file)));
  if (lost) throw new Error(`There is no ${lost} in a room of tests.`);
  const filesOf = ({ name, onlyNamed }: Room) => {
    const named = files.filter((file) => file.startsWith(`test/${name}/`));
    return wanted.includes(name) || (names.length === 0 && !onlyNamed) ? testFiles(name) : named;
  };
  const rooms = ROOMS.map((room) => ({ room, files: filesOf(room) })).filter(
    ({ room, files: found }) => found.length > 0 || wanted.includes(room.name),
  );
  return { serve: args.includes('--serve'), everything: names.length === 0 && mocha.length === 0, rooms, mocha };
}

async function serve(): Promise<void> {
  const servers = await startTestServers();
  for (const [name, value] of Object.entries(servers.env)) console.log(`export ${name}='${value}'`);
  console.log('# up until Ctrl-C');
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve());
    // Signals alone do not keep a process alive.
    setInterval(() => {}, 2 ** 30);
  });
  await servers.stop();
}

async function runRooms(request: Request, scratch: string, keep: (servers: TestServers) => void): Promise<Totals> {
  const totals: Totals[] = [];
  let servers: TestServers | null = null;
  for (const [turn, together] of togetherOf(request.rooms).entries()) {
    if (!servers && together.some(({ room, files }) => room.needsServers && files.length > 0)) {
      console.log('\n── servers');
      servers = await startTestServers();
      keep(servers);
    }
    const env = servers?.env ?? {};
    const runs = together.map((run, index) => runRoom(run, request.mocha, env, scratch, index > 0));
    // Beside the unit tests, many of which wait.
    const checks = request.everything && turn === 0 ? [runChecks()] : [];
    totals.push(...(await Promise.all([...checks, ...runs])));
  }
  return addTotals(totals);
}

async function run(request: Request): Promise<number> {
  const scratch = mkdtempSync(join(tmpdir(), 'deckhand-totals-'));
  let servers: TestServers | null = null;
  let interrupted = false;
  const interrupt = () => {
    interrupted = true;
    killRunning();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  let totals = NOTHING;
  try {
    totals = await runRooms(request, scratch, (started) => {
      servers = started;
    });
  } catch (error) {
    console.error(`The run broke: ${(error as Error).message}`);
    totals = oneFailure('the run', (error as Error).message);
  }
  await (servers as TestServers | null)?.stop();
  rmSync(scratch, { recursive: true, force: true });
  if (totals.reasons.length > 0) console.log(`\n── what failed\n\n${failureLines(totals)}`);
  console.log(`\n${totalsLine(totals)}`);
  if (interrupted) return 130;
  return totals.failed > 0 ? 1 : 0;
}

export async function main(args: readonly string[]): Promise<void> {
  let request: Request;
  try {
    request = parseRequest(args);
  } catch (error) {
    console.error((error as Error).message);
    process.exit(2);
  }
  if (request.serve) {
    await serve();
    process.exit(0);
  }
  process.exit(await run(request));
}
