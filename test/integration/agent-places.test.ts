/** Deckies that change places on a host whose subnet is the order's: there the order's addresses stand. */
import assert from 'node:assert/strict';
import { loadBuiltinImages } from '../../decoys/images.ts';
import type { Delta, DeployOrder } from '../../fleet/agent-wire.ts';
import type { DeckyConfig } from '../../fleet/config.ts';
import type { AgentHost } from '../support/agents/agent-host.ts';
import { startedAgent } from '../support/agents/started-agent.ts';
import { until } from '../support/until.ts';

// proof: promise-8
describe('the agent when deckies change places', () => {
  let host: AgentHost;
  startedAgent((made) => {
    host = made;
  });

  const at = (name: string, n: number, change: Partial<DeckyConfig> = {}): DeckyConfig =>
    host.decky(name, n, { ip: `${host.net}.${n}`, ...change });

  /** One attempt; its outcomes, in the order of the deckies. */
  async function deploy(deckies: readonly DeckyConfig[], more: Partial<DeployOrder> = {}): Promise<Delta[]> {
    const { config, ...order } = host.order(deckies, more);
    const body = { ...order, config: { ...config, subnet: `${host.net}.0/24` } };
    assert.equal((await host.call('POST', '/deploy', body)).status, 202);
    await until('an agent without work', async () => {
      const { deckhand } = await host.status();
      return deckhand?.work.length === 0 && deckhand.unreported === 0;
    });
    const mine = host.master.deltas().filter(({ operation_id, status }) => {
      return operation_id === order.deckhand?.operation_id && status !== 'running';
    });
    return deckies.flatMap(({ name }) => mine.filter((delta) => delta.decky_name === name));
  }

  const told = (deltas: readonly Delta[]) => deltas.map(({ attempt, status, seen }) => `${attempt} ${status} ${seen}`);

  /** By name: the last octet that its base has on the engine. */
  async function places(): Promise<Record<string, number>> {
    const found = await host.docker?.listContainers({
      filters: { label: [`deckhand.instance=instance-${host.prefix}`] },
    });
    return Object.fromEntries(
      (found ?? []).flatMap(({ Names: [path = ''], NetworkSettings: { Networks } }) =>
        Object.values(Networks).flatMap(({ IPAddress: ip }) =>
          ip ? [[path.slice(host.prefix.length + 2), Number(ip.split('.')[3])] as const] : [],
        ),
      ),
    );
  }

  /** A service that ends before it counts as healthy. */
  async function broken(decky: string): Promise<Partial<DeployOrder>> {
    const { baseImage } = await loadBuiltinImages();
    const service = { name: 'broken', image: baseImage, exec_cmd: 'node -e throw/**/"x"', ports: [] };
    return { custom_services: { [decky]: [service] }, min_healthy_time_ms: 5_000 };
  }

  it('brings both up in the same attempt, each at the other’s address', async () => {
    await deploy([at('one', 11), at('two', 12)]);
    const swapped = await deploy([at('one', 12), at('two', 11)]);
    assert.deepEqual(told(swapped), ['1 succeeded running', '1 succeeded running'], JSON.stringify(swapped));
    assert.deepEqual(await places(), { one: 12, two: 11 });
  });

  it('still knows the last good version of one that moves, and brings it back where its old address is another’s', async () => {
    await deploy([at('one', 11), at('two', 12)]);
    const one = at('one', 12, { services: ['broken'] });
    const swapped = await deploy([one, at('two', 11)], await broken(one.name));
    assert.deepEqual(told(swapped), ['1 failed running', '1 succeeded running'], JSON.stringify(swapped));
    assert.match(swapped[0]?.error ?? '', /^ContainerExited: .*the last good version is back/s);
    assert.deepEqual(await places(), { one: 12, two: 11 });
    const { deckies, deckhand } = await host.status();
    assert.deepEqual(
      deckies.map(({ services, ip }) => [services, ip]),
      [
        [['http'], `${host.net}.12`],
        [['http'], `${host.net}.11`],
      ],
    );
    assert.deepEqual(deckhand?.deckies[one.name]?.drift, []);
    // What came back is what a later failure goes back to.
    const again = await deploy([one, at('two', 11)], await broken(one.name));
    assert.deepEqual(told(again), ['1 failed running', '1 succeeded running'], JSON.stringify(again));
    assert.deepEqual(await places(), { one: 12, two: 11 });
  });

  it('brings the last good version back to its old address where nobody else wants that', async () => {
    await deploy([at('one', 11)]);
    const one = at('one', 12, { services: ['broken'] });
    assert.deepEqual(told(await deploy([one], await broken(one.name))), ['1 failed running']);
    assert.deepEqual(await places(), { one: 11 });
  });
});
