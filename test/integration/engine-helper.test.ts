import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { connect } from 'node:net';
import type { Suite } from 'mocha';
import { helperName } from '../../engine/docker/helper-interface.ts';
import type { FleetNetwork } from '../../fleet/config.ts';
import { type Scene, scene, type TestDocker, testDocker } from '../support/docker/docker.ts';
import { until } from '../support/until.ts';

const ip = (...args: string[]): boolean => spawnSync('ip', args, { stdio: 'ignore' }).status === 0;
const LISTEN = ['node', '-e', "require('node:net').createServer((socket) => socket.end('here')).listen(80)"];

/** Whether something takes a connection there within two seconds. */
const answers = (host: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host, port: 80, timeout: 2_000 });
    const settle = (whether: boolean) => (): void => {
      socket.destroy();
      resolve(whether);
    };
    socket.on('connect', settle(true)).on('error', settle(false)).on('timeout', settle(false));
  });

/** On a veth pair of the test's own, never on an interface of the machine; the engine has to be on this machine too. */
describe('the helper interface under macvlan', function (this: Suite) {
  let docker: TestDocker;
  let stage: Scene;
  let parent: string | null = null;
  let helper: string;
  before(async function () {
    docker = await testDocker();
    stage = await scene(docker);
    const names = [`${stage.prefix}a`, `${stage.prefix}b`] as const;
    const pair = ['link', 'add', names[0], 'type', 'veth', 'peer', 'name', names[1]];
    if (!docker.host.startsWith('unix:') || !ip(...pair)) return this.skip();
    parent = names[0];
    ip('address', 'add', `${stage.network.subnet.replace('0/24', '250/24')}`, 'dev', parent);
    for (const name of names) ip('link', 'set', name, 'up');
    helper = helperName(`${stage.scope.project}_lan`, 'macvlan');
  });
  after(async () => {
    await stage?.clean();
    if (parent) ip('link', 'delete', parent);
    await docker?.stop();
  });
  const network = (): FleetNetwork => ({ ...stage.network, driver: 'macvlan', interface: parent ?? '' });
  const spec = (name: string, n: number) => stage.spec(name, n, { http: { command: LISTEN } });
  const routes = (): string[] => {
    const { stdout } = spawnSync('ip', ['-json', '-4', 'route', 'show', 'dev', helper], { encoding: 'utf8' });
    return (JSON.parse(stdout || '[]') as { dst: string }[]).map(({ dst }) => dst).sort();
  };
  const isThere = (): boolean => ip('link', 'show', 'dev', helper);

  // proof: field-4-7
  it('leads this machine to its deckies, and to no other address', async () => {
    await Promise.all([stage.engine.up(spec('one', 1), network()), stage.engine.up(spec('two', 2), network())]);
    assert.deepEqual(routes(), [stage.ip(1), stage.ip(2)]);
    for (const n of [1, 2]) await until(`an answer of decky ${n}`, () => answers(stage.ip(n)));
  });

  // proof: field-4-7
  it('is made anew by the next look after a reboot', async () => {
    ip('link', 'delete', helper);
    assert.equal(await answers(stage.ip(1)), false);
    await stage.engine.observeAndMend([spec('one', 1), spec('two', 2)]);
    await until('an answer of decky 1', () => answers(stage.ip(1)));
  });

  it('is made by the look of a program that has just started', async () => {
    ip('link', 'delete', helper);
    await stage.another().observeAndMend([spec('one', 1)]);
    assert.deepEqual(routes(), [stage.ip(1), stage.ip(2)]);
  });

  // proof: field-4-7
  it('follows the deckies that go, and goes with the network', async () => {
    await stage.engine.down(`${stage.prefix}one`);
    assert.deepEqual(routes(), [stage.ip(2)]);
    await stage.another().down(`${stage.prefix}two`);
    assert.deepEqual(routes(), []);
    assert.equal(await stage.engine.removeNetworkIfUnused(), true);
    assert.equal(isThere(), false);
  });

  it('goes with a purge too, and is not made for a bridge', async () => {
    await stage.engine.up(spec('one', 1), network());
    assert.equal(isThere(), true);
    await stage.another().purge();
    assert.equal(isThere(), false);
    const other = stage.network.subnet.replace(/^10\./, '11.');
    const bridge = { ...stage.network, subnet: other, gateway: other.replace('0/24', '1') };
    const given = spec('one', 1);
    const base = given.services[given.decky];
    const at = { networks: { decnet_lan: { ipv4_address: other.replace('0/24', '11') } } };
    await stage.engine.up(
      { ...given, services: { ...given.services, [given.decky]: { ...base, ...at } } as never },
      bridge,
    );
    assert.equal(isThere(), false);
  });
});
