import assert from 'node:assert/strict';
import type { DeckySpec } from '../../fleet/compose.ts';
import { dockerScene } from '../support/docker/docker-fixture.ts';

describe('bringing a decky up', () => {
  const on = dockerScene();
  const up = (spec: DeckySpec) => on.stage.engine.up(spec, on.stage.network);
  const names = (spec: DeckySpec) => [...spec.keys].sort();

  it('makes network, image and containers, with address, settings and labels', async () => {
    const spec = on.stage.spec('fresh', 1, { http: { environment: { NODE_NAME: 'x', PASSWORD: 'a$b' } } });
    const base = spec.services[spec.decky];
    assert.ok(base);
    base.sysctls = { 'net.ipv4.ip_default_ttl': '128' };
    base.cap_add = ['NET_ADMIN'];
    assert.equal((await up(spec)).unchanged, false);
    const [observed] = await on.stage.engine.observe([spec]);
    assert.deepEqual(observed?.differences, []);
    assert.equal(observed?.containers.find(({ service }) => service === spec.decky)?.ip, on.stage.ip(1));
    const info = await on.docker.client.getContainer(spec.decky).inspect();
    assert.equal(info.Config.Hostname, spec.decky);
    assert.equal(info.HostConfig.RestartPolicy?.Name, 'unless-stopped');
    assert.equal(info.HostConfig.Sysctls?.['net.ipv4.ip_default_ttl'], '128');
    assert.deepEqual(info.HostConfig.CapAdd, ['NET_ADMIN']);
    assert.equal(info.Config.Labels['deckhand.instance'], on.stage.scope.instance);
    assert.equal(info.Config.Labels['com.docker.compose.project'], on.stage.scope.project);
    assert.equal(info.Config.Labels['com.docker.compose.image'], info.Image);
    const service = await on.docker.client.getContainer(`${spec.decky}-http`).inspect();
    assert.equal(service.HostConfig.NetworkMode, `container:${info.Id}`);
    assert.ok(service.Config.Env.includes('PASSWORD=a$b'));
  });

  // proof: same-again, gap-c3
  it('C3: leaves a decky that is as it should be alone, and its neighbours too', async () => {
    const [one, two] = [on.stage.spec('one', 2), on.stage.spec('two', 3)];
    await up(one);
    const before = await on.stage.ids(one.decky);
    assert.deepEqual(Object.keys(before).sort(), names(one));
    await up(two);
    assert.deepEqual(await up(one), { unchanged: true, steps: [] });
    assert.deepEqual(await on.stage.ids(one.decky), before);
  });

  // proof: same-again
  it('replaces the one service that changed, and only it', async () => {
    const before = on.stage.spec('change', 4);
    await up(before);
    const ids = await on.stage.ids(before.decky);
    const result = await up(on.stage.spec('change', 4, { http: { environment: { A: 'b' } }, ssh: {} }));
    assert.deepEqual(
      result.steps.filter(({ action }) => action === 'removeContainer').map(({ target, reason }) => [target, reason]),
      [[`${before.decky}-http`, 'its configuration changed']],
    );
    const after = await on.stage.ids(before.decky);
    assert.notEqual(after[`${before.decky}-http`], ids[`${before.decky}-http`]);
    assert.equal(after[`${before.decky}-ssh`], ids[`${before.decky}-ssh`]);
    assert.equal(after[before.decky], ids[before.decky]);
  });

  it('removes a service that is not wanted any more, and adds a new one', async () => {
    const before = on.stage.spec('swap', 5);
    await up(before);
    const ids = await on.stage.ids(before.decky);
    const spec = on.stage.spec('swap', 5, { http: {}, ftp: {} });
    await up(spec);
    const after = await on.stage.ids(spec.decky);
    assert.deepEqual(Object.keys(after).sort(), names(spec));
    assert.equal(after[`${spec.decky}-http`], ids[`${spec.decky}-http`]);
  });

  it('replaces the services with a base that changed', async () => {
    const spec = on.stage.spec('base', 6);
    await up(spec);
    const ids = Object.values(await on.stage.ids(spec.decky));
    const moved = on.stage.spec('base', 7);
    await up(moved);
    const after = await on.stage.ids(spec.decky);
    assert.deepEqual(Object.keys(after).sort(), names(spec));
    assert.equal(Object.values(after).filter((id) => ids.includes(id)).length, 0);
    const [observed] = await on.stage.engine.observe([moved]);
    assert.deepEqual(observed?.differences, []);
  });

  it('takes up what a killed attempt left: half of the services', async () => {
    const spec = on.stage.spec('half', 8);
    await up(spec);
    const ids = await on.stage.ids(spec.decky);
    await on.docker.client.getContainer(`${spec.decky}-http`).remove({ force: true });
    await up(spec);
    const after = await on.stage.ids(spec.decky);
    assert.deepEqual(Object.keys(after).sort(), names(spec));
    assert.equal(after[`${spec.decky}-ssh`], ids[`${spec.decky}-ssh`]);
  });

  it('takes up what a killed attempt left: created, not started', async () => {
    const spec = on.stage.spec('created', 9);
    await up(spec);
    const ids = await on.stage.ids(spec.decky);
    for (const name of names(spec)) await on.docker.client.getContainer(name).kill();
    await up(spec);
    const [observed] = await on.stage.engine.observe([spec]);
    assert.deepEqual(observed?.differences, []);
    assert.deepEqual(await on.stage.ids(spec.decky), ids);
  });

  it('takes up what a killed attempt left: a container of ours that no listing of the decky shows', async () => {
    const spec = on.stage.spec('stale', 10);
    const labels = { 'deckhand.instance': on.stage.scope.instance, 'deckhand.project': on.stage.scope.project };
    await on.docker.client.createContainer({
      name: spec.decky,
      Image: on.stage.image,
      Cmd: ['sleep', '1'],
      Labels: labels,
    });
    await up(spec);
    const [observed] = await on.stage.engine.observe([spec]);
    assert.deepEqual(observed?.differences, []);
  });

  it('brings twelve up at once, with one network and one image', async () => {
    const specs = Array.from({ length: 12 }, (_, index) => on.stage.spec(`many${index}`, 20 + index, { http: {} }));
    await Promise.all(specs.map(up));
    const observed = await on.stage.engine.observe(specs);
    assert.deepEqual(
      observed.flatMap(({ differences }) => differences),
      [],
    );
    const networks = await on.docker.client.listNetworks({ filters: { name: [`${on.stage.scope.project}_lan`] } });
    assert.equal(networks.length, 1);
  });

  it('two workers at once do not make anything twice', async () => {
    const spec = on.stage.spec('twice', 40);
    const other = on.stage.another();
    const results = await Promise.allSettled([up(spec), other.up(spec, on.stage.network)]);
    await up(spec);
    assert.ok(results.length === 2);
    const [observed] = await on.stage.engine.observe([spec]);
    assert.deepEqual(observed?.differences, []);
    assert.deepEqual(Object.keys(await on.stage.ids(spec.decky)).sort(), names(spec));
  });
});
