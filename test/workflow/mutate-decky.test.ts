import assert from 'node:assert/strict';
import Docker from 'dockerode';
import { createFleetReader } from '../../adapters/postgres/fleet.ts';
import type { DesiredDecky } from '../../fleet/config.ts';
import { mutateWorkflowId } from '../../fleet/housekeeping.ts';
import { testServers } from '../support/stack/stack.ts';
import { createWorld, type World } from '../support/temporal/workflow-fixture.ts';

describe('mutating a decky of the master’s own engine', function () {
  this.timeout(120_000);
  let world: World;
  let name: string;
  let other: string;
  before(async () => {
    world = await createWorld();
    [name, other] = [`${world.id}-a`, `${world.id}-b`];
    const accepted = await world.deploy(`[${name}]\nservices=redis\n[${other}]\nservices=redis\n`);
    await world.ended(accepted.lifecycle_ids);
  });
  after(() => world.close());

  const mutate = (services: string[] | null, options = {}) =>
    world.deployments.mutate({
      username: 'admin',
      decky_name: name,
      services,
      options: { minHealthyTimeMs: 0, ...options },
      idempotency: null,
    });
  const decky = async () =>
    (await createFleetReader(world.database.sql).overview()).deckies.find((one) => one.name === name);
  const result = (id: string) => world.temporal.client.workflow.getHandle(mutateWorkflowId(id)).result();

  /** Names of the decky's containers with their ids, as the engine lists them. */
  async function containers(of: string): Promise<Record<string, string>> {
    const socketPath = (testServers.dockerHost ?? '').replace('unix://', '');
    const all = await new Docker({ socketPath }).listContainers({ filters: { name: [`^/${of}(-|$)`] } });
    return Object.fromEntries(all.map((one) => [one.Names[0]?.slice(1) ?? '', one.Id]));
  }

  // proof: mutate, gap-c10
  it('ends as a row of its own with the new services, on their images of today (gap C10), and touches nobody else', async function () {
    if (!testServers.dockerHost) this.skip();
    const [own, neighbour] = [await containers(name), await containers(other)];
    const accepted = await mutate(['http', 'ssh']);
    const [row] = await world.ended(accepted.lifecycle_ids);
    assert.deepEqual([row?.operation, row?.status, row?.error], ['mutate', 'succeeded', null]);
    assert.deepEqual(accepted.lifecycle_ids, [accepted.deployment_id]);
    const now = await containers(name);
    assert.deepEqual(Object.keys(now).sort(), [name, `${name}-http`, `${name}-ssh`]);
    assert.equal(now[name], own[name], 'the base, which owns the address, stays');
    assert.deepEqual(await containers(other), neighbour);
    const [wanted] = await world.database.sql<DesiredDecky[]>`
      select decky_config as config, custom_services from fleet_deckies where name = ${name}`;
    const [seen] = await world.local.engine.observe(world.local.resolve(wanted ? [wanted] : []).deckies);
    assert.deepEqual([seen?.asSpecified, seen?.differences], [true, []]);
    assert.deepEqual([(await decky())?.services, (await decky())?.state], [['http', 'ssh'], 'running']);
    assert.deepEqual(await result(accepted.deployment_id), {
      outcome: 'succeeded',
      sentence: 'mutated',
      succeeded: 1,
      failed: 0,
    });
  });

  // proof: mutate
  it('that fails brings back what the decky was, and the row says so (gap B6)', async () => {
    const before = await decky();
    const accepted = await mutate(['ftp'], { minHealthyTimeMs: 600_000, healthyDeadlineMs: 1_000 });
    const [row] = await world.ended(accepted.lifecycle_ids);
    assert.equal(row?.status, 'failed');
    assert.match(row?.error ?? '', /^HealthyDeadline: .*\(the last good version is back\)$/s);
    const after = await decky();
    assert.deepEqual([after?.services, after?.state], [before?.services, 'running']);
    if (testServers.dockerHost) assert.ok(!Object.keys(await containers(name)).includes(`${name}-ftp`));
    assert.equal(((await result(accepted.deployment_id)) as { outcome: string }).outcome, 'failed');
  });

  it('waits for its turn behind what was accepted before, and is refused while one is open', async () => {
    const first = await mutate(['redis'], { minHealthyTimeMs: 1_500 });
    await assert.rejects(mutate(['ssh']), { code: 'DeckyBusy', message: /open mutate/ });
    const second = await world.deployments.mutate({
      username: 'admin',
      decky_name: other,
      services: null,
      options: { minHealthyTimeMs: 0 },
      idempotency: null,
    });
    const [a, b] = [await world.ended(first.lifecycle_ids), await world.ended(second.lifecycle_ids)];
    assert.deepEqual([a[0]?.status, b[0]?.status], ['succeeded', 'succeeded']);
    assert.ok((a[0]?.completed_at ?? '') <= (b[0]?.completed_at ?? ''));
  });

  it('is not begun where it is cancelled before its turn', async () => {
    const first = await world.deploy(`[${world.id}-c]\nservices=redis\n`, { options: { minHealthyTimeMs: 4_000 } });
    const accepted = await mutate(['ftp']);
    await world.temporal.client.workflow.getHandle(mutateWorkflowId(accepted.deployment_id)).cancel();
    const [row] = await world.ended(accepted.lifecycle_ids);
    assert.match(row?.error ?? '', /^Cancelled: /);
    assert.deepEqual((await decky())?.services, ['redis']);
    await world.ended(first.lifecycle_ids);
  });
});
