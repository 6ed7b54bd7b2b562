/** Orders that carry their operation's number in the lane of the host, so that the agent refuses one that comes late. */
import { readStatus } from '../../fleet/agent-says.ts';
import type { OrderFence } from '../../fleet/agent-wire.ts';
import { isDeckhandError } from '../../fleet/errors.ts';
import type { AgentAddress } from './address.ts';
import type { AgentClient } from './client.ts';

export interface TicketBook {
  /** Null where the operation has no ticket of that host: its order is sent without one. */
  readonly of: (hostUuid: string, operationId: string) => Promise<number | null>;
  /** A number beyond `seen` for an operation whose turn it is; null where it was overtaken. */
  readonly redraw: (given: { hostUuid: string; operationId: string; seen: number }) => Promise<number | null>;
  /** For the log. */
  readonly warn: (sentence: string, facts: Readonly<Record<string, unknown>>) => void;
}

/**
 * An agent that has accepted a later ticket refuses the order. Where this master did not send that one (its database was restored
 * from a backup, or the host had another master), the operation gets a number beyond it and the order is sent once more.
 */
export function ticketedClient(client: AgentClient, book: TicketBook): AgentClient {
  async function withTicket<B extends { readonly deckhand?: OrderFence }, T>(
    host: AgentAddress,
    body: B,
    send: (body: B) => Promise<T>,
  ): Promise<T> {
    const { deckhand } = body;
    if (!deckhand) return send(body);
    const { operation_id: operationId } = deckhand;
    const ticket = await book.of(host.hostUuid, operationId);
    if (ticket === null) return send(body);
    try {
      return await send({ ...body, deckhand: { ...deckhand, ticket } });
    } catch (error) {
      if (!isDeckhandError(error) || error.code !== 'HostRefused') throw error;
      const drawn = await beyond(host, operationId, ticket);
      if (drawn === null) throw error;
      return send({ ...body, deckhand: { ...deckhand, ticket: drawn } });
    }
  }

  /** Null where the refusal has another reason, or is right. */
  async function beyond(host: AgentAddress, operationId: string, ticket: number): Promise<number | null> {
    const seen = readStatus((await client.status(host)).body).report?.ticket ?? null;
    if (seen === null || seen <= ticket) return null;
    const drawn = await book.redraw({ hostUuid: host.hostUuid, operationId, seen });
    if (drawn !== null)
      book.warn(
        `Host ${host.name} has accepted ticket ${seen}, which this database did not give out. The database was restored from a backup, or the host had another master. The host's open operations get tickets beyond it.`,
        { host: host.name, deployment_id: operationId, ticket, seen, drawn },
      );
    return drawn;
  }

  return {
    ...client,
    deploy: (host, body, signal) => withTicket(host, body, (one) => client.deploy(host, one, signal)),
    mutate: (host, body, signal) => withTicket(host, body, (one) => client.mutate(host, one, signal)),
    teardown: (host, body, signal) => withTicket(host, body, (one) => client.teardown(host, one, signal)),
  };
}
