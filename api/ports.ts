/** What the API wants of the rest of the house. Adapters implement these; tests inject what they need. */
import type { Logger } from '../adapters/logger.ts';
import type { Settings } from '../adapters/postgres/settings.ts';
import type { Tokens } from '../adapters/postgres/tokens.ts';
import type { Users } from '../adapters/postgres/users.ts';
import type { DeckyConfig, FleetNetwork } from '../fleet/config.ts';
import type { DeckyState, LifecycleRow, Operation, Status } from '../fleet/lifecycle.ts';
import type { RolloutOptions } from '../fleet/limits.ts';
import type { FleetSnapshot, NetworkContext } from '../fleet/plan-deploy.ts';

export interface DeployInput {
  readonly username: string;
  readonly request: { readonly ini_content: string; readonly replace_fleet: boolean };
  readonly options: Partial<RolloutOptions>;
  readonly network: NetworkContext;
  readonly idempotency: { readonly key: string; readonly body_hash: string } | null;
}

export interface AcceptedDeploy {
  readonly deployment_id: string;
  readonly mode: string;
  readonly lifecycle_ids: readonly string[];
  readonly removed_lifecycle_ids: readonly string[];
  readonly warnings: readonly string[];
}

export interface Deployments {
  /** Accepted with ids, or a DeckhandError: 409 codes, Unavailable and Withdrawn (503), IdempotencyKeyReused (422). */
  deploy(input: DeployInput): Promise<AcceptedDeploy>;
  /** Throws NotFound, DeckyBusy, Unavailable. */
  teardown(input: { readonly username: string; readonly decky_name: string }): Promise<{
    readonly lifecycle_id: string;
  }>;
  /** Waits until the rows ended, at most `timeoutMs`; false when they did not. */
  waitForRows(lifecycleIds: readonly string[], timeoutMs: number): Promise<boolean>;
}

/** A decky as the screens show it. `open`: the row that is not ended, if there is one. */
export interface FleetDeckyView {
  readonly name: string;
  readonly ip: string;
  readonly services: readonly string[];
  readonly hostname: string;
  readonly archetype: string | null;
  readonly host_uuid: string | null;
  readonly state: DeckyState;
  readonly last_error: string | null;
  readonly established: boolean;
  readonly open: {
    readonly lifecycle_id: string;
    readonly operation: Operation;
    readonly status: Status;
    readonly step: string | null;
  } | null;
  readonly updated_at: string;
}

export interface FleetReader {
  /** For planning a deploy. */
  snapshot(): Promise<FleetSnapshot>;
  /** Ordered by name. */
  deckies(): Promise<readonly DeckyConfig[]>;
  /** `simulated` where it is known: the deckies exist in Deckhand's books only. */
  overview(): Promise<{
    readonly network: FleetNetwork | null;
    readonly simulated?: boolean | null;
    readonly deckies: readonly FleetDeckyView[];
  }>;
}

export interface LifecycleReader {
  /** By `started_at`, ascending; unknown ids are left out. */
  byIds(ids: readonly string[]): Promise<readonly LifecycleRow[]>;
}

export interface DeploymentView {
  readonly deployment_id: string;
  readonly kind: string;
  readonly state: string;
  readonly outcome: string | null;
  readonly username: string;
  readonly created_at: string;
  readonly ended_at: string | null;
  readonly counts: {
    readonly pending: number;
    readonly running: number;
    readonly succeeded: number;
    readonly failed: number;
  };
}

export interface DeploymentRow extends LifecycleRow {
  readonly step: string | null;
  readonly attempt: number;
}

export interface DeploymentDetail extends DeploymentView {
  /** One sentence: what is waited for, on whom, until when. */
  readonly waiting_for: string | null;
  readonly rows: readonly DeploymentRow[];
}

export interface DeploymentReader {
  /** Newest first. */
  list(limit: number): Promise<readonly DeploymentView[]>;
  get(id: string): Promise<DeploymentDetail | null>;
}

export interface ApiDependencies {
  readonly logger: Logger;
  readonly users: Users;
  readonly tokens: Tokens;
  readonly settings: Settings;
  readonly fleet: FleetReader;
  readonly lifecycle: LifecycleReader;
  readonly deployments: Deployments;
  readonly deploymentReader: DeploymentReader;
  /** What the master's machine has of networks, looked up anew for each deploy. */
  readonly network: () => Promise<NetworkContext>;
  /** Rejects with a sentence while the named part is out of reach; for /readyz. */
  readonly probes: Readonly<Record<string, () => Promise<unknown>>>;
  /** What keeps the API from answering (migrations not run yet), or null. */
  readonly notReady: () => string | null;
  readonly jwt: { readonly secret: string; readonly lifetimeMinutes: number };
  readonly limiterEnabled: boolean;
  /** Origins that browsers may call from; none by default. */
  readonly corsOrigins: readonly string[];
  /** Rollout options set by environment; a request's own win over them. */
  readonly rolloutDefaults: Partial<RolloutOptions>;
  /** How long DELETE waits before it answers 202. */
  readonly teardownWaitMs: number;
}
