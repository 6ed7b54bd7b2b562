/** What this machine and its engine have of networks, as the API sees it when it plans. */
import assert from 'node:assert/strict';
import { detectNetwork } from '../../engine/host-networks.ts';
import type { EngineNetwork } from '../../fleet/network.ts';
import { type Scene, scene, type TestDocker, testDocker } from '../support/docker/docker.ts';
import { assertRefused, plan } from '../support/fixtures/planning.ts';

describe('the networks of the engine’s machine', () => {
  let docker: TestDocker;
  let stage: Scene;
  before(async () => {
    docker = await testDocker();
    stage = await scene(docker);
    await stage.engine.ensureNetwork(stage.network);
  });
  after(async () => {
    await stage?.clean();
    await docker?.stop();
  });

  const facts = (project = stage.scope.project) => {
    const owner = { instance: stage.scope.instance, project, networkName: `${stage.scope.project}_lan` };
    return detectNetwork('bridge', null, { dockerHost: docker.host, owner });
  };
  const ini = (net: string): string => `[general]\nnet=${net}\n[a]\nservices=ssh\n`;
  const own = (networks: readonly EngineNetwork[] | null | undefined) => (networks ?? []).filter((one) => one.own);

  it('refuse a bridge over the network of the default route, by its interface', async () => {
    const context = await facts();
    const { interface: name, subnet } = context.detected ?? {};
    assert.ok(name && subnet, 'this machine has no default route');
    assertRefused(
      () => plan(ini(subnet), { context }),
      'NetworkConflict',
      new RegExp(`interface ${name}\\. .*macvlan`),
    );
  });

  // proof: field-2.2-2
  it('know the fleet’s own network by its labels, and leave it free', async () => {
    const context = await facts();
    assert.deepEqual(
      own(context.host?.engine).map(({ subnet }) => subnet),
      [stage.network.subnet],
    );
    assert.equal(plan(ini(stage.network.subnet), { context }).network.subnet, stage.network.subnet);
  });

  it('refuse another’s Docker network by its name', async () => {
    const context = await facts('another-project');
    assert.deepEqual(own(context.host?.engine), []);
    assertRefused(
      () => plan(ini(stage.network.subnet), { context }),
      'NetworkConflict',
      new RegExp(`Docker network ${stage.scope.project}_lan`),
    );
  });

  it('are unknown, and in nobody’s way, where deckies are simulated', async () => {
    const context = await detectNetwork('bridge', null, null);
    assert.equal(context.host, null);
  });

  it('are those of the machine alone where the engine does not answer', async () => {
    const owner = { project: 'p', networkName: 'p_lan' };
    const { host } = await detectNetwork('bridge', null, { dockerHost: 'unix:///nowhere.sock', owner });
    assert.equal(host?.engine, null);
    assert.ok(host.addresses.some((one) => one.interface === 'lo'));
    const remote = await detectNetwork('bridge', null, { dockerHost: 'tcp://192.0.2.200:9', owner });
    assert.deepEqual(remote.host?.addresses, []);
  });
});
