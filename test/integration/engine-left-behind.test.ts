/** After a restart of Docker a service may come before its base, and is left behind. */
import assert from 'node:assert/strict';
import { dockerScene } from '../support/docker-scene.ts';
import { leaveBehind } from '../support/left-behind.ts';

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

    const [seen] = await on.stage.engine.look([spec]);
    assert.deepEqual(
      seen?.drift.map(({ reason, container }) => [reason, container]),
      [
        ['exited', ssh],
        ['exited', ftp],
      ],
    );
    assert.deepEqual([await stateOf(http), await stateOf(ssh)], ['running', 'exited']);
  });
});
