/** `npm start -- --agents N`: agents as processes, enrolled over the real path, real containers on the tests' Docker Engine. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FleetOverview, HostView } from '../../cli/master.ts';
import { connectDocker } from '../../engine/docker/transport.ts';
import { identify } from '../../lib/process-table.ts';
import { ROOT } from '../../stack/root.ts';
import { freePort } from '../support/servers/free-port.ts';
import { onEngine, processesOf } from '../support/stack/leftovers.ts';
import { testDirectory, testServers } from '../support/stack/stack.ts';
import { StackProcess } from '../support/stack/stack-process.ts';
import { until } from '../support/until.ts';

/** Names that no other test on this engine has. */
const FLEET = '[spread]\nservices = http\namount = 5\n\n[spread-files]\nservices = ftp\n';
/** Two heartbeats. */
const REPORT_MS = 60_000;
/** The third byte of an agent's addresses is its number. */
const isOnItsHost = ({ host_name, ip }: FleetOverview['deckies'][number]): boolean =>
  `agent-${ip.split('.')[2]}` === host_name;
const instanceOf = (home: string): string => readFileSync(join(home, 'instance'), 'utf8').trim();

describe('npm start -- --agents', () => {
  let home = '';
  let fleet = '';
  let project = '';
  let stack: StackProcess | null = null;
  /** The command, while this process goes on: it has to see that the API closes a connection which nobody used meanwhile. */
  const deckhand = (args: readonly string[], timeout: number, more: NodeJS.ProcessEnv = {}) =>
    new Promise<{ status: unknown; stdout: string; stderr: string }>((resolve) => {
      const env = { ...process.env, DECKHAND_HOME: home, ...more };
      const options = { cwd: ROOT, encoding: 'utf8', timeout, env } as const;
      execFile(process.execPath, ['cli/deckhand.mjs', ...args], options, (error, stdout, stderr) =>
        resolve({ status: error ? error.code : 0, stdout, stderr }),
      );
    });
  const start = (...args: string[]): StackProcess => {
    const env = { DECKHAND_PROJECT: project, DOCKER_HOST: testServers.dockerHost ?? undefined };
    stack = new StackProcess({ home, args, env });
    return stack;
  };
  const stop = async (): Promise<void> => {
    stack?.signal('SIGINT');
    await stack?.ended();
  };
  before(function () {
    if (!testServers.dockerHost) this.skip();
  });
  beforeEach(() => {
    home = testDirectory('swarm');
    project = `s${randomBytes(3).toString('hex')}`;
    fleet = join(home, 'fleet.ini');
    writeFileSync(fleet, FLEET);
  });
  afterEach(async () => {
    await stop();
    // What runs on after Ctrl-C by design is not to run on after the test.
    const docker = connectDocker(testServers.dockerHost ?? '');
    const filters = { label: [`deckhand.instance=${instanceOf(home)}`] };
    for (const { Id } of await docker.listContainers({ all: true, filters }))
      await docker.getContainer(Id).remove({ force: true });
    for (const { Id } of await docker.listNetworks({ filters })) await docker.getNetwork(Id).remove();
    // A home keeps its subnets claimed as long as it is there.
    rmSync(home, { recursive: true, force: true });
  });

  async function logIn(running: StackProcess): Promise<string> {
    const { api_url, admin } = running.stackFile();
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${api_url}/api/v1/auth/login`, {
      method: 'POST',
      headers,
      body: JSON.stringify(admin),
    });
    return ((await answer.json()) as { access_token: string }).access_token;
  }
  const call = async (running: StackProcess, method: string, path: string): Promise<Response> =>
    fetch(`${running.stackFile().api_url}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${await logIn(running)}` },
    });
  async function ask<T>(running: StackProcess, path: string): Promise<T> {
    const answer = await call(running, 'GET', path);
    assert.equal(answer.status, 200, path);
    return (await answer.json()) as T;
  }
  const remove = async (running: StackProcess, path: string): Promise<number> =>
    (await call(running, 'DELETE', path)).status;
  const hosts = (running: StackProcess): Promise<HostView[]> => ask(running, '/swarm/hosts');
  const deckies = async (running: StackProcess): Promise<FleetOverview['deckies']> =>
    (await ask<FleetOverview>(running, '/fleet')).deckies;
  const agentPids = (running: StackProcess): (number | null)[] =>
    [1, 2, 3].map((number) => running.pidOf(`agent-${number}`));

  /** Waits until what the hosts report has reached the books: the addresses that they gave. */
  async function settled(
    running: StackProcess,
    right: (decky: FleetOverview['deckies'][number]) => boolean,
  ): Promise<void> {
    for (const until = Date.now() + REPORT_MS; ; await sleep(500)) {
      const wrong = (await deckies(running)).filter((decky) => !right(decky));
      if (wrong.length === 0) return;
      if (Date.now() > until) assert.fail(`wrong after ${REPORT_MS} ms: ${JSON.stringify(wrong)}`);
    }
  }

  // proof: swarm-start
  it('--once spreads real containers over three agents, and leaves nothing behind', async () => {
    const running = start('--once', '--agents', '3', '--fleet', fleet);
    const code = await running.ended();
    assert.equal(code, 0, running.output);
    assert.equal(running.lastLine, '6 succeeded, 0 failed');
    for (const name of ['agent-1', 'agent-2', 'agent-3'])
      assert.match(running.output, new RegExp(`on ${name} succeeded`), running.output);
    assert.deepEqual(processesOf(instanceOf(home)), []);
    assert.deepEqual(await onEngine(instanceOf(home), testServers.dockerHost ?? undefined), []);
  });

  it('gives each agent a project, a network and addresses of its own, and the stack’s instance', async () => {
    const running = await start('--agents', '2', '--fleet', fleet).up();
    const file = running.stackFile();
    assert.match(file.swarm_url ?? '', /^https:\/\/127\.0\.0\.1:\d+$/);
    assert.ok(existsSync(join(file.ca_dir ?? '', 'ca.crt')));
    for (const name of ['agent-1', 'agent-2']) assert.ok(identify(running.pidOf(name) ?? 0), name);
    assert.deepEqual(
      (await hosts(running)).map(({ name, status }) => [name, status]),
      [
        ['agent-1', 'active'],
        ['agent-2', 'active'],
      ],
    );
    const docker = connectDocker(testServers.dockerHost ?? '');
    const filters = { label: [`deckhand.instance=${instanceOf(home)}`] };
    const networks = (await docker.listNetworks({ filters })).map(({ Name }) => Name).sort();
    assert.deepEqual(networks, [`${project}_lan_1`, `${project}_lan_2`]);
    const containers = await docker.listContainers({ all: true, filters });
    const projects = new Set(containers.map(({ Labels }) => Labels['deckhand.project']));
    assert.deepEqual([...projects].sort(), [`${project}-agent-1`, `${project}-agent-2`]);
    const addresses = (decky: string): string[] =>
      containers.flatMap(({ Labels, NetworkSettings }) =>
        Labels['deckhand.decky'] === decky
          ? Object.values(NetworkSettings.Networks).map(({ IPAddress }) => IPAddress)
          : [],
      );
    await settled(running, (decky) => addresses(decky.name).includes(decky.ip));
  });

  it('enrols once: the next start finds the same hosts, and their deckies running', async () => {
    const first = await start('--agents', '2', '--fleet', fleet).up();
    await settled(first, isOnItsHost);
    const before = { hosts: await hosts(first), deckies: await deckies(first) };
    await stop();
    const second = await start('--fleet', fleet).up();
    assert.doesNotMatch(second.output, /enrolled as host/);
    const uuids = (list: HostView[]) => list.map(({ uuid, status }) => [uuid, status]);
    assert.deepEqual(uuids(await hosts(second)), uuids(before.hosts));
    const places = (list: FleetOverview['deckies']) => list.map((one) => [one.name, one.host_uuid, one.ip, one.state]);
    assert.deepEqual(places(await deckies(second)), places(before.deckies));
  });

  it('starts what is enrolled though the administrator’s password was changed, and says why it can’t enrol more', async () => {
    const first = await start('--agents', '1', '--fleet', 'none').up();
    const { api_url, admin } = first.stackFile();
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${await logIn(first)}` };
    const body = JSON.stringify({ old_password: admin.password, new_password: 'another-long-password' });
    const changed = await fetch(`${api_url}/api/v1/auth/change-password`, { method: 'POST', headers, body });
    assert.equal(changed.status, 200);
    await stop();
    const second = await start('--fleet', 'none').up();
    assert.match(second.output, /agents +started as they were enrolled/);
    assert.ok(identify(second.pidOf('agent-1') ?? 0));
    await stop();
    const third = start('--agents', '2', '--fleet', 'none');
    assert.equal(await third.ended(), 1);
    assert.match(third.output, /could not start: POST \/api\/v1\/auth\/login was answered with/);
  });

  // proof: first-host
  it('moves no decky that ran before there were agents (B9)', async () => {
    const alone = await start('--fleet', fleet).up();
    const before = (await deckies(alone)).map(({ name, ip }) => [name, null, ip]);
    await stop();
    const more = `${FLEET}\n[spread-late]\nservices = ssh\n`;
    writeFileSync(fleet, more);
    const swarm = await start('--agents', '1', '--fleet', fleet).up();
    const [host] = await hosts(swarm);
    const after = (await deckies(swarm)).map(({ name, host_uuid, ip }) => [name, host_uuid, ip]);
    assert.deepEqual(
      after.filter(([name]) => name !== 'spread-late'),
      before,
    );
    assert.equal(after.find(([name]) => name === 'spread-late')?.[1], host?.uuid);
  });

  it('lets an agent go that was removed with --self-destruct, and does not enrol it again', async () => {
    const running = await start('--agents', '2', '--fleet', 'none').up();
    const pid = running.pidOf('agent-2') ?? 0;
    const [, host] = await hosts(running);
    assert.equal(await remove(running, `/swarm/hosts/${host?.uuid}?self_destruct=true`), 204);
    await until('the end of the process', () => identify(pid) === null);
    assert.equal(identify(pid), null);
    await until('an agent that is not running', () => running.pidOf('agent-2') === null);
    assert.equal(running.pidOf('agent-2'), null);
    // Said at the same moment, but it comes through a pipe.
    await until("a word of the agent's end", () => /agent-2 +ended by itself/.test(running.output));
    assert.match(running.output, /agent-2 +ended by itself/);
    await stop();
    const again = await start('--fleet', 'none').up();
    assert.deepEqual(
      (await hosts(again)).map(({ name }) => name),
      ['agent-1'],
    );
    assert.equal(again.pidOf('agent-2'), null);
  });

  // proof: move
  it('drains a host with --move: its deckies run on the other one, and nothing is left where they were', async () => {
    const running = await start('--agents', '2', '--fleet', fleet).up();
    await settled(running, isOnItsHost);
    const drained = await deckhand(['host', 'drain', 'agent-1', '--move', '--yes'], 200_000);
    assert.equal(drained.status, 0, drained.stdout + drained.stderr);
    assert.match(drained.stdout, /agent-1 is draining: 3 deckies moved, 0 left/);
    assert.ok((await deckies(running)).every(({ host_name, state }) => host_name === 'agent-2' && state === 'running'));
    const docker = connectDocker(testServers.dockerHost ?? '');
    const filters = { label: [`deckhand.project=${project}-agent-1`] };
    assert.deepEqual(await docker.listContainers({ all: true, filters }), []);
  });

  it('joins a host by the very command that `deckhand host enroll` prints, once, and lets it go', async () => {
    const running = await start('--fleet', 'none').up();
    const run = (...args: readonly string[]) => deckhand(args, 60_000, { DECKHAND_AGENT_DIR: join(home, 'by-hand') });
    const port = await freePort();
    const enrolled = await run('host', 'enroll', 'h1', '127.0.0.1', '--port', String(port));
    assert.equal(enrolled.status, 0, enrolled.stderr);
    const [npx, command, ...rest] = enrolled.stdout.trim().split(' ');
    assert.deepEqual([npx, command], ['npx', 'deckhand']);
    const joined = await run(...rest);
    assert.equal(joined.status, 0, joined.stderr);
    assert.equal((await run(...rest)).status, 1, 'a token works once');
    const agent = spawn(process.execPath, ['cli/deckhand.mjs', 'agent', 'run'], {
      cwd: ROOT,
      stdio: 'ignore',
      env: {
        ...process.env,
        DECKHAND_AGENT_DIR: join(home, 'by-hand'),
        DECKHAND_AGENT_HOST: '127.0.0.1',
        DECKHAND_PROJECT: `${project}-by-hand`,
        DECKHAND_INSTANCE: instanceOf(home),
        DECKHAND_NETWORK: 'bridge',
      },
    });
    try {
      while ((await run('host', 'check', 'h1')).status !== 0) assert.equal(agent.exitCode, null);
      const removed = await run('host', 'remove', 'h1', '--yes', '--self-destruct');
      assert.equal(removed.status, 0, removed.stderr);
      if (agent.exitCode === null) await once(agent, 'exit');
      assert.equal(agent.exitCode, 0, 'it is the agent’s own process, and ends with it');
      assert.deepEqual(await hosts(running), []);
    } finally {
      agent.kill('SIGKILL');
    }
  });

  it('brings back an agent that was killed, as the same host', async () => {
    const running = await start('--agents', '1', '--fleet', 'none').up();
    const [before] = await hosts(running);
    await running.killAndAwaitReturn('agent-1');
    const [after] = await hosts(running);
    assert.deepEqual([after?.uuid, after?.status], [before?.uuid, 'active']);
    assert.equal(agentPids(running).filter((pid) => pid !== null).length, 1);
  });
});
