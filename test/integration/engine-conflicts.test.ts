import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Containers } from '../../engine/docker/containers.ts';
import type { DeckySpec } from '../../fleet/compose.ts';
import { isDeckhandError } from '../../fleet/errors.ts';
import { Semaphore } from '../../lib/concurrency.ts';
import { type Scene, scene, type TestDocker, testDocker } from '../support/docker/docker.ts';

/** Rejects with this code and a sentence that has all these words; returns the sentence. */
async function refused(attempt: Promise<unknown>, code: string, ...words: string[]): Promise<string> {
  let sentence = '';
  await assert.rejects(attempt, (error) => {
    assert.ok(isDeckhandError(error), String(error));
    assert.equal(error.code, code, error.message);
    for (const word of words) assert.ok(error.message.includes(word), `no "${word}" in: ${error.message}`);
    sentence = error.message;
    return true;
  });
  return sentence;
}

describe('what the engine refuses', () => {
  let docker: TestDocker;
  let stage: Scene;
  let foreign: string[] = [];
  before(async () => {
    docker = await testDocker();
    stage = await scene(docker);
    await stage.engine.up(stage.spec('first', 1, {}), stage.network);
  });
  afterEach(async () => {
    for (const name of foreign) await docker.client.getContainer(name).remove({ force: true });
    foreign = [];
  });
  after(async () => {
    await stage?.clean();
    await docker?.stop();
  });
  const up = (spec: DeckySpec) => stage.engine.up(spec, stage.network);

  /** A running container that is not ours. */
  async function stranger(name: string, labels: Record<string, string> = {}, ip?: string): Promise<string> {
    const network = `${stage.scope.project}_lan`;
    const container = await docker.client.createContainer({
      name,
      Image: stage.image,
      Cmd: ['sleep', 'infinity'],
      Labels: labels,
      HostConfig: { NetworkMode: ip ? network : 'none' },
      ...(ip ? { NetworkingConfig: { EndpointsConfig: { [network]: { IPAMConfig: { IPv4Address: ip } } } } } : {}),
    });
    await container.start();
    foreign.push(name);
    return container.id;
  }

  it('counts a container as started that another attempt has started meanwhile', async () => {
    const containers = new Containers(docker.client, stage.scope, new Semaphore(1));
    const id = await stranger(`${stage.scope.project}-started`);
    await containers.start(id, 'started');
    const { State } = await docker.client.getContainer(id).inspect();
    assert.equal(State.Running, true);
  });

  for (const [whose, labels, words] of [
    ['a container without a label', {}, 'somebody else'],
    ["another instance's container", { 'deckhand.instance': 'other', 'deckhand.project': 'decnet' }, 'instance other'],
    ["another Compose project's container", { 'com.docker.compose.project': 'shop' }, 'Compose project shop'],
  ] as const)
    it(`leaves ${whose} alone and says whose it is`, async () => {
      const spec = stage.spec('name', 2);
      const id = await stranger(spec.decky, labels);
      await refused(up(spec), 'NameTaken', spec.decky, words);
      const info = await docker.client.getContainer(spec.decky).inspect();
      assert.deepEqual([info.Id, info.State.Running], [id, true]);
    });

  // proof: two-stacks
  it("leaves another's network alone, and does so before it removes anything (C7)", async () => {
    const other = stage.another({ project: `${stage.scope.project}-b` });
    const name = `${stage.scope.project}-b_lan`;
    const network = await docker.client.createNetwork({ Name: name, Driver: 'bridge' });
    try {
      await refused(other.up(stage.spec('net', 3, {}), stage.network), 'NameTaken', name, 'DECKHAND_PROJECT');
      assert.equal((await docker.client.getNetwork(name).inspect()).Id, network.id);
      assert.equal(await other.removeNetworkIfUnused(), false);
    } finally {
      await network.remove();
    }
  });

  // proof: one-bad-decky
  it("says who has the address that is taken by another's container; then goes on once it is free", async () => {
    const spec = stage.spec('address', 4);
    await stranger(`${stage.prefix}squatter`, {}, stage.ip(4));
    const sentence = await refused(up(spec), 'AddressTaken', stage.ip(4), `${stage.prefix}squatter`, spec.decky);
    assert.match(sentence, /without a label of Deckhand/);
    await docker.client.getContainer(foreign.pop() ?? '').remove({ force: true });
    await up(spec);
    assert.deepEqual((await stage.engine.observe([spec]))[0]?.differences, []);
  });

  it('names the decky that has the address', async () => {
    const [one, two] = [stage.spec('owner', 5, {}), stage.spec('late', 5, {})];
    await up(one);
    await refused(up(two), 'AddressTaken', `decky ${one.decky}`);
    assert.deepEqual((await stage.engine.observe([one]))[0]?.differences, []);
  });

  // proof: promise-9, one-bad-decky, gap-c2
  it("an image that can't be had fails its decky only; mended, it needs no cleaning by hand", async () => {
    const image = 'deckhand.invalid/nothing:1';
    const bad = stage.spec('image', 6, { http: { image } });
    const good = stage.spec('neighbour', 7);
    const steps: string[] = [];
    const attempt = stage.engine.up(bad, stage.network, { onProgress: (step) => steps.push(step) });
    const [, result] = await Promise.all([refused(attempt, 'ImageUnavailable', image), up(good)]);
    assert.equal(result.unchanged, false);
    assert.ok(steps.includes(`pulling ${image}`));
    const mended = stage.spec('image', 6, { http: {} });
    await up(mended);
    assert.deepEqual(
      (await stage.engine.observe([mended, good])).flatMap(({ differences }) => differences),
      [],
    );
  });

  it("an operator's context is built once, with its arguments, and its failure carries the build's last lines", async () => {
    const context = await mkdtemp(join(tmpdir(), 'dh-context-'));
    const name = `${stage.prefix}/built`;
    const build = { context, args: { BASE_IMAGE: stage.image } };
    try {
      await writeFile(join(context, 'Dockerfile'), 'ARG BASE_IMAGE\nFROM $BASE_IMAGE\nCOPY missing /missing\n');
      const spec = stage.spec('build', 8, { http: { image: `${name}:1`, build } });
      await refused(up(spec), 'BuildFailed', `${name}:1`, 'COPY missing');
      await writeFile(join(context, 'Dockerfile'), 'ARG BASE_IMAGE\nFROM $BASE_IMAGE\nCOPY there /there\n');
      await writeFile(join(context, 'there'), 'x');
      await up(spec);
      assert.deepEqual((await stage.engine.observe([spec]))[0]?.differences, []);
    } finally {
      await rm(context, { recursive: true, force: true });
      await stage.engine.down(`${stage.prefix}build`);
      await docker.client.getImage(`${name}:1`).remove({ force: true });
    }
  });

  it('an overlapping subnet is refused by the name of the network that has it', async () => {
    const project = `${stage.scope.project}-c`;
    const other = stage.another({ project });
    await refused(
      other.up(stage.spec('overlap', 9, {}), stage.network),
      'EngineRefused',
      stage.network.subnet,
      `${stage.scope.project}_lan`,
    );
  });

  it('a network of ours is replaced when it differs and nobody hangs on it, else it says who does', async () => {
    const project = `${stage.scope.project}-d`;
    const other = stage.another({ project });
    const subnet = stage.network.subnet.replace(/^10\.(\d+)\./, '172.31.');
    const gateway = subnet.replace('0/24', '1');
    const at = (last: number) => gateway.replace(/1$/, String(last));
    const spec = (name: string, last: number): DeckySpec => {
      const made = stage.spec(name, 0, {});
      const base = made.services[made.decky];
      return {
        ...made,
        services: {
          [made.decky]: { ...base, container_name: made.decky, networks: { decnet_lan: { ipv4_address: at(last) } } },
        },
      };
    };
    const network = { ...stage.network, subnet, gateway };
    const moved = { ...network, gateway: at(254) };
    await other.up(spec('hangs', 5), network);
    await refused(other.up(spec('wants', 6), moved), 'EngineRefused', `${stage.prefix}hangs`, 'take them down first');
    await other.down(`${stage.prefix}hangs`);
    await other.up(spec('wants', 6), moved);
    const info = await docker.client.getNetwork(`${project}_lan`).inspect();
    assert.equal(info.IPAM?.Config?.[0]?.Gateway, at(254));
  });

  it('an engine that is not there is EngineUnreachable', async () => {
    const { createDockerEngine } = await import('../../engine/docker/docker-engine.ts');
    const { createLogger } = await import('../../lib/logger.ts');
    const engine = createDockerEngine({
      dockerHost: `unix://${join(tmpdir(), 'no-such-engine.sock')}`,
      scope: stage.scope,
      images: { context: () => undefined },
      composeDir: tmpdir(),
      logger: createLogger('test'),
    });
    await refused(engine.ping(), 'EngineUnreachable');
    await refused(engine.up(stage.spec('gone', 10), stage.network), 'EngineUnreachable');
  });
});
