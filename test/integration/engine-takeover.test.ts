import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import type { ComposeDocument } from '../../fleet/compose.ts';
import { type Scene, scene, type TestDocker, testDocker } from '../support/docker/docker.ts';

/** Where a Compose plugin is present; elsewhere test/unit/engine-config-hash holds the recorded hashes. */
describe('an operator who takes over with docker compose', () => {
  let docker: TestDocker;
  let stage: Scene;
  const compose = (...args: string[]) =>
    spawnSync('docker', ['compose', ...args], {
      encoding: 'utf8',
      env: { ...process.env, DOCKER_HOST: docker.host },
      timeout: 60_000,
    });
  before(async function () {
    docker = await testDocker();
    stage = await scene(docker);
    if (compose('version').status !== 0) this.skip();
  });
  after(async () => {
    await stage?.clean();
    await docker?.stop();
  });

  // proof: compose-takeover
  it('changes nothing by `up`, may change the file, and Deckhand still knows its containers', async () => {
    const spec = stage.spec('over', 1, { http: { environment: { PASSWORD: 'a$b' } }, ssh: {} });
    await stage.engine.up(spec, stage.network);
    const name = `${stage.scope.project}_lan`;
    const document: ComposeDocument = { services: spec.services, networks: { decnet_lan: { external: true, name } } };
    const file = await stage.engine.writeDocument(document);
    const before = await stage.ids(spec.decky);
    const first = compose('-p', stage.scope.project, '-f', file, 'up', '-d');
    assert.equal(first.status, 0, first.stderr);
    assert.deepEqual(await stage.ids(spec.decky), before);

    const changed = stage.spec('over', 1, { http: { environment: { PASSWORD: 'other' } }, ssh: {} });
    await stage.engine.writeDocument({ ...document, services: changed.services });
    const second = compose('-p', stage.scope.project, '-f', file, 'up', '-d', '-t', '1');
    assert.equal(second.status, 0, second.stderr);
    assert.equal((await stage.engine.up(changed, stage.network)).unchanged, true);
    assert.notDeepEqual(await stage.ids(spec.decky), before);
  });
});
