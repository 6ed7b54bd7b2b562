/** Supervision of real processes: small Node programs stand for servers. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { identify } from '../../lib/process-table.ts';
import { NotReady, type ProcessSpec } from '../../stack/context.ts';
import { StackHome } from '../../stack/home.ts';
import { MARK, markOf } from '../../stack/supervised-process.ts';
import { lockFile, recordProcesses, Supervisor } from '../../stack/supervisor.ts';

const IGNORES_SIGTERM = `process.on('SIGTERM', () => {});`;

describe('the supervisor', () => {
  let home: StackHome;
  let restarted: string[] = [];
  let said: string[] = [];
  const open: Supervisor[] = [];
  const strangers: ChildProcess[] = [];

  beforeEach(() => {
    home = new StackHome(mkdtempSync(join(tmpdir(), 'deckhand-supervisor-')));
    restarted = [];
    said = [];
  });
  afterEach(async () => {
    for (const supervisor of open.splice(0)) await supervisor.stop();
    for (const stranger of strangers.splice(0)) stranger.kill('SIGKILL');
    rmSync(home.directory, { recursive: true, force: true });
  });

  function supervise(): Supervisor {
    const supervisor = Supervisor.acquire({
      home,
      sayFor: (name) => (line) => void said.push(`${name}: ${line}`),
      onRestarted: (name) => restarted.push(name),
    });
    assert.ok(supervisor, 'another supervisor runs');
    open.push(supervisor);
    return supervisor;
  }
  /** Ready once its program has written the file that it is named after. */
  function program(name: string, setUp = '', change: Partial<ProcessSpec> = {}): ProcessSpec {
    const mark = home.path(`${name}.up`);
    const source = `${setUp} require('fs').writeFileSync(${JSON.stringify(mark)}, String(process.pid)); setInterval(() => {}, 1000);`;
    return {
      name,
      command: process.execPath,
      args: ['-e', source],
      adoptable: true,
      stopTimeoutMs: 500,
      ready: () => Promise.resolve(existsSync(mark)),
      ...change,
    };
  }
  const pidOf = (supervisor: Supervisor, name: string): number =>
    supervisor.processes.find((process) => process.name === name)?.pid ?? assert.fail(`${name} does not run`);
  async function until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  /** What a supervisor that was killed has left: the processes, their marks and their record, and a lock that nobody holds. */
  async function leave(...specs: ProcessSpec[]): Promise<number[]> {
    const records = specs.map((spec) => {
      const env = { ...process.env, [MARK]: markOf(home.instance, spec) };
      const child = spawn(spec.command, spec.args, { stdio: 'ignore', detached: true, env });
      strangers.push(child);
      const identity = identify(child.pid ?? 0) ?? assert.fail('it did not start');
      return { name: spec.name, ...identity, command: spec.command, args: [...spec.args] };
    });
    for (const spec of specs) await untilReady(spec);
    recordProcesses(home, records);
    writeFileSync(lockFile(home), JSON.stringify({ pid: process.pid, startedAt: 'gone' }));
    return records.map(({ pid }) => pid);
  }
  async function untilReady(spec: ProcessSpec): Promise<void> {
    while (!(await spec.ready())) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  it('tells once what a process says it misses, and again in the error where that lasts', async () => {
    const spec = program('lacking', '', {
      ready: () => Promise.reject(new NotReady('nats: has no room')),
      startTimeoutMs: 4_000,
    });
    await assert.rejects(supervise().start(spec), /was not ready after 4 s; nats: has no room/);
    assert.deepEqual(
      said.filter((line) => line.includes('waits')),
      ['lacking: waits: nats: has no room'],
    );
  }).timeout(30_000);

  // proof: supervisor
  it('brings back what dies, with another pid, and says so', async () => {
    const supervisor = supervise();
    await supervisor.start(program('a'));
    const before = pidOf(supervisor, 'a');
    process.kill(before, 'SIGKILL');
    await until(() => restarted.includes('a'));
    assert.notEqual(pidOf(supervisor, 'a'), before);
    assert.equal(identify(before), null);
  });

  it('stops everything, also what ignores SIGTERM, the last first', async () => {
    const order: string[] = [];
    const supervisor = supervise();
    for (const name of ['a', 'b'])
      await supervisor.start(program(name, name === 'a' ? IGNORES_SIGTERM : '', { cleanUp: () => order.push(name) }));
    const pids = supervisor.processes.map(({ pid }) => pid);
    await supervisor.stop();
    assert.deepEqual(pids.map(identify), [null, null]);
    assert.deepEqual(order, ['b', 'a']);
    assert.deepEqual([existsSync(home.path('processes.json')), existsSync(lockFile(home))], [false, false]);
  });

  it('is the only one of its home', () => {
    supervise();
    assert.equal(Supervisor.acquire({ home, sayFor: () => () => {}, onRestarted: () => {} }), null);
  });

  it('says why a process did not come up, with the last lines of its log', async () => {
    const broken = program('a', `console.error('no licence'); process.exit(3);`);
    await assert.rejects(supervise().start(broken), /a ended while it started[\s\S]*no licence/);
  });

  // proof: supervisor
  it('takes over a server that outlived its supervisor', async () => {
    const [pid = 0] = await leave(program('a'));
    const supervisor = supervise();
    assert.equal(supervisor.survives('a'), true);
    await supervisor.start(program('a'));
    assert.equal(pidOf(supervisor, 'a'), pid);
    await supervisor.stop();
    assert.equal(identify(pid), null);
  });

  it('brings back a server that it took over, too', async () => {
    const [pid = 0] = await leave(program('a'));
    const supervisor = supervise();
    await supervisor.start(program('a'));
    process.kill(pid, 'SIGKILL');
    await until(() => restarted.includes('a'));
    assert.notEqual(pidOf(supervisor, 'a'), pid);
  });

  it('stops a survivor that is configured otherwise, or that is a program of ours, and starts it anew', async () => {
    const pids = await leave(program('a'), program('b', '', { adoptable: false }));
    const supervisor = supervise();
    await supervisor.start(program('a', '/* changed */'));
    await supervisor.start(program('b', '', { adoptable: false }));
    assert.deepEqual(pids.map(identify), [null, null]);
    assert.equal(supervisor.processes.length, 2);
  });

  it('finds a survivor by its mark when processes.json is half written', async () => {
    const [pid = 0] = await leave(program('a'));
    writeFileSync(home.path('processes.json'), '{"processes": [{"name"');
    const supervisor = supervise();
    assert.equal(supervisor.survives('a'), true);
    await supervisor.stopSurvivorsBut([]);
    assert.equal(identify(pid), null);
  });

  it('never touches a process that only has the pid of one of ours', async () => {
    const stranger = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    strangers.push(stranger);
    const record = { name: 'a', pid: stranger.pid, startedAt: 'before the reboot/1', command: 'x', args: [] };
    writeFileSync(home.path('processes.json'), JSON.stringify({ processes: [record] }));
    const supervisor = supervise();
    assert.equal(supervisor.survives('a'), false);
    await supervisor.stopSurvivorsBut([]);
    assert.notEqual(identify(stranger.pid ?? 0), null);
  });

  it('writes down what runs', async () => {
    const supervisor = supervise();
    await supervisor.start(program('a'));
    const { processes } = JSON.parse(readFileSync(home.path('processes.json'), 'utf8'));
    assert.deepEqual(
      processes.map(({ name, pid }: { name: string; pid: number }) => ({ name, pid })),
      supervisor.processes,
    );
  });
});
