/**
 * The images on a real Docker Engine (DOCKER_HOST, else the default socket), by the classic builder. The containers stand
 * as a decky's do: a base that owns the address, services that share its network.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import Docker from 'dockerode';
import { type BuiltinImages, loadBuiltinImages } from '../../decoys/images.ts';
import type { DecoyLine } from '../support/docker/decoys.ts';
import { Talk } from '../support/docker/decoys.ts';

const NAME = `deckhand-decoys-${randomBytes(4).toString('hex')}`;

async function build(docker: Docker, images: BuiltinImages, image: string): Promise<void> {
  const context = images.context(image);
  assert.ok(context, image);
  if (context.parent) await build(docker, images, context.parent);
  const known = await docker
    .getImage(image)
    .inspect()
    .then(
      () => true,
      () => false,
    );
  if (known) return;
  const output = await docker.buildImage(await context.tar(), { t: image });
  await new Promise<void>((resolve, reject) => {
    docker.modem.followProgress(output, (error: Error | null, steps: { error?: string }[]) => {
      const failure = error?.message ?? steps.find((step) => step.error)?.error;
      if (failure) reject(new Error(failure));
      else resolve();
    });
  });
}

async function linesOf(docker: Docker, container: Docker.Container): Promise<readonly DecoyLine[]> {
  const multiplexed = (await container.logs({ stdout: true, stderr: true })) as unknown as Buffer;
  const text = new PassThrough();
  const source = new PassThrough();
  docker.modem.demuxStream(source, text, text);
  source.end(multiplexed);
  await new Promise((resolve) => source.once('end', resolve));
  text.end();
  let all = '';
  for await (const chunk of text) all += String(chunk);
  return all
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as DecoyLine);
}

/** The engine takes a moment to write down what a container said. */
async function lineOf(docker: Docker, container: Docker.Container, event: string): Promise<DecoyLine | undefined> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const line = (await linesOf(docker, container)).find((each) => each.event === event);
    if (line || Date.now() > deadline) return line;
    await setTimeout(50);
  }
}

describe('decoys in containers', function () {
  this.timeout(180_000);
  const docker = new Docker();
  const containers: Docker.Container[] = [];
  let network: Docker.Network | undefined;
  let images: BuiltinImages;
  let address = '';

  const run = async (image: string, options: Docker.ContainerCreateOptions): Promise<Docker.Container> => {
    const container = await docker.createContainer({ Image: image, ...options });
    containers.push(container);
    await container.start();
    return container;
  };

  const service = async (name: string, environment: readonly string[] = []): Promise<Docker.Container> => {
    const image = images.serviceImage(name) ?? '';
    await build(docker, images, image);
    const container = await run(image, {
      name: `${NAME}-${name}`,
      Env: [`NODE_NAME=${NAME}`, 'HOSTNAME=SRV-1', ...environment],
      HostConfig: { NetworkMode: `container:${NAME}` },
    });
    await lineOf(docker, container, 'listening');
    return container;
  };

  before(async function () {
    const reachable = await docker.ping().then(
      () => true,
      () => false,
    );
    if (!reachable) {
      console.log('      no Docker Engine answers at DOCKER_HOST or the default socket: skipped');
      this.skip();
    }
    images = await loadBuiltinImages();
    await build(docker, images, images.baseImage);
    network = await docker.createNetwork({ Name: NAME, Driver: 'bridge' });
    const base = await run(images.baseImage, {
      name: NAME,
      Hostname: 'SRV-1',
      Cmd: ['sleep', 'infinity'],
      HostConfig: { NetworkMode: NAME },
    });
    address = (await base.inspect()).NetworkSettings.Networks[NAME]?.IPAddress ?? '';
  });

  after(async () => {
    for (const container of containers.reverse()) await container.remove({ force: true });
    await network?.remove();
  });

  it('a service answers on the decky’s address, says so in its log, and is not root', async () => {
    const container = await service('smtp', ['SMTP_BANNER=mx.example ESMTP']);
    const talk = await Talk.to(25, address);
    assert.match(await talk.text(/\r\n/), /^220 mx\.example ESMTP\r\n$/);
    await talk.send('QUIT\r\n').rest();
    const line = await lineOf(docker, container, 'connection');
    assert.deepEqual(
      [line?.service, line?.decky, line?.local_port, line?.first_bytes],
      ['smtp', NAME, 25, 'QUIT\\r\\n'],
    );
    assert.equal(line?.peer_port, talk.localPort);
    const { Titles, Processes } = (await container.top({ ps_args: '-eo pid,uid,args' })) as {
      Titles: string[];
      Processes: string[][];
    };
    assert.deepEqual(
      Processes.map((process) => process[Titles.indexOf('UID')]),
      ['65534'],
    );
  });

  it('services that want the same port share it out in one decky', async () => {
    const http = await service('http');
    await service('https');
    const given = await lineOf(docker, http, 'note');
    assert.match(given?.message ?? '', /port 443 \(tls\) given/);
    assert.equal((await http.inspect()).State.Running, true);
  });

  it('base and services end when they are told, without waiting for a kill', async () => {
    for (const container of containers.reverse()) {
      await container.stop({ t: 60 });
      assert.equal((await container.inspect()).State.ExitCode, 0);
    }
  });
});
