/** After a restart of Docker a service may come before its base, and is left behind. */
import assert from 'node:assert/strict';
import { dockerScene } from '../support/docker/docker-fixture.ts';
import { leaveBehind } from '../support/docker/left-behind.ts';
import { until } from '../support/until.ts';

describe('what the engine left behind when it came back', () => {
  const on = dockerScene();

  it('is started with the next look; what somebody stopped, or has ended by itself, is not', async () => {
    const spec = on.stage.spec('back', 1, { http: {}, ssh: {}, ftp: { command: ['node', '-e', '0'], restart: 'no' } });
    await on.stage.engine.up(spec, on.stage.network);
    const { client } = on.docker;
    const base = spec.decky;
    const [http, ssh, ftp] = [`${base}-http`, `${base}-ssh`, `${base}-ftp`];
    const container = (name: string) => client.getContainer(name);
    await container(ftp).wait();
    await container(ssh).stop({ t: 0 });
    await leaveBehind(client, base, http);
    const stateOf = async (name: string): Promise<string> => (await container(name).inspect()).State.Status;
    assert.deepEqual([await stateOf(http), await stateOf(ssh), await stateOf(ftp)], ['exited', 'exited', 'exited']);

    const [seen] = await on.stage.engine.observeAndMend([spec]);
    assert.deepEqual(
      seen?.drift.map(({ reason, container }) => [reason, container]),
      [
        ['exited', ssh],
        ['exited', ftp],
      ],
    );
    assert.deepEqual([await stateOf(http), await stateOf(ssh)], ['running', 'exited']);
  });

  /** What the engine may have done to a decky while it was watched; base and services. */
  const doings: Readonly<Record<string, (base: string, services: readonly string[]) => Promise<unknown>>> = {
    'left a service behind': (base, [http = '']) => leaveBehind(on.docker.client, base, http),
    'ended all containers': (base, services) =>
      Promise.all([base, ...services].map((name) => on.docker.client.getContainer(name).kill())),
    'ended a service': (_base, [http = '']) => on.docker.client.getContainer(http).stop({ t: 0 }),
    'ended the base': (base) => on.docker.client.getContainer(base).kill(),
  };
  let n = 10;
  // proof: field-3.3-1
  for (const [what, happens] of Object.entries(doings))
    it(`is brought back while it is watched, and its time counts anew: the engine ${what}`, async () => {
      n += 1;
      const spec = on.stage.spec(`watched${n}`, n);
      await on.stage.engine.up(spec, on.stage.network);
      await happens(spec.decky, spec.keys.slice(1));
      const health = await on.stage.engine.health(spec, 1_000);
      assert.equal(health.status, 'waiting');
      assert.match(health.status === 'waiting' ? health.sentence : '', /; it was started again$/);
      await until('health', async () => {
        const now = await on.stage.engine.health(spec, 1_000);
        assert.notEqual(now.status, 'failed');
        return now.status === 'healthy';
      });
      assert.equal((await on.stage.engine.observe([spec]))[0]?.asSpecified, true);
    });
});
