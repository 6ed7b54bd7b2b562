/** What the swarm controller wants of the rest of the house. */
import type { AgentClient } from '../../adapters/agent/client.ts';
import type { ApiMetrics } from '../../adapters/metrics/metrics.ts';
import type { Authority } from '../../adapters/pki/authority.ts';
import type { AuditStore } from '../../adapters/postgres/audit.ts';
import type { EnrollmentTokens } from '../../adapters/postgres/enrollment-tokens.ts';
import type { Enrollments } from '../../adapters/postgres/enrollments.ts';
import type { HostReports } from '../../adapters/postgres/host-reports.ts';
import type { HostStore } from '../../adapters/postgres/hosts.ts';
import type { LifecycleReader } from '../../adapters/postgres/lifecycle.ts';
import type { ReportSignals } from '../../adapters/temporal/reports.ts';
import type { RolloutOptions } from '../../fleet/limits.ts';
import type { Logger } from '../../lib/logger.ts';
import type { Deployments } from '../../operations/deployments.ts';
import type { Guard } from '../auth/guard.ts';
import type { Bundles, Controller } from './bundles.ts';

/** Shared by the listener on 8770 and `/api/v1/swarm`. */
export interface SwarmPorts {
  readonly authority: Authority;
  readonly hosts: HostStore;
  readonly reports: HostReports;
  readonly agents: AgentClient;
  readonly operations: Pick<Deployments, 'operate' | 'teardown' | 'waitForRows'>;
  readonly lifecycle: LifecycleReader;
  /** Rollout options set by environment. */
  readonly rollout: Partial<RolloutOptions>;
}

export interface ControllerDependencies extends SwarmPorts {
  readonly logger: Logger;
  readonly guard: Guard;
  /** Absent: nothing is written. */
  readonly audit?: AuditStore;
  readonly enrollments: Enrollments;
  readonly signals: ReportSignals;
  /** Fingerprints of the identities that may act as an operator: the master's own two. */
  readonly ownFingerprints: () => Promise<ReadonlySet<string>>;
  /** Heartbeats at work at which reports wait for the hosts' next ones; for tests. */
  readonly busyAt?: number;
  /** What keeps the API from answering (migrations not run yet), or null. */
  readonly notReady: () => string | null;
  readonly metrics?: ApiMetrics;
}

/** What `/api/v1/swarm` has besides. */
export interface SwarmApiPorts extends SwarmPorts {
  readonly tokens: EnrollmentTokens;
  readonly controller: Controller;
  readonly bundles: Bundles;
  /** DECKHAND_PLAIN_BUNDLES. */
  readonly plainBundles: boolean;
}
