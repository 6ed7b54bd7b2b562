/** A service that is cut off from its base: it runs, and nobody reaches it. Whoever looks sees it, and the look puts it right. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { loadBuiltinImages } from '../../decoys/images.ts';
import type { DeckySpec } from '../../fleet/compose.ts';
import { dockerScene } from '../support/docker/docker-fixture.ts';
import { until } from '../support/until.ts';

describe('a decky whose base was started after its services', () => {
  const on = dockerScene();
  const container = (name: string) => on.docker.client.getContainer(name);
  const startOf = async (name: string) => (await container(name).inspect()).State.StartedAt;

  /** A decky with the built-in SSH decoy, up and answering. */
  async function answering(name: string, n: number): Promise<{ spec: DeckySpec; service: string; ip: string }> {
    const spec = on.stage.spec(name, n, { ssh: {}, two: {} });
    const ssh = spec.services[`${spec.decky}-ssh`];
    const image = (await loadBuiltinImages()).serviceImage('ssh');
    assert.ok(ssh && image);
    ssh.image = image;
    delete ssh.command;
    await on.stage.engine.up(spec, on.stage.network);
    const ip = on.stage.ip(n);
    await until('the banner', () => greets(ip));
    return { spec, service: `${spec.decky}-ssh`, ip };
  }

  /** As the engine has it in the end, when its restart policy has brought the base back. */
  async function baseIsKilled(base: string): Promise<void> {
    const before = await startOf(base);
    const { State } = await container(base).inspect();
    process.kill(State.Pid, 'SIGKILL');
    await until('the base', async () => {
      const { State: now } = await container(base).inspect();
      return now.StartedAt !== before && now.Status === 'running';
    });
  }

  const ways: Readonly<Record<string, (base: string) => Promise<unknown>>> = {
    restarted: (base) => container(base).restart({ t: 0 }),
    'killed, and back by its policy': baseIsKilled,
    'stopped and started': async (base) => {
      await container(base).stop({ t: 0 });
      await container(base).start();
    },
  };

  let n = 0;
  // proof: field-3.1-1
  for (const [how, happens] of Object.entries(ways))
    it(`is put right by a look, base ${how}: it answers on its port`, async () => {
      n += 1;
      const { spec, service, ip } = await answering(`deaf${n}`, n);
      assert.deepEqual((await on.stage.engine.observeAndMend([spec]))[0]?.drift, []);
      await happens(spec.decky);
      assert.equal(await greets(ip), false);

      const [observed] = await on.stage.engine.observe([spec]);
      assert.equal(observed?.asSpecified, false);
      assert.deepEqual(observed?.drift.map((one) => one.container).sort(), [service, `${spec.decky}-two`].sort());
      assert.match(observed?.drift[0]?.detail ?? '', /cut off/);

      const ids = await on.stage.ids(spec.decky);
      const [looked] = await on.stage.engine.observeAndMend([spec]);
      assert.deepEqual(looked?.drift, []);
      await until('the banner', () => greets(ip), 5_000);
      assert.deepEqual(await on.stage.ids(spec.decky), ids);
    });

  // proof: field-3.1-1
  it('is put right by a deploy, which makes its services anew and leaves the base', async () => {
    const { spec, ip } = await answering('deafup', 10);
    const before = await on.stage.ids(spec.decky);
    await container(spec.decky).restart({ t: 0 });
    assert.equal((await on.stage.engine.up(spec, on.stage.network)).unchanged, false);
    await until('the banner', () => greets(ip), 5_000);
    assert.equal((await on.stage.ids(spec.decky))[spec.decky], before[spec.decky]);
    assert.equal((await on.stage.engine.up(spec, on.stage.network)).unchanged, true);
  });

  // proof: field-3.1-1
  it('is not healthy: the watch brings it back, and it answers', async () => {
    const { spec, ip } = await answering('deafwatch', 11);
    await container(spec.decky).restart({ t: 0 });
    const health = await on.stage.engine.health(spec, 300);
    assert.equal(health.status, 'waiting');
    assert.match(health.status === 'waiting' ? health.sentence : '', /cut off.*started again/);
    await until('health', async () => (await on.stage.engine.health(spec, 300)).status === 'healthy');
    // Its process may need longer than those 300 ms until it listens.
    await until('the banner', () => greets(ip), 5_000);
  });
});

/** Whether the decoy says its first line. */
async function greets(host: string): Promise<boolean> {
  const socket = connect({ host, port: 22 });
  socket.setTimeout(1_000, () => socket.destroy(new Error('silent')));
  try {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    return /^SSH-2\.0-/.test(chunk.toString('latin1'));
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
