import assert from 'node:assert/strict';
import { type AgentAddress, type AgentClient, type TicketBook, ticketedClient } from '../../adapters/agent/client.ts';
import type { OrderFence } from '../../fleet/agent-wire.ts';
import { DeckhandError } from '../../fleet/errors.ts';

const HOST = { hostUuid: 'h', name: 'h1' } as AgentAddress;

/** A client of an agent that has accepted ticket `seen`, and a book that has `ticket` for operation `op`. */
function scene(seen: number, ticket: number | null, redraw: TicketBook['redraw'] = async () => null) {
  const sent: (number | undefined)[] = [];
  const warned: string[] = [];
  const take = async (_: AgentAddress, body: { deckhand?: OrderFence }) => {
    sent.push(body.deckhand?.ticket);
    if ((body.deckhand?.ticket ?? seen) < seen) throw new DeckhandError('HostRefused', 'overtaken');
    return { body: {}, clockOffsetMs: null };
  };
  const client = {
    deploy: take,
    mutate: take,
    teardown: take,
    status: async () => ({ body: { deployed: false, deckies: [], deckhand: { ticket: seen } }, clockOffsetMs: null }),
  } as unknown as AgentClient;
  const book: TicketBook = { of: async () => ticket, redraw, warn: (sentence) => void warned.push(sentence) };
  return { client: ticketedClient(client, book), sent, warned };
}

const teardown = (client: AgentClient, deckhand?: OrderFence) =>
  client.teardown(HOST, { decky_id: null, ...(deckhand ? { deckhand } : {}) });
const FENCE: OrderFence = { operation_id: 'op', attempt: 1 };

describe('orders with tickets', () => {
  it('carry the number of their operation, and none where there is none', async () => {
    const { client, sent } = scene(3, 4);
    await teardown(client, FENCE);
    await teardown(client);
    assert.deepEqual(sent, [4, undefined]);
    const without = scene(3, null);
    await teardown(without.client, FENCE);
    assert.deepEqual(without.sent, [undefined]);
  });

  it('are sent once more, with a number beyond the agent’s, by a master that did not send that one', async () => {
    const { client, sent, warned } = scene(500, 4, async ({ seen }) => seen + 1);
    await teardown(client, FENCE);
    assert.deepEqual(sent, [4, 501]);
    assert.match(warned[0] ?? '', /Host h1 has accepted ticket 500, which this database did not give out/);
  });

  it('are refused where they were overtaken, and for any other reason', async () => {
    const overtaken = scene(5, 4);
    await assert.rejects(teardown(overtaken.client, FENCE), { code: 'HostRefused' });
    assert.deepEqual(overtaken.warned, []);
    const { client } = scene(4, 4, async () => assert.fail('nothing is to be drawn'));
    const refusing = { ...client, status: client.status };
    await teardown(refusing, FENCE);
  });
});
