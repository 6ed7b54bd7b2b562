/** Metrics of an agent: reports to the master, what waits for them, orders, deckies. */
import { Counter, Gauge, type Registry } from 'prom-client';
import { createRegistry } from './registry.ts';

/** What the agent's state says when somebody scrapes. */
export interface AgentFigures {
  /** Deltas that the master has not acknowledged. */
  readonly unacknowledged: number;
  /** Orders accepted and not done. */
  readonly orders: number;
  /** Deckies that should run here. */
  readonly deckies: number;
}

export interface AgentMetrics {
  readonly registry: Registry;
  /** `status`: the master's answer, or null when there was none. */
  reported(status: number | null): void;
  /** Once the agent's state is known. */
  watch(figures: () => AgentFigures): void;
}

export function createAgentMetrics(options: { readonly process?: boolean } = {}): AgentMetrics {
  const registry = createRegistry(options);
  const registers = [registry];
  const reports = new Counter({
    name: 'deckhand_agent_reports_total',
    help: 'Calls of the master by result: taken, refused (4xx), unavailable (5xx), unanswered',
    labelNames: ['result'] as const,
    registers,
  });
  for (const result of ['taken', 'refused', 'unavailable', 'unanswered']) reports.inc({ result }, 0);
  const lastTaken = new Gauge({
    name: 'deckhand_agent_last_taken_report_timestamp_seconds',
    help: 'When the master last took a report of this process; 0: never',
    registers,
  });
  return {
    registry,
    reported(status) {
      const result = resultOf(status);
      reports.inc({ result });
      if (result === 'taken') lastTaken.setToCurrentTime();
    },
    watch: (figures) => watch(registers, figures),
  };
}

function resultOf(status: number | null): string {
  if (status === null) return 'unanswered';
  if (status < 300) return 'taken';
  return status >= 500 ? 'unavailable' : 'refused';
}

function watch(registers: Registry[], figures: () => AgentFigures): void {
  const add = (name: string, help: string, read: (figures: AgentFigures) => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read(figures()));
      },
    });
  };
  add(
    'deckhand_agent_unacknowledged_deltas',
    'Ends of deckies that the master has not acknowledged',
    (now) => now.unacknowledged,
  );
  add('deckhand_agent_open_orders', 'Orders of the master that are accepted and not done', (now) => now.orders);
  add('deckhand_agent_deckies', 'Deckies that should run on this host', (now) => now.deckies);
}
