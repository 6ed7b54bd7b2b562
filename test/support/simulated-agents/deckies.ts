/** What a simulated host has: the deckies of its last order, as if their containers ran. */
import type {
  AgentDecky,
  AgentDeployBody,
  AgentReport,
  AgentStatus,
  Delta,
  DeployOrder,
} from '../../../fleet/agent-wire.ts';
import type { DeckyConfig } from '../../../fleet/config.ts';
import { DECKY_STATE, OPERATION, STATUS } from '../../../fleet/lifecycle.ts';
import { plainDecky } from '../docker/plain-decky.ts';

interface Host {
  readonly mode: string;
  readonly deckies: readonly DeckyConfig[];
  readonly order: DeployOrder | null;
  /** Names on which the order is not done yet. */
  readonly open: ReadonlySet<string>;
}

export class Deckies {
  #host: Host = { mode: 'swarm', deckies: [], order: null, open: new Set() };
  #sequence = 0;
  #revision = 0;
  /** Deltas that the master has not acknowledged. */
  unreported = 0;

  take({ config, deckhand }: AgentDeployBody): void {
    const names = deckhand ? [...deckhand.deploy, ...deckhand.remove] : config.deckies.map((decky) => decky.name);
    this.#host = { mode: config.mode, deckies: config.deckies, order: deckhand ?? null, open: new Set(names) };
  }

  /** The order is done: a delta for each decky that it was about. */
  done(): Delta[] {
    const { order, open } = this.#host;
    this.#host = { ...this.#host, open: new Set() };
    const fence = order ? { operation_id: order.operation_id, attempt: order.attempt } : {};
    const removed = new Set(order?.remove);
    const completed_at = new Date().toISOString();
    return [...open].map((decky_name) => ({
      decky_name,
      operation: removed.has(decky_name) ? OPERATION.teardown : OPERATION.deploy,
      status: STATUS.succeeded,
      completed_at,
      ...fence,
      ...(order ? { sequence: ++this.#sequence } : {}),
      seen: removed.has(decky_name) ? DECKY_STATE.tornDown : DECKY_STATE.running,
    }));
  }

  clear(): void {
    this.#host = { ...this.#host, deckies: [], open: new Set() };
  }

  /** Deckies without an order, for load. */
  pretend(hostName: string, count: number): void {
    const deckies = Array.from({ length: count }, (_, index) => deckyOf(`${hostName}-${index + 1}`, index));
    this.#host = { ...this.#host, deckies, order: null, open: new Set() };
  }

  /** The next {@link status} differs from the last: one decky's service stops or is back. */
  change(): void {
    this.#revision += 1;
  }

  status(): AgentStatus {
    const { deckies, mode, order } = this.#host;
    if (deckies.length === 0) return { deployed: false, deckies: [], deckhand: this.#report(order) };
    return {
      deployed: true,
      mode,
      compose_path: '/nowhere/compose.yml',
      deckies,
      runtime: Object.fromEntries(deckies.map((decky, index) => [decky.name, this.#runtimeOf(decky, index)])),
      deckhand: this.#report(order),
    };
  }

  #runtimeOf(decky: DeckyConfig, index: number) {
    const up = !this.#host.open.has(decky.name) && !(index === 0 && this.#revision % 2 === 1);
    const services = Object.fromEntries(decky.services.map((service) => [service, up ? 'running' : 'exited']));
    return { running: up, services };
  }

  #report(order: DeployOrder | null): AgentReport {
    const { deckies, open } = this.#host;
    const fence = order && { operation_id: order.operation_id, attempt: order.attempt };
    return {
      version: 'simulated',
      network: null,
      work: fence && open.size > 0 ? [{ ...fence, kind: 'deploy', state: 'working' }] : [],
      deckies: fence
        ? Object.fromEntries(
            [...deckies.map(({ name }) => name), ...(order?.remove ?? [])].map((name): [string, AgentDecky] => {
              const removed = order?.remove.includes(name) === true;
              return [
                name,
                {
                  ...fence,
                  operation: removed ? OPERATION.teardown : OPERATION.deploy,
                  status: open.has(name) ? STATUS.running : STATUS.succeeded,
                  error: null,
                  seen: open.has(name) ? DECKY_STATE.pending : removed ? DECKY_STATE.tornDown : DECKY_STATE.running,
                  config_hash: null,
                  step: null,
                },
              ];
            }),
          )
        : {},
      unreported: this.unreported,
    };
  }
}

const deckyOf = (name: string, index: number): DeckyConfig => ({
  ...plainDecky,
  name,
  hostname: name,
  ip: `10.77.${Math.floor(index / 250)}.${(index % 250) + 2}`,
  services: ['ssh', 'http'],
});
