/** Activity stubs by profile; the types come from the factories, the code never does. */

import { type ActivityOptions, proxyActivities, proxyLocalActivities, workflowInfo } from '@temporalio/workflow';
import type { AgentActivities } from '../activities/agents.ts';
import type { ComposeActivities } from '../activities/compose.ts';
import type { LookActivities, ReconcileActivities } from '../activities/convergence.ts';
import type { DeploymentActivities } from '../activities/deployments.ts';
import type {
  ClockActivities,
  EventActivities,
  PruneActivities,
  RotationActivities,
  SweepActivities,
} from '../activities/housekeeping.ts';
import { agentTaskQueue, composeTaskQueue } from '../fleet/housekeeping.ts';
import { ACCEPT, PRUNE, PUBLISH, STORE, SWEEP, TURN } from './profiles.ts';

export const { acceptDeployment } = proxyLocalActivities<DeploymentActivities>(ACCEPT);
export const {
  withdrawDeployment,
  finishDeployment,
  releaseLane,
  openRows,
  recordTransitions,
  settleShard,
  oweCleanUp,
  hostParts,
  endHosts,
} = proxyActivities<DeploymentActivities>(STORE);
export const { dueRotations, storeRotation, noteSkip } = proxyActivities<RotationActivities>(STORE);
export const { storeReconcile } = proxyActivities<ReconcileActivities>(STORE);
export const { awaitTurn } = proxyActivities<DeploymentActivities>(TURN);
export const { publishTransitions } = proxyActivities<EventActivities>(PUBLISH);
export const { findOrphans, restartOperations, closeOrphans, resumeTeardowns } =
  proxyActivities<SweepActivities>(SWEEP);
export const { readIntervals } = proxyActivities<ClockActivities>(SWEEP);
export const { reconcileIsDue } = proxyActivities<ReconcileActivities>(SWEEP);
/** Of housekeeping: an answer soon, or the next round asks. */
export const { dueRotations: askDueRotations } = proxyActivities<RotationActivities>(SWEEP);
export const { pruneRecords } = proxyActivities<PruneActivities>(PRUNE);

/** Activities of the machine that has the Docker Engine; `summary` is what the Web UI shows beside the event. */
export const onEngine = (
  profile: ActivityOptions,
  summary: string,
): ReturnType<typeof proxyActivities<ComposeActivities>> =>
  proxyActivities<ComposeActivities>({ ...profile, summary, taskQueue: composeTaskQueue(workflowInfo().taskQueue) });

/** Looks at the same engine that change nothing. */
export const observing = (
  profile: ActivityOptions,
  summary: string,
): ReturnType<typeof proxyActivities<LookActivities>> =>
  proxyActivities<LookActivities>({ ...profile, summary, taskQueue: composeTaskQueue(workflowInfo().taskQueue) });

/** Talks with agents, on a queue of their own, so that unreachable hosts hold up nobody else. */
export const onAgent = (
  profile: ActivityOptions,
  summary: string,
): ReturnType<typeof proxyActivities<AgentActivities>> =>
  proxyActivities<AgentActivities>({ ...profile, summary, taskQueue: agentTaskQueue(workflowInfo().taskQueue) });
