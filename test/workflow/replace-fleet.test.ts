import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import Docker from 'dockerode';
import { testServers } from '../support/stack/stack.ts';
import { createWorld, type World } from '../support/temporal/workflow-fixture.ts';

describe('replace_fleet', () => {
  let world: World;
  before(async () => {
    world = await createWorld();
  });
  after(() => world.close());

  const section = (name: string, services: string): string => `[${world.id}-${name}]\nservices=${services}\n`;
  const deploy = async (ini: string): Promise<string[]> => {
    const accepted = await world.deploy(ini, { replace: true });
    const rows = await world.ended([...accepted.lifecycle_ids, ...accepted.removed_lifecycle_ids]);
    assert.deepEqual(
      rows.filter((row) => row.status !== 'succeeded'),
      [],
    );
    return accepted.removed_lifecycle_ids;
  };
  /** Container names → ids, of this world alone. */
  async function containers(): Promise<Record<string, string>> {
    const docker = new Docker({ socketPath: (testServers.dockerHost ?? '').replace('unix://', '') });
    const found = await docker.listContainers({ all: true, filters: { label: [`deckhand.instance=${world.id}`] } });
    return Object.fromEntries(found.map((one) => [one.Names[0]?.slice(1) ?? '', one.Id]));
  }
  const composeFile = (): Promise<string> => readFile(join(world.config.home, 'compose', `${world.id}.yml`), 'utf8');

  // proof: same-again
  it('touches only what differs: nothing, one changed, one left out (gap C3)', async function () {
    if (!testServers.dockerHost) this.skip();
    const all = section('a', 'redis') + section('b', 'redis,http') + section('c', 'ssh');
    await deploy(all);
    const first = await containers();
    await deploy(all);
    assert.deepEqual(await containers(), first);
    await deploy(section('a', 'redis') + section('b', 'redis,telnet') + section('c', 'ssh'));
    const changed = await containers();
    const kept = (now: Record<string, string>) =>
      Object.keys(first)
        .filter((name) => now[name] === first[name])
        .map((name) => name.replace(`${world.id}-`, ''));
    assert.deepEqual(kept(changed).sort(), ['a', 'a-redis', 'b', 'b-redis', 'c', 'c-ssh']);
    assert.equal((await deploy(section('a', 'redis') + section('c', 'ssh'))).length, 1);
    assert.deepEqual(
      Object.keys(await containers())
        .map((name) => name.replace(`${world.id}-`, ''))
        .sort(),
      ['a', 'a-redis', 'c', 'c-ssh'],
    );
  });

  // proof: gap-b7
  it('writes one compose file, beside the containers, that says what should run now (gap B14)', async () => {
    await deploy(section('a', 'redis') + section('d', 'redis'));
    assert.match(await composeFile(), new RegExp(`${world.id}-d-redis`));
    const { lifecycle_id } = await world.deployments.teardown({ username: 'admin', decky_name: `${world.id}-d` });
    await world.ended([lifecycle_id]);
    await world.temporal.client.workflow.getHandle(`teardown/${lifecycle_id}`).result();
    assert.doesNotMatch(await composeFile(), new RegExp(`${world.id}-d`));
  });

  it('an address that a removed decky frees goes to the decky that needs it', async () => {
    await deploy(`[${world.id}-e]\nservices=redis\nip=${world.pool.replace('0/24', '77')}\n`);
    await deploy(`[${world.id}-f]\nservices=redis\nip=${world.pool.replace('0/24', '77')}\n`);
  });

  // proof: same-again
  it('moves the whole fleet to another network (gap B13)', async () => {
    const three = section('g', 'redis') + section('h', 'redis') + section('i', 'redis');
    await deploy(three);
    const other = world.pool.replace('10.231.', '10.232.');
    await deploy(`[general]\nnet=${other}\n${three}`);
    const rows = await world.database.sql<{ decky_ip: string }[]>`select decky_ip from fleet_deckies`;
    assert.ok(
      rows.every((row) => row.decky_ip.startsWith(other.replace('0/24', ''))),
      JSON.stringify(rows),
    );
    assert.equal(Object.keys(await containers()).length, testServers.dockerHost ? 6 : 0);
  });

  // proof: field-2.3-2
  it('keeps what runs where the new network can’t be made, and the next deploy begins from there', async function () {
    if (!testServers.dockerHost) this.skip();
    const two = section('k', 'redis') + section('l', 'redis');
    await deploy(two);
    const before = await containers();
    const docker = new Docker({ socketPath: testServers.dockerHost.replace('unix://', '') });
    const other = world.pool.replace('10.231.', '10.233.');
    const network = await docker.createNetwork({
      Name: `${world.id}-other`,
      Labels: { 'deckhand.instance': world.id },
      IPAM: { Config: [{ Subnet: other }] },
    });
    try {
      const ini = `[general]\nnet=${other}\n${section('k', 'redis')}${section('m', 'redis')}`;
      const accepted = await world.deploy(ini, { replace: true });
      const rows = await world.ended([...accepted.lifecycle_ids, ...accepted.removed_lifecycle_ids], 60_000);
      for (const { status, error } of rows) {
        assert.equal(status, 'failed');
        assert.match(error ?? '', new RegExp(`^EngineRefused: .*${world.id}-other`));
      }
      assert.deepEqual(await containers(), before);
    } finally {
      await network.remove();
    }
    await deploy(two + section('m', 'redis'));
    const after = await containers();
    for (const [name, id] of Object.entries(before)) assert.equal(after[name], id, name);
  });
});
