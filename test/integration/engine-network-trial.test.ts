/** A network that has to be made anew is tried out before anything is taken down for it. */
import assert from 'node:assert/strict';
import type { FleetNetwork } from '../../fleet/config.ts';
import { isDeckhandError } from '../../fleet/errors.ts';
import { type Scene, scene, type TestDocker, testDocker } from '../support/docker/docker.ts';

describe('a network that is to be made anew', () => {
  let docker: TestDocker;
  let stage: Scene;
  before(async () => {
    docker = await testDocker();
    stage = await scene(docker);
    await stage.engine.up(stage.spec('stays', 1, {}), stage.network);
  });
  after(async () => {
    await stage?.clean();
    await docker?.stop();
  });

  const net = (subnet: string): FleetNetwork => ({
    driver: 'bridge',
    interface: '',
    subnet,
    gateway: subnet.replace(/0\/\d+$/, '1'),
  });
  /** A /24 beside that of the scene. */
  const beside = (): string => {
    const [a, b = '0', c] = stage.network.subnet.split('.');
    return `${a}.${(Number(b) + 7) % 256}.${c}.0/24`;
  };
  const names = async (): Promise<string[]> =>
    (await docker.client.listNetworks()).map(({ Name }) => Name).filter((name) => name.startsWith(stage.scope.project));

  it('is told by the one that is there', async () => {
    assert.equal(await stage.engine.otherNetwork(stage.network), null);
    const other = await stage.engine.otherNetwork(net(beside()));
    assert.equal(other?.present?.subnet, stage.network.subnet);
    assert.equal(other?.present?.driver, 'bridge');
  });

  it('leaves nothing of a trial that went well, and what runs as it was', async () => {
    await stage.engine.tryNetwork(net(beside()));
    assert.deepEqual(await names(), [`${stage.scope.project}_lan`]);
    assert.equal((await stage.engine.deckies()).length, 1);
  });

  it('is refused where the engine can’t make it, and nothing was touched', async () => {
    for (const subnet of [beside().replace('/24', '/31'), beside().replace('/24', '/32')]) {
      const impossible = { ...net(subnet), gateway: subnet.replace(/\/\d+$/, '') };
      await assert.rejects(
        stage.engine.tryNetwork(impossible),
        (error) => isDeckhandError(error) && !error.retryable,
        subnet,
      );
    }
    assert.deepEqual(await names(), [`${stage.scope.project}_lan`]);
    assert.equal((await stage.engine.health(stage.spec('stays', 1, {}), 0)).status, 'healthy');
  });

  it('is refused by the name of the Docker network that has its addresses', async () => {
    const taken = beside();
    const name = `${stage.scope.project}-other`;
    const other = await docker.client.createNetwork({ Name: name, IPAM: { Config: [{ Subnet: taken }] } });
    try {
      await assert.rejects(
        stage.engine.tryNetwork(net(taken)),
        (error) => isDeckhandError(error) && !error.retryable && error.message.includes(name),
      );
    } finally {
      await other.remove();
    }
  });

  // proof: field-2.2-5
  it('is refused by the interface of the machine that has its addresses', async () => {
    const { readHostNetworks } = await import('../../engine/host-networks.ts');
    const { addresses } = await readHostNetworks();
    const mine = addresses.find((one) => !/^(?:lo|br-|docker)/.test(one.interface));
    assert.ok(mine, 'this machine has no interface with an address');
    const subnet = mine.subnet.replace(/\.\d+\/\d+$/, '.0/24');
    await assert.rejects(
      stage.engine.tryNetwork(net(subnet)),
      (error) => isDeckhandError(error) && error.code === 'NetworkConflict' && error.message.includes(mine.interface),
    );
  });

  it('takes no harm of a trial that was killed', async () => {
    const name = `${stage.scope.project}_lan_probe`;
    const labels = { 'deckhand.instance': stage.scope.instance, 'deckhand.project': stage.scope.project };
    await docker.client.createNetwork({ Name: name, Labels: labels, IPAM: { Config: [{ Subnet: beside() }] } });
    await stage.engine.tryNetwork(net(beside()));
    assert.deepEqual(await names(), [`${stage.scope.project}_lan`]);
  });
});
