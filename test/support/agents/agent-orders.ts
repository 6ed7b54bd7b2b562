/** Orders for an agent under test. */
import { randomUUID } from 'node:crypto';
import type { AgentDeployBody, DeployOrder } from '../../../fleet/agent-wire.ts';
import type { DeckyConfig } from '../../../fleet/config.ts';

/** Health is short, so that tests are. */
export function orderOf(deckies: readonly DeckyConfig[], order: Partial<DeployOrder>): AgentDeployBody {
  return {
    config: {
      mode: 'swarm',
      interface: 'eth0',
      subnet: '192.0.2.0/24',
      gateway: '192.0.2.1',
      deckies,
      log_file: null,
      ipvlan: false,
      mutate_interval: 30,
    },
    dry_run: false,
    no_cache: false,
    deckhand: {
      operation_id: randomUUID(),
      attempt: 1,
      deploy: deckies.map(({ name }) => name),
      remove: [],
      custom_services: {},
      min_healthy_time_ms: 300,
      healthy_deadline_ms: 30_000,
      progress_deadline_ms: 60_000,
      ...order,
    },
  };
}
