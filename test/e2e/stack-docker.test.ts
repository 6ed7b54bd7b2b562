/** The stack's own Docker Engine, where this machine can run one and has none by default. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import Docker from 'dockerode';
import { identify } from '../../lib/process-table.ts';
import { DEFAULT_SOCKET, findDockerd } from '../../stack/docker.ts';
import { testDirectory } from '../support/stack/stack.ts';
import { StackProcess } from '../support/stack/stack-process.ts';
import { until } from '../support/until.ts';

const FLEET = '[own-a]\nservices = ssh\n';
const BACK_MS = 60_000;

describe('the stack’s own Docker Engine', () => {
  let home = '';
  let stack: StackProcess | null = null;
  const start = (...args: string[]): StackProcess => {
    stack = new StackProcess({ home, args, env: { DOCKER_HOST: undefined, DECKHAND_ENGINE: undefined } });
    return stack;
  };
  before(function () {
    if (process.getuid?.() !== 0 || existsSync(DEFAULT_SOCKET) || !findDockerd()) this.skip();
  });
  beforeEach(() => {
    home = testDirectory('own-docker');
    writeFileSync(join(home, 'fleet.ini'), FLEET);
  });
  afterEach(async () => {
    stack?.signal('SIGINT');
    await stack?.ended();
  });
  const engine = (running: StackProcess): Docker =>
    new Docker({ socketPath: (running.stackFile().docker_host ?? '').replace('unix://', '') });
  /** Container id → pid of its process. */
  async function containers(running: StackProcess): Promise<Map<string, number>> {
    const docker = engine(running);
    const listed = await docker.listContainers();
    const states = await Promise.all(listed.map(async ({ Id }) => (await docker.getContainer(Id).inspect()).State.Pid));
    return new Map(listed.map(({ Id }, index) => [Id, states[index] ?? 0]));
  }

  it('may be killed while deckies run on, and stops them when it is stopped for good', async () => {
    const running = await start('--fleet', join(home, 'fleet.ini')).up();
    const before = await containers(running);
    const networks = await engine(running).listNetworks({ filters: { driver: ['bridge'] } });
    const bridges = networks.map(({ Id }) => `br-${Id.slice(0, 12)}`);
    assert.ok(bridges[0] && existsSync(`/sys/class/net/${bridges[0]}`));
    assert.equal(before.size, 2, running.output);
    await running.killAndAwaitReturn('docker');
    assert.deepEqual(await containers(running), before);
    running.signal('SIGINT');
    assert.equal(await running.ended(), 0);
    for (const pid of before.values()) assert.equal(identify(pid), null);
    assert.deepEqual(
      bridges.filter((name) => existsSync(`/sys/class/net/${name}`)),
      [],
    );
    assert.doesNotMatch(readFileSync('/proc/self/mounts', 'utf8'), new RegExp(` ${home}/`));
  });

  // proof: start-stays
  it('prints where everything is, and its fleet answers on its addresses', async () => {
    const running = await start('--fleet', join(home, 'fleet.ini')).up();
    const file = running.stackFile();
    for (const url of [file.api_url, file.temporal_ui_url ?? '']) assert.ok(running.output.includes(url), url);
    const [container] = await engine(running).listContainers({ filters: { name: ['^/own-a$'] } });
    const [network] = Object.values(container?.NetworkSettings.Networks ?? {});
    assert.ok(network?.IPAddress, running.output);
    assert.match(await greeting(network.IPAddress, 22), /^SSH-2\.0-/);
  });

  it('brings its deckies back with the next start', async () => {
    const first = await start('--fleet', join(home, 'fleet.ini')).up();
    const before = [...(await containers(first)).keys()].sort();
    first.signal('SIGINT');
    await first.ended();
    const second = await start('--fleet', join(home, 'fleet.ini')).up();
    assert.match(second.output, /already there/);
    // A service that the engine started before its base was left behind, and is started by the first look.
    const back = async () => isDeepStrictEqual([...(await containers(second)).keys()].sort(), before);
    await until('all that ran', back, BACK_MS);
  });
});

/** The first line that a decoy says. */
async function greeting(host: string, port: number): Promise<string> {
  const socket = connect({ host, port });
  try {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    return chunk.toString('latin1');
  } finally {
    socket.destroy();
  }
}
