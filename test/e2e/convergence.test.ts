/** Drift, reconcile, stop and start by the command, over a real agent with real containers. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type Docker from 'dockerode';
import type { DriftOverview, FleetOverview, ReconcileAnswer } from '../../cli/master.ts';
import { connectDocker } from '../../engine/docker/transport.ts';
import { ROOT } from '../../stack/root.ts';
import { testDirectory, testServers } from '../support/stack/stack.ts';
import { StackProcess } from '../support/stack/stack-process.ts';
import { until } from '../support/until.ts';

const FLEET = '[web]\nservices = http\namount = 2\n';
const HEARTBEAT_S = 2;

describe('convergence over an agent', function () {
  this.timeout(240_000);
  let home = '';
  let stack: StackProcess;
  let docker: Docker;

  before(async function () {
    if (!testServers.dockerHost) return this.skip();
    home = testDirectory('converge');
    docker = connectDocker(testServers.dockerHost);
    const fleet = join(home, 'fleet.ini');
    writeFileSync(fleet, FLEET);
    const env = {
      DECKHAND_PROJECT: `s${randomBytes(3).toString('hex')}`,
      DOCKER_HOST: testServers.dockerHost,
      DECKHAND_HEARTBEAT_INTERVAL: `${HEARTBEAT_S}s`,
      DECKHAND_MIN_HEALTHY_TIME: '500ms',
    };
    stack = await new StackProcess({ home, args: ['--agents', '1', '--fleet', fleet], env }).up();
  });
  after(async () => {
    if (!stack) return;
    stack.signal('SIGINT');
    await stack.ended();
    for (const { Id } of await docker.listContainers({ all: true, filters: filters() }))
      await docker.getContainer(Id).remove({ force: true });
    for (const { Id } of await docker.listNetworks({ filters: filters() })) await docker.getNetwork(Id).remove();
    rmSync(home, { recursive: true, force: true });
  });

  const filters = (decky?: string) => ({
    label: [
      `deckhand.instance=${readFileSync(join(home, 'instance'), 'utf8').trim()}`,
      ...(decky ? [`deckhand.decky=${decky}`] : []),
    ],
  });
  async function containers(decky: string, all = false): Promise<Record<string, string>> {
    const found = await docker.listContainers({ all, filters: filters(decky) });
    return Object.fromEntries(found.map((one) => [one.Names[0]?.slice(1) ?? '', one.Id]));
  }
  const removeByHand = async (decky: string, name: string): Promise<void> =>
    docker.getContainer((await containers(decky))[name] ?? '').remove({ force: true });

  async function run(...args: string[]): Promise<string> {
    const child = spawn(process.execPath, ['cli/deckhand.mjs', '--home', home, ...args], { cwd: ROOT });
    let [out, err] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
    const code = await new Promise((resolve) => child.once('close', resolve));
    assert.equal(code, 0, `${args.join(' ')}: ${out}${err}`);
    return out;
  }
  const json = async <T>(...args: string[]): Promise<T> => JSON.parse(await run(...args, '--json')) as T;
  const drift = async (): Promise<string[]> =>
    (await json<DriftOverview>('drift')).drift.map((one) => `${one.decky_name} ${one.host_name} ${one.reason}`);
  async function drifts(...expected: string[]): Promise<void> {
    let seen: string[] = [];
    const same = async (): Promise<boolean> => {
      seen = await drift();
      return JSON.stringify(seen) === JSON.stringify(expected);
    };
    // The assertion says what is there instead.
    await until('that drift', same).catch(() => undefined);
    assert.deepEqual(seen, expected);
  }
  const stateOf = async (name: string): Promise<string | undefined> =>
    (await json<FleetOverview>('deckies')).deckies.find((one) => one.name === name)?.state;

  // proof: drift
  it('shows a container that was removed by hand with the next heartbeat, and mends it', async () => {
    const neighbour = await containers('web-02');
    await drifts();
    await removeByHand('web-01', 'web-01-http');
    await drifts('web-01 agent-1 missing');
    assert.match(await run('deckies'), /^web-01 +degraded \(missing\)/m);
    const dry = await json<ReconcileAnswer>('reconcile', '--dry-run');
    assert.deepEqual(
      [dry.deployment_id, dry.mending.map(({ decky_name, action, reasons }) => [decky_name, action, reasons])],
      [undefined, [['web-01', 'deploy', ['missing']]]],
    );
    assert.match(await run('reconcile', '--wait'), /^1 succeeded, 0 failed/m);
    assert.deepEqual(Object.keys(await containers('web-01')).sort(), ['web-01', 'web-01-http']);
    assert.deepEqual(await containers('web-02'), neighbour);
    await drifts();
    assert.match(await run('reconcile'), /^Nothing drifts\.$/m);
  });

  // proof: stays-stopped
  it('keeps a stopped decky stopped through a deploy of its neighbours, a reconcile and an agent’s restart', async () => {
    await run('stop', 'web-01', '--wait');
    const kept = await containers('web-01', true);
    const still = async () => {
      assert.deepEqual(await containers('web-01'), {});
      assert.deepEqual(await containers('web-01', true), kept, 'its containers stay');
      assert.equal(await stateOf('web-01'), 'stopped');
    };
    await still();
    const more = join(home, 'more.ini');
    writeFileSync(more, '[extra]\nservices = ssh\n');
    await run('deploy', more, '--wait');
    await removeByHand('web-02', 'web-02-http');
    await drifts('web-02 agent-1 missing');
    assert.match(await run('reconcile', '--wait'), /^1 succeeded, 0 failed/m);
    await still();
    await stack.killAndAwaitReturn('agent-1');
    await run('deploy', more, '--add-missing', '--wait');
    await drifts();
    await still();
    await run('start', 'web-01', '--wait');
    assert.deepEqual(Object.keys(await containers('web-01')).sort(), ['web-01', 'web-01-http']);
    await drifts();
    assert.equal(await stateOf('web-01'), 'running');
  });
});
