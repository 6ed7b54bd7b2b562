import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { type Scene, scene, type TestDocker, testDocker } from '../support/docker/docker.ts';
import { engineThatKeepsNetworks } from '../support/docker/refusing-engine.ts';

describe('taking deckies down', () => {
  let docker: TestDocker;
  let stage: Scene;
  before(async () => {
    docker = await testDocker();
  });
  beforeEach(async () => {
    stage = await scene(docker);
  });
  afterEach(() => stage.clean());
  after(() => docker?.stop());
  const networkName = () => `${stage.scope.project}_lan`;
  const exists = (name: string) =>
    docker.client
      .getContainer(name)
      .inspect()
      .then(
        () => true,
        () => false,
      );

  it('removes base and services, of this decky only; again it removes nothing', async () => {
    const [one, two] = [stage.spec('one', 1), stage.spec('two', 2)];
    await Promise.all([one, two].map((spec) => stage.engine.up(spec, stage.network)));
    assert.deepEqual(await stage.engine.deckies(), [one.decky, two.decky].sort());
    assert.deepEqual([...(await stage.engine.down(one.decky))].sort(), [...one.keys].sort());
    assert.deepEqual(await stage.engine.down(one.decky), []);
    assert.deepEqual(await stage.engine.deckies(), [two.decky]);
    assert.deepEqual((await stage.engine.observe([two]))[0]?.differences, []);
  });

  it('removes what is left when half of it is gone, the base included', async () => {
    const spec = stage.spec('half', 1);
    await stage.engine.up(spec, stage.network);
    await docker.client.getContainer(spec.decky).remove({ force: true });
    assert.deepEqual([...(await stage.engine.down(spec.decky))].sort(), spec.keys.slice(1).sort());
    assert.deepEqual(await stage.ids(spec.decky), {});
  });

  it('two who take the same decky down at once both come to an end', async () => {
    const spec = stage.spec('race', 1);
    await stage.engine.up(spec, stage.network);
    await Promise.all([stage.engine.down(spec.decky), stage.another().down(spec.decky)]);
    assert.deepEqual(await stage.ids(spec.decky), {});
  });

  it('removes the network only when nothing hangs on it', async () => {
    const spec = stage.spec('net', 1);
    await stage.engine.up(spec, stage.network);
    assert.equal(await stage.engine.removeNetworkIfUnused(), false);
    await stage.engine.down(spec.decky);
    assert.equal(await stage.engine.removeNetworkIfUnused(), true);
    assert.equal(await stage.engine.removeNetworkIfUnused(), false);
    await assert.rejects(docker.client.getNetwork(networkName()).inspect(), { statusCode: 404 });
    await stage.engine.up(spec, stage.network);
    assert.deepEqual((await stage.engine.observe([spec]))[0]?.differences, []);
  });

  // proof: two-stacks
  it("purge removes all of the instance, of any project, and nothing of another's", async () => {
    const neighbours = await scene(docker);
    const other = stage.another({ project: `${stage.scope.project}-b` });
    const shift = {
      ...neighbours.network,
      subnet: neighbours.network.subnet.replace(/^10/, '11'),
      gateway: neighbours.network.gateway.replace(/^10/, '11'),
    };
    const [mine, theirs] = [stage.spec('mine', 1), neighbours.spec('theirs', 1)];
    const shifted = stage.spec('shifted', 1, {});
    const base = shifted.services[shifted.decky];
    assert.ok(base);
    base.networks = { decnet_lan: { ipv4_address: shift.gateway.replace(/1$/, '9') } };
    try {
      await stage.engine.up(mine, stage.network);
      await other.up(shifted, shift);
      await neighbours.engine.up(theirs, neighbours.network);
      assert.deepEqual(await stage.engine.purge(), { containers: 4, networks: 2, stuck: [] });
      assert.equal(await exists(mine.decky), false);
      assert.equal(await exists(shifted.decky), false);
      assert.deepEqual((await neighbours.engine.observe([theirs]))[0]?.differences, []);
    } finally {
      await neighbours.clean();
    }
  });

  it('a network that Docker keeps though nothing hangs on it is told, and stops nothing else', async function () {
    this.timeout(60_000);
    const spec = stage.spec('kept', 1);
    await stage.engine.up(spec, stage.network);
    const refusing = await engineThatKeepsNetworks(docker.host);
    try {
      const purged = await stage.another({}, refusing.host).purge();
      assert.equal(purged.containers, 3);
      assert.equal(purged.networks, 0);
      assert.match(purged.stuck.join(), new RegExp(`^network ${networkName()} can’t be removed: .*Restart the Docker`));
      assert.equal(await exists(spec.decky), false);
      const other = { ...stage.network, gateway: stage.ip(90) };
      await assert.rejects(stage.another({}, refusing.host).up(spec, other), /no container hangs on it/);
    } finally {
      await refusing.close();
    }
  });

  it('an abort ends it at once with the reason given, and what was half done is taken up later', async () => {
    const specs = Array.from({ length: 6 }, (_, index) => stage.spec(`abort${index}`, index + 1));
    const controller = new AbortController();
    const reason = new Error('enough');
    const onProgress = (step: string): void => {
      if (step.startsWith('starting')) controller.abort(reason);
    };
    const results = await Promise.allSettled(
      specs.map((spec) => stage.engine.up(spec, stage.network, { signal: controller.signal, onProgress })),
    );
    for (const result of results) assert.equal(result.status === 'rejected' && result.reason, reason);
    await assert.rejects(stage.engine.observe(specs, controller.signal), reason);
    await Promise.all(specs.map((spec) => stage.engine.up(spec, stage.network)));
    assert.deepEqual(
      (await stage.engine.observe(specs)).flatMap(({ differences }) => differences),
      [],
    );
  });

  it('what is taken down right after an abort leaves no container that the engine was making just then', async () => {
    const specs = Array.from({ length: 6 }, (_, index) => stage.spec(`just${index}`, index + 1));
    await Promise.all(
      specs.map(async (spec, index) => {
        const controller = new AbortController();
        const onProgress = (step: string): void => {
          if (step.startsWith('creating')) setTimeout(() => controller.abort(), 10 * index);
        };
        await stage.engine.up(spec, stage.network, { signal: controller.signal, onProgress }).catch(() => undefined);
        await stage.engine.down(spec.decky);
      }),
    );
    // A creation whose caller has left goes on in the engine, and is listed once it has ended.
    await pause(2_000);
    for (const { decky } of specs) assert.deepEqual(await stage.ids(decky), {});
  });

  it('a name that a creation which was cut off holds unseen is waited for', async () => {
    const specs = Array.from({ length: 12 }, (_, index) => stage.spec(`held${index}`, index + 1, {}));
    const labels = { 'deckhand.instance': stage.scope.instance, 'deckhand.project': stage.scope.project };
    // Of an earlier attempt that nobody waits for any more: the engine has its name before it can be inspected.
    const earlier = specs.map(({ decky }) =>
      docker.client.createContainer({ name: decky, Image: stage.image, Labels: labels }),
    );
    const ups = specs.map((spec) => stage.engine.up(spec, stage.network));
    await Promise.allSettled(earlier);
    await Promise.all(ups);
    assert.deepEqual(
      (await stage.engine.observe(specs)).flatMap(({ differences }) => differences),
      [],
    );
  });
});
