/** From a body to an order of the queue. */
import { randomUUID } from 'node:crypto';
import type { OrderFence } from '../fleet/agent-wire.ts';
import { ROLLOUT_DEFAULTS } from '../fleet/limits.ts';
import type { DeployBody, MutateBody, TeardownBody } from './body-schemas.ts';
import type { DeployOrderRecord, MutateOrderRecord, TeardownOrderRecord, Timing } from './state.ts';

/** As a schema gives it. */
type Given = Pick<OrderFence, 'operation_id' | 'attempt'> & { readonly ticket?: number | undefined };

/** A master of DECNET sends no fence: each of its orders is an operation of its own. */
const fenceOf = (given: Given | undefined, now: Date) => ({
  operation_id: given?.operation_id ?? randomUUID(),
  attempt: given?.attempt ?? 1,
  ...(given?.ticket === undefined ? {} : { ticket: given.ticket }),
  fenced: given !== undefined,
  accepted_at: now.toISOString(),
});

interface WireTiming {
  readonly min_healthy_time_ms: number;
  readonly healthy_deadline_ms: number;
  readonly progress_deadline_ms: number;
}

const timingOf = (given: WireTiming | undefined): Timing => ({
  minHealthyMs: given?.min_healthy_time_ms ?? ROLLOUT_DEFAULTS.minHealthyTimeMs,
  healthyDeadlineMs: given?.healthy_deadline_ms ?? ROLLOUT_DEFAULTS.healthyDeadlineMs,
  progressDeadlineMs: given?.progress_deadline_ms ?? ROLLOUT_DEFAULTS.progressDeadlineMs,
});

export function deployOrder({ config, deckhand }: DeployBody, now: Date): DeployOrderRecord {
  const fence = fenceOf(deckhand, now);
  return {
    kind: 'deploy',
    ...fence,
    key: fence.operation_id,
    config,
    deploy: deckhand?.deploy ?? config.deckies.map(({ name }) => name),
    remove: deckhand?.remove ?? [],
    stopped: deckhand?.stopped ?? [],
    custom_services: deckhand?.custom_services ?? {},
    timing: timingOf(deckhand),
  };
}

export function mutateOrder({ decky_id, services, deckhand }: MutateBody, now: Date): MutateOrderRecord {
  const fence = fenceOf(deckhand, now);
  const given = deckhand?.custom_services ?? {};
  const custom_services = Object.hasOwn(given, decky_id) ? (given[decky_id] ?? null) : null;
  return {
    kind: 'mutate',
    ...fence,
    // As a deploy of the same operation, so that one recalls it.
    key: fence.operation_id,
    decky_id,
    services,
    custom_services,
    timing: timingOf(deckhand),
  };
}

/** An operation that takes down one decky here may also deploy to this host: the two have attempts of their own. */
export function teardownOrder({ decky_id, deckhand }: TeardownBody, now: Date): TeardownOrderRecord {
  const fence = fenceOf(deckhand, now);
  const key = decky_id === null ? fence.operation_id : `${fence.operation_id}/teardown/${decky_id}`;
  return { kind: 'teardown', ...fence, key, decky_id };
}
