/** `npm start` on real servers, in homes of its own; the fleet is none, or two deckies on the tests' Docker Engine. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { createApiClient } from '../../cli/api-client.ts';
import { resolveConnection } from '../../cli/connection.ts';
import { findByEnvironment, identify } from '../../lib/process-table.ts';
import { PortBook } from '../../stack/claims.ts';
import { type StackFile, StackHome } from '../../stack/home.ts';
import { MARK } from '../../stack/supervised-process.ts';
import { testDirectory } from '../support/stack/stack.ts';
import { StackProcess } from '../support/stack/stack-process.ts';

const NO_FLEET = ['--fleet', 'none'];
const PROCESSES = ['api', 'nats', 'postgres', 'temporal', 'worker'];

async function logIn({ api_url, admin }: Pick<StackFile, 'api_url' | 'admin'>): Promise<number> {
  const answer = await fetch(`${api_url}/api/v1/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(admin),
  });
  await answer.body?.cancel();
  return answer.status;
}
const instanceOf = (home: string): string => readFileSync(join(home, 'instance'), 'utf8').trim();
const left = (home: string): string[] =>
  findByEnvironment(MARK)
    .filter(({ value }) => value.startsWith(`${instanceOf(home)}:`))
    .map(({ value, pid }) => `${value} ${pid}`);

describe('npm start', () => {
  let home = '';
  const started: StackProcess[] = [];
  const start = (...args: string[]): StackProcess => {
    const process = new StackProcess({ home, args });
    started.push(process);
    return process;
  };
  const stop = async (stack: StackProcess): Promise<number | null> => {
    stack.signal('SIGINT');
    return stack.ended();
  };
  beforeEach(() => {
    home = testDirectory('stack');
  });
  afterEach(async () => {
    for (const stack of started.splice(0)) await stop(stack);
    // A home keeps its subnet claimed as long as it is there, and there are twenty.
    rmSync(home, { recursive: true, force: true });
  });

  it('brings up everything from nothing, says where it is, and leaves no process on Ctrl-C', async () => {
    const stack = await start(...NO_FLEET).up();
    const file = stack.stackFile();
    assert.equal(statSync(join(home, 'stack.json')).mode & 0o777, 0o600);
    const names = file.processes.map(({ name }) => name).filter((name) => name !== 'docker');
    assert.deepEqual(names.sort(), PROCESSES);
    for (const { name, pid } of file.processes) assert.ok(identify(pid), `${name} ${pid}`);
    for (const url of [file.api_url, file.temporal_ui_url ?? '', file.nats_url])
      assert.equal(new URL(url).hostname, '127.0.0.1');
    assert.equal((await fetch(`${file.api_url}/readyz`)).status, 200);
    assert.equal((await fetch(file.temporal_ui_url ?? '')).status, 200);
    assert.equal(await logIn(file), 200);
    assert.ok(stack.output.includes(file.admin.password), 'a generated password is shown once');
    assert.equal(stripVTControlCharacters(stack.output), stack.output, 'a pipe gets no colours');

    assert.equal(await stop(stack), 0);
    assert.deepEqual(left(home), []);
    for (const { name, pid } of file.processes) assert.equal(identify(pid), null, name);
    assert.equal(existsSync(join(home, 'stack.json')), false);
  });

  // proof: field-4-6
  it('lets its command in after ten wrong passwords of others from this machine', async () => {
    const { api_url, admin, login_key } = (await start(...NO_FLEET).up()).stackFile();
    const wrong = { api_url, admin: { ...admin, password: 'not-the-password' } };
    for (let turn = 0; turn < 10; turn += 1) assert.equal(await logIn(wrong), 401);
    assert.equal(await logIn({ api_url, admin }), 429);
    const api = createApiClient(() => resolveConnection({ home }, {}), new AbortController().signal);
    assert.equal((await api.call((asked) => asked.GET('/api/v1/fleet'))).status, 200);
    assert.ok(login_key.length > 40);
  });

  // proof: supervisor
  it('brings back what dies, and writes the new pid down', async () => {
    const stack = await start(...NO_FLEET).up();
    for (const name of PROCESSES) {
      const { before, after } = await stack.killAndAwaitReturn(name);
      assert.notEqual(after, before, name);
    }
    assert.equal((await fetch(`${stack.stackFile().api_url}/readyz`)).status, 200);
  });

  it('says that it runs, instead of starting twice', async () => {
    const first = await start(...NO_FLEET).up();
    const before = first.stackFile();
    const second = start(...NO_FLEET);
    assert.equal(await second.ended(), 0);
    assert.match(second.output, /is running already/);
    assert.ok(second.output.includes(before.api_url), second.output);
    assert.equal(second.output.includes(before.admin.password), false);
    const once = start('--once');
    assert.equal(await once.ended(), 2);
    assert.match(once.output, /would take its deckies down/);
    assert.deepEqual(first.stackFile(), before);
  });

  // proof: supervisor
  it('takes the servers over that a killed start left, and starts its programs anew', async () => {
    const first = await start(...NO_FLEET).up();
    const before = first.stackFile();
    first.signal('SIGKILL');
    await first.ended();
    const second = await start(...NO_FLEET).up();
    const same = (name: string) =>
      before.processes.find((process) => process.name === name)?.pid === second.pidOf(name);
    assert.deepEqual(PROCESSES.filter(same), ['nats', 'postgres', 'temporal']);
    assert.equal(await logIn(second.stackFile()), 200);
    assert.equal(await stop(second), 0);
    assert.deepEqual(left(home), []);
  });

  // proof: supervisor
  it('finds no obstacle in a half-written state, after everything was killed at once', async () => {
    const first = await start(...NO_FLEET).up();
    const before = first.stackFile();
    const instance = instanceOf(home);
    first.signal('SIGKILL');
    for (const { pid } of before.processes) process.kill(pid, 'SIGKILL');
    await first.ended();
    for (const name of ['state.json', 'secrets.json', 'processes.json', 'stack.json', 'supervisor.lock'])
      writeFileSync(join(home, name), '{"half');
    const second = await start(...NO_FLEET).up();
    assert.equal(instanceOf(home), instance);
    assert.equal(second.stackFile().admin.password, before.admin.password);
    assert.equal(await logIn(second.stackFile()), 200);
  });

  it('gives way where its port is taken, and keeps it otherwise', async () => {
    // From the beginning not the defaults, for which other stacks of this machine compete.
    const book = new PortBook(new StackHome(home), false);
    for (const name of ['api', 'temporal', 'temporalUi', 'nats', 'postgres'] as const) await book.choose(name, false);
    const first = await start(...NO_FLEET).up();
    const before = first.stackFile();
    await stop(first);
    const port = Number(new URL(before.nats_url).port);
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(port, '127.0.0.1', resolve));
    try {
      const after = (await start(...NO_FLEET).up()).stackFile();
      assert.notEqual(after.nats_url, before.nats_url);
      assert.equal(after.database_url, before.database_url);
    } finally {
      other.close();
    }
  });

  it('refuses what it can’t do, before it starts anything', async () => {
    const agents = start('--agents', 'many');
    assert.equal(await agents.ended(), 2);
    assert.match(agents.output, /--agents wants a number/);
    assert.equal(existsSync(join(home, 'state.json')), false);
  });
});

describe('npm start -- --once', () => {
  // proof: fresh-clone
  it('deploys, takes down, and leaves no container, network or process', async () => {
    const home = testDirectory('once');
    mkdirSync(home, { recursive: true });
    const fleet = join(home, 'fleet.ini');
    writeFileSync(fleet, '[once-a]\nservices = ssh\n\n[once-b]\nservices = redis,http\n');
    const env = { DECKHAND_PROJECT: `once${process.pid}` };
    const stack = new StackProcess({ home, args: ['--fleet', fleet, '--once'], env });
    const code = await stack.ended();
    assert.equal(stack.lastLine, '2 succeeded, 0 failed', stack.output);
    assert.equal(code, 0);
    assert.deepEqual(left(home), []);
    assert.deepEqual(await onEngine(instanceOf(home)), []);
  });
});

/** Names of containers and networks that carry the instance's label; none where there is no engine, or it ended with the stack. */
async function onEngine(instance: string): Promise<string[]> {
  const host = process.env.DOCKER_HOST;
  if (!host) return [];
  const { default: Docker } = await import('dockerode');
  const docker = new Docker({ socketPath: host.replace('unix://', '') });
  const filters = { label: [`deckhand.instance=${instance}`] };
  const containers = await docker.listContainers({ all: true, filters });
  const networks = await docker.listNetworks({ filters });
  return [...containers.flatMap(({ Names }) => Names), ...networks.map(({ Name }) => Name)];
}
