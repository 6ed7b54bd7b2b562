/** What the agent counts, and where it is served when somebody asks for it. */

import { type MetricsAddress, serveMetricsIfAsked } from '../adapters/metrics/listener.ts';
import { type AgentMetrics, createAgentMetrics } from '../adapters/metrics/metrics.ts';
import type { AgentContext } from './context.ts';
import type { MasterClient } from './master-client.ts';

export interface Measured {
  /** The client, with the master's answers counted. */
  counted(client: MasterClient): MasterClient;
  /** Call it once the agent has its port. */
  serve(): Promise<void>;
  stop(): Promise<void>;
}

export function measure({ store, logger }: AgentContext, address: MetricsAddress | null): Measured {
  const metrics = createAgentMetrics({ process: address !== null });
  metrics.watch(() => {
    const { outbox, orders, deckies } = store.state;
    const wanted = Object.values(deckies).filter(({ desired }) => desired !== null);
    return { unacknowledged: outbox.length, orders: orders.length, deckies: wanted.length };
  });
  let listener: Awaited<ReturnType<typeof serveMetricsIfAsked>> = null;
  return {
    counted: (client) => countAnswers(client, metrics),
    async serve() {
      listener = await serveMetricsIfAsked(metrics.registry, address, logger);
    },
    stop: async () => listener?.stop(),
  };
}

const countAnswers = (client: MasterClient, metrics: AgentMetrics): MasterClient => ({
  async post(path, body) {
    try {
      const answer = await client.post(path, body);
      metrics.reported(answer.status);
      return answer;
    } catch (error) {
      metrics.reported(null);
      throw error;
    }
  },
  close: () => client.close(),
});
