/** What the operators' API answers, as far as the command reads it (openapi.json has the whole). */
import type { Operation, Status } from '../fleet/lifecycle.ts';
import type { LifecycleRow } from '../fleet/rows.ts';

/** A row of a deployment: a lifecycle row with what is being done right now. */
export interface OperationRow extends LifecycleRow {
  /** A short phrase ("pulling image…"), or null between steps; absent where only the lifecycle row is known. */
  readonly step?: string | null;
  readonly attempt?: number;
  /** null: the master’s own engine; absent where only the lifecycle row is known. */
  readonly host_name?: string | null;
}

export interface DeploymentSummary {
  readonly deployment_id: string;
  readonly kind: string;
  readonly state: string;
  readonly outcome: string | null;
  readonly username: string;
  readonly created_at: string;
  readonly ended_at: string | null;
  readonly counts: Readonly<Record<Status, number>>;
}

export interface DeploymentDetail extends DeploymentSummary {
  /** One sentence: for what, on whom, until when; null when nothing is waited for. */
  readonly waiting_for: string | null;
  /** Why it was not accepted. */
  readonly refusal?: { readonly code: string; readonly detail: string } | null;
  readonly rows: readonly OperationRow[];
}

export interface FleetDecky {
  readonly name: string;
  readonly ip: string;
  readonly services: readonly string[];
  readonly hostname: string;
  readonly archetype: string | null;
  readonly host_uuid: string | null;
  readonly host_name?: string | null;
  readonly state: string;
  /** How what runs differs from what should; absent from an older master. */
  readonly drift?: readonly string[];
  readonly last_error: string | null;
  /** Came up once. */
  readonly established: boolean;
  readonly open: {
    readonly lifecycle_id: string;
    readonly operation: Operation;
    readonly status: Status;
    readonly step: string | null;
  } | null;
  readonly updated_at: string;
}

export interface FleetOverview {
  readonly network: {
    readonly driver: string;
    readonly interface: string;
    readonly subnet: string;
    readonly gateway: string;
  } | null;
  readonly simulated: boolean | null;
  readonly deckies: readonly FleetDecky[];
}

export interface DeployAccepted {
  readonly message: string;
  readonly mode: string;
  readonly lifecycle_ids: readonly string[];
  readonly removed_lifecycle_ids?: readonly string[];
  readonly warnings?: readonly string[];
}

interface DriftEntry {
  readonly decky_name: string;
  readonly host_uuid: string | null;
  readonly host_name: string | null;
  readonly reason: string;
  readonly detail: string;
  readonly since: string;
}

/** An engine of which nothing is known. */
export interface SilentEngine {
  readonly host_uuid: string | null;
  readonly host_name: string | null;
  readonly why: string;
  readonly since: string | null;
  readonly deckies: number;
}

export interface DriftOverview {
  readonly drift: readonly DriftEntry[];
  readonly unknown: readonly SilentEngine[];
  readonly reconcile_interval: string | null;
}

export interface ReconcileBody {
  readonly dry_run?: boolean;
  readonly host?: string;
  readonly deckies?: readonly string[];
}

export interface ReconcileAnswer {
  readonly message: string;
  /** Absent where nothing was begun. */
  readonly deployment_id?: string;
  readonly lifecycle_ids?: readonly string[];
  readonly mending: readonly {
    readonly decky_name: string;
    readonly host_uuid: string | null;
    readonly action: string;
    readonly reasons: readonly string[];
  }[];
  readonly unknown: readonly SilentEngine[];
}
