import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import type { Suite } from 'mocha';
import { resolveOwnNetwork } from '../../agent/network.ts';
import { detectNetwork } from '../../engine/host-networks.ts';
import type { FleetNetwork } from '../../fleet/config.ts';
import { isDeckhandError } from '../../fleet/errors.ts';
import { type Scene, scene, type TestDocker, testDocker } from '../support/docker/docker.ts';
import { assertRefused, plan } from '../support/fixtures/planning.ts';

const ip = (...args: string[]): boolean => spawnSync('ip', args, { stdio: 'ignore' }).status === 0;

/** On a veth pair of the test's own, never on an interface of the machine; the engine has to be on this machine too. */
describe('a macvlan network', function (this: Suite) {
  let docker: TestDocker;
  let stage: Scene;
  let links: readonly [string, string] | null = null;
  before(async function () {
    docker = await testDocker();
    stage = await scene(docker);
    const names = [`${stage.prefix}a`, `${stage.prefix}b`] as const;
    const made =
      docker.host.startsWith('unix:') && ip('link', 'add', names[0], 'type', 'veth', 'peer', 'name', names[1]);
    if (!made) return this.skip();
    links = names;
    for (const name of names) ip('link', 'set', name, 'up');
  });
  after(async () => {
    await stage?.clean();
    if (links) ip('link', 'delete', links[0]);
    await docker?.stop();
  });
  const network = (): FleetNetwork => ({ ...stage.network, driver: 'macvlan', interface: links?.[0] ?? '' });

  it('gives a decky its address on the interface, and is kept for the next', async () => {
    const specs = [stage.spec('one', 1), stage.spec('two', 2, {})];
    for (const spec of specs) await stage.engine.up(spec, network());
    const [one] = await stage.engine.observe(specs);
    assert.deepEqual(one?.differences, []);
    assert.equal(one?.containers.find(({ service }) => service === one.decky)?.ip, stage.ip(1));
    const info = await docker.client.getNetwork(`${stage.scope.project}_lan`).inspect();
    assert.equal(info.Driver, 'macvlan');
    assert.equal(info.Options?.parent, links?.[0]);
    assert.deepEqual(info.IPAM?.Config, [{ Subnet: stage.network.subnet, Gateway: stage.network.gateway }]);
    assert.equal((await stage.engine.up(stage.spec('one', 1), network())).unchanged, true);
  });

  // proof: field-2.4-2
  it('never gets an address of this machine, though its interface is not that of the default route', async () => {
    const [parent] = links ?? [''];
    const subnet = stage.network.subnet.replace(/^10\./, '12.');
    const at = (last: number): string => subnet.replace('0/24', String(last));
    for (const last of [2, 3, 7]) assert.ok(ip('addr', 'add', `${at(last)}/24`, 'dev', parent));
    const owner = { instance: stage.scope.instance, project: stage.scope.project, networkName: 'none' };
    const context = await detectNetwork('macvlan', null, { dockerHost: docker.host, owner });
    assert.notEqual(context.detected?.interface, parent);
    const ini = (lines: string): string =>
      `[general]\ninterface=${parent}\ngw=${at(1)}\n[d]\nservices=ssh\namount=5\n${lines}`;
    const made = plan(ini(''), { context });
    assert.equal(made.network.subnet, subnet);
    assert.deepEqual(
      made.deckies.map(({ config }) => config.ip),
      [4, 5, 6, 8, 9].map(at),
    );
    assertRefused(
      () => plan(ini(`[e]\nservices=ssh\nip=${at(7)}\n`), { context }),
      'InvalidAddress',
      /this host's own/,
    );
    const there = { ...context, detected: { interface: parent, subnet, gateway: at(1) } };
    const { hostAddresses } = resolveOwnNetwork(null, there);
    assert.ok(
      [2, 3, 7].every((last) => hostAddresses.includes(at(last))),
      'an agent does not know its own addresses',
    );
  });

  it('on an interface that is not there is refused for good', async () => {
    const other = stage.another({ project: `${stage.scope.project}-b` });
    const subnet = stage.network.subnet.replace(/^10\./, '11.');
    const wrong = { ...network(), subnet, gateway: subnet.replace('0/24', '1'), interface: 'nosuchlink' };
    await assert.rejects(other.up(stage.spec('none', 1), wrong), (error) => {
      assert.ok(isDeckhandError(error));
      assert.equal(error.code, 'EngineRefused', error.message);
      return true;
    });
  });
});
