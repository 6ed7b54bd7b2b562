/**
 * The ports of the API: what both listeners and their routes need. Adapters implement them; tests
 * inject their own.
 *
 *   ApiDependencies                           the operators' API (app.ts)
 *   ControllerDependencies, SwarmApiPorts     the swarm controller, and `/api/v1/swarm`
 *   RouteDependencies                         what createApp builds of these for the routes
 */

import type { OpenAPIHono } from '@hono/zod-openapi';
import type { MiddlewareHandler } from 'hono';
import type { AgentClient } from '../adapters/agent/client.ts';
import type { ApiMetrics } from '../adapters/metrics/metrics.ts';
import type { EventStream } from '../adapters/nats/event-stream.ts';
import type { Authority } from '../adapters/pki/authority.ts';
import type { AuditStore } from '../adapters/postgres/audit.ts';
import type { Rotations } from '../adapters/postgres/clock-requests.ts';
import type { DeploymentReader } from '../adapters/postgres/deployments.ts';
import type { DriftReader } from '../adapters/postgres/drift.ts';
import type { Enrollments, EnrollmentTokens } from '../adapters/postgres/enrollment.ts';
import type { FleetReader } from '../adapters/postgres/fleet.ts';
import type { HostReports } from '../adapters/postgres/host-reports.ts';
import type { HostStore } from '../adapters/postgres/hosts.ts';
import type { LifecycleReader } from '../adapters/postgres/rows.ts';
import type { Settings } from '../adapters/postgres/settings.ts';
import type { Tokens, Users } from '../adapters/postgres/users.ts';
import type { ReportSignals } from '../adapters/temporal/workflows.ts';
import type { RolloutOptions } from '../fleet/limits.ts';
import type { NetworkContext } from '../fleet/plan-deploy.ts';
import type { Logger } from '../lib/logger.ts';
import type { Deployments } from '../operations/submit.ts';
import type { AccessTokens, FailureLimit, Guard, GuardOptions, OpenStreams, Passwords } from './auth.ts';
import type { ApiEnv } from './environment.ts';
import type { AnswerDeadlines } from './middleware.ts';
import type { Bundles, Controller } from './swarm/bundles.ts';

export interface ApiDependencies {
  readonly logger: Logger;
  readonly users: Users;
  readonly tokens: Tokens;
  readonly settings: Settings;
  readonly fleet: FleetReader;
  readonly drift: DriftReader;
  /** Has the master's own engine observed now. Resolves when that is done or takes too long. */
  readonly lookAtEngine: () => Promise<void>;
  readonly rotations: Rotations;
  readonly lifecycle: LifecycleReader;
  readonly deployments: Deployments;
  readonly deploymentReader: DeploymentReader;
  /** Absent: nothing is written, and `/audit` is empty. */
  readonly audit?: AuditStore;
  /** Absent: there is no bus, and `/events` says so. */
  readonly events?: EventStream;
  /** Aborted when the master stops: streams without an end of their own end then. */
  readonly stopping?: AbortSignal;
  /** Hosts with agents; absent: `/api/v1/swarm` is not there. */
  readonly swarm?: SwarmApiPorts;
  /** Whether the worker's engine is a simulated one; null where it is not known. */
  readonly simulated: boolean | null;
  /** What the master's machine has of networks, looked up anew for each deploy. */
  readonly network: () => Promise<NetworkContext>;
  /**
   * For /readyz. Rejects with a sentence while the API can’t do its work without the named part.
   * Resolves with `degraded` where something is missing that delays no operation.
   */
  readonly probes: Readonly<Record<string, () => Promise<unknown>>>;
  /** What keeps the API from answering (migrations not run yet), or null. */
  readonly notReady: () => string | null;
  readonly jwt: { readonly secret: string; readonly lifetimeMinutes: number };
  readonly limiterEnabled: boolean;
  /** Absent: nothing is measured, and `/metrics` is empty. */
  readonly metrics?: ApiMetrics;
  /** Origins that browsers may call from; none by default. */
  readonly corsOrigins: readonly string[];
  /** Whether the listener itself speaks TLS; browsers are told to stay with it then. */
  readonly overTls?: boolean;
  /** Rollout options set by environment; a request's own win over them. */
  readonly rolloutDefaults: Partial<RolloutOptions>;
  readonly deadlines: AnswerDeadlines;
  /** How long DELETE waits before it answers 202. */
  readonly teardownWaitMs: number;
}

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

/** What the routes are made of: the injected ports, and what createApp builds of them. */

export interface RouteDependencies extends ApiDependencies {
  readonly guard: Guard;
  readonly accessTokens: AccessTokens;
  readonly passwords: Passwords;
  readonly streams: OpenStreams;
  /** Null when DECKHAND_LIMITER_ENABLED is false. */
  readonly loginLimit: FailureLimit | null;
  readonly passwordLimit: FailureLimit | null;
}

export type AddRoutes = (app: OpenAPIHono<ApiEnv>, deps: RouteDependencies) => void;

/** What makes a route ask for a token, in code and in its description. */
export const guarded = (
  deps: RouteDependencies,
  options: GuardOptions,
): { security: { bearer: [] }[]; middleware: [MiddlewareHandler<ApiEnv>] } => ({
  security: [{ bearer: [] }],
  middleware: [deps.guard(options)],
});
