/** A cancelled shard sends a later attempt that names nobody (fleet/shard-work.ts): what the agent does with it. */
import assert from 'node:assert/strict';
import type { AgentDeployBody, Fence } from '../../fleet/agent-wire.ts';
import type { AgentHost } from '../support/agents/agent-host.ts';
import { startedAgent } from '../support/agents/started-agent.ts';
import { until } from '../support/until.ts';

/** Nobody is healthy before a test has ended. */
const LONG_MS = 600_000;

describe('the agent when an operation is cancelled', () => {
  let host: AgentHost;
  startedAgent((made) => {
    host = made;
  });

  const fenceOf = ({ deckhand }: AgentDeployBody): Fence & NonNullable<AgentDeployBody['deckhand']> => {
    assert.ok(deckhand);
    return deckhand;
  };
  const idle = () => until('an agent without work', async () => (await host.status()).deckhand?.work.length === 0);

  async function deployed(decky: ReturnType<AgentHost['decky']>): Promise<void> {
    await host.call('POST', '/deploy', host.order([decky]));
    await idle();
  }

  /** The host is to be as it was, with these deckies. */
  async function recall(operation_id: string, deckies: ReturnType<AgentHost['decky']>[]): Promise<void> {
    const order = host.order(deckies, { operation_id, attempt: 2, deploy: [] });
    assert.equal((await host.call('POST', '/deploy', order)).status, 202);
  }

  it('C4: takes back at once what a later attempt does not name any more, and leaves alone what was there before', async () => {
    const [stays, comes] = [host.decky('stays', 11), host.decky('comes', 12)];
    await deployed(stays);
    const before = await host.containers();
    const order = host.order([stays, comes], { deploy: [comes.name], min_healthy_time_ms: LONG_MS });
    await host.call('POST', '/deploy', order);
    await until('four containers', async () => Object.keys(await host.containers()).length === 4);
    await recall(fenceOf(order).operation_id, [stays]);
    await idle();
    assert.deepEqual(await host.containers(), before);
    const { deckhand: report } = await host.status();
    assert.equal(report?.deckies[comes.name], undefined);
  });

  it('C4: gives a decky that is being mutated its services back at once, and takes no mutation that comes late', async () => {
    const decky = host.decky('changes', 11, { services: ['ssh'] });
    await deployed(decky);
    const deckhand = {
      ...fenceOf(host.order([decky])),
      operation_id: `m-${host.prefix}`,
      min_healthy_time_ms: LONG_MS,
    };
    const mutation = { decky_id: decky.name, services: ['ftp'], deckhand };
    assert.equal((await host.call('POST', '/mutate', mutation)).status, 202);
    await until('the new service', async () => `${decky.name}-ftp` in (await host.containers()));
    await recall(deckhand.operation_id, [decky]);
    await idle();
    assert.deepEqual(Object.keys(await host.containers()).sort(), [decky.name, `${decky.name}-ssh`]);
    const { deckhand: report } = await host.status();
    assert.deepEqual(
      [report?.deckies[decky.name]?.status, report?.deckies[decky.name]?.seen],
      ['succeeded', 'running'],
    );
    assert.equal((await host.call('POST', '/mutate', mutation)).status, 409);
  });
});
