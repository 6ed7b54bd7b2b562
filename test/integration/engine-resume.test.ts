/** After a restart of Docker a service may come before its base, and is left behind. */
import assert from 'node:assert/strict';
import { observeResumed } from '../../adapters/docker/resume.ts';
import { type Scene, scene, type TestDocker, testDocker } from '../support/docker.ts';
import { leaveBehind } from '../support/left-behind.ts';

describe('what the engine left behind when it came back', () => {
  let docker: TestDocker;
  let stage: Scene;
  before(async () => {
    docker = await testDocker();
    stage = await scene(docker);
  });
  after(async () => {
    await stage?.clean();
    await docker?.stop();
  });

  it('is started with the next look; what somebody stopped, or has ended by itself, is not', async () => {
    const spec = stage.spec('back', 1, { http: {}, ssh: {}, ftp: { command: ['node', '-e', '0'], restart: 'no' } });
    await stage.engine.up(spec, stage.network);
    const { client } = docker;
    const base = spec.decky;
    const [http, ssh, ftp] = [`${base}-http`, `${base}-ssh`, `${base}-ftp`];
    const container = (name: string) => client.getContainer(name);
    await container(ftp).wait();
    await container(ssh).stop({ t: 0 });
    await leaveBehind(client, base, http);
    const stateOf = async (name: string): Promise<string> => (await container(name).inspect()).State.Status;
    assert.deepEqual([await stateOf(http), await stateOf(ssh), await stateOf(ftp)], ['exited', 'exited', 'exited']);

    const [seen] = await observeResumed(stage.engine, [spec], AbortSignal.timeout(30_000));
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
