/**
 * What clients read of operations. These schemas are the only source of their wire form: statements read rows of these types, and
 * the API's description is made of them (docs/wire.md#deckies-and-rows). Workflow code imports only the types: zod would grow its bundle.
 *
 * - {@link LifecycleRow}: one attempt on one decky. {@link DeploymentRow} adds what is being done right now.
 * - {@link Deployment} and {@link DeploymentDetail}: a request, and its rows.
 * - {@link FleetDecky}: a decky of the fleet, with its open row.
 * - {@link ReportedDeckyRow}: what a host last said of a decky (the table `decky_shards`).
 * - {@link OpenRow}: an open row as activities hand it to workflows. Its names stand in recorded histories.
 */
import { z } from 'zod';
import { DRIFT } from './drift.ts';
import { DECKY_STATE, OPERATION, OUTCOME, REQUEST_KIND, REQUEST_STATE, STATUS } from './lifecycle.ts';
import { DeckyConfig, type Immutable } from './wire.ts';

/** ISO-8601 in UTC, with microseconds. */
const time = z.string().meta({ format: 'date-time', example: '2026-11-23T19:00:37.601031Z' });

const hostUuid = z.string().nullable().meta({ description: 'null: the master’s own engine' });
const hostName = z
  .string()
  .nullable()
  .meta({ description: 'null: the master’s own engine, or a host that is not enrolled any more' });
const step = z
  .string()
  .nullable()
  .meta({ description: 'What is being done right now, in a short phrase; null between two steps' });

export const LifecycleRow = z.object({
  id: z.string(),
  decky_name: z.string(),
  host_uuid: hostUuid,
  operation: z.enum(OPERATION),
  status: z.enum(STATUS),
  error: z.string().nullable().meta({ description: '`Code: sentence`, with the evidence' }),
  started_at: time,
  updated_at: time,
  completed_at: time.nullable(),
});
export type LifecycleRow = Readonly<z.infer<typeof LifecycleRow>>;

export const DeploymentRow = LifecycleRow.extend({ host_name: hostName, step, attempt: z.number() });
export type DeploymentRow = Readonly<z.infer<typeof DeploymentRow>>;

const count = z.number();

export const Deployment = z.object({
  deployment_id: z.string(),
  kind: z.enum(REQUEST_KIND).meta({ example: 'deploy' }),
  state: z.enum(REQUEST_STATE).meta({ example: 'accepted' }),
  outcome: z
    .enum(OUTCOME)
    .nullable()
    .meta({ description: 'succeeded, failed, cancelled, refused or withdrawn; null: it has not ended' }),
  username: z.string(),
  created_at: time,
  ended_at: time.nullable(),
  counts: z.object({ pending: count, running: count, succeeded: count, failed: count }),
});
export type Deployment = Readonly<z.infer<typeof Deployment>>;

export const DeploymentDetail = Deployment.extend({
  waiting_for: z.string().nullable().meta({ description: 'One sentence: what is waited for, on whom, until when.' }),
  warnings: z.array(z.string()),
  refusal: z
    .object({ code: z.string(), detail: z.string() })
    .nullable()
    .meta({ description: 'Why it was not accepted.' }),
  rows: z.array(DeploymentRow),
});
export type DeploymentDetail = Readonly<z.infer<typeof DeploymentDetail>>;

export const FleetDecky = z.object({
  name: z.string(),
  ip: z.string(),
  services: z.array(z.string()),
  hostname: z.string(),
  archetype: z.string().nullable(),
  host_uuid: z.string().nullable(),
  host_name: z.string().nullable(),
  state: z
    .enum([...Object.values(DECKY_STATE), 'unknown'])
    .meta({ description: 'what was last seen; unknown: its engine does not answer', example: 'running' }),
  drift: z.array(z.enum(DRIFT)).meta({ description: 'How what runs differs from what should.' }),
  last_error: z.string().nullable(),
  established: z.boolean().meta({ description: 'it came up at least once' }),
  open: DeploymentRow.pick({ operation: true, status: true, step: true })
    .extend({ lifecycle_id: z.string() })
    .nullable(),
  updated_at: time,
});
export type FleetDecky = Readonly<z.infer<typeof FleetDecky>>;

/** What a host last said of a decky, or what the master noted there itself. */
export const ReportedDeckyRow = z.object({
  decky_name: z.string(),
  decky_ip: z.string().nullable(),
  host_uuid: z.string(),
  host_name: z.string(),
  host_address: z.string(),
  host_status: z.string(),
  services: z.array(z.string()),
  state: z.string(),
  last_error: z.string().nullable(),
  compose_hash: z.string().nullable(),
  updated_at: time,
  hostname: z.string().nullable(),
  distro: z.string().nullable(),
  archetype: z.string().nullable(),
  service_config: DeckyConfig.shape.service_config,
  mutate_interval: z.number().nullable(),
  last_mutated: z.number(),
  last_seen: time.nullable(),
});
export type ReportedDeckyRow = Immutable<z.infer<typeof ReportedDeckyRow>>;

export interface OpenRow extends Pick<LifecycleRow, 'operation' | 'status'> {
  readonly lifecycleId: string;
  readonly deckyName: string;
  /** Null: the master's own engine. */
  readonly hostUuid: string | null;
  readonly workflowId: string;
  readonly deploymentId: string;
}
