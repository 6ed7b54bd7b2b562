/** How the API has a request accepted: stored first, then Update-with-Start, and PostgreSQL is the judge of what became of it. */
import { randomUUID } from 'node:crypto';
import { WithStartWorkflowOperation, WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { reachable, type Sql } from '../adapters/postgres/connect.ts';
import {
  closeRequest,
  loadRequest,
  type NewRequest,
  type RequestHead,
  returnedIds,
  storeRequest,
} from '../adapters/postgres/deployments.ts';
import { hasSearchAttributes, ofKind, type TemporalClient } from '../adapters/temporal/connection.ts';
import { cancelWorkflow, workflowTypeOf } from '../adapters/temporal/workflows.ts';
import { DeckhandError, isErrorCode, WITHDRAWN } from '../fleet/errors.ts';
import { deployWorkflowId, mutateWorkflowId, teardownWorkflowId, WORKFLOW_KIND } from '../fleet/housekeeping.ts';
import { ROLLOUT_DEFAULTS, type RolloutOptions } from '../fleet/limits.ts';
import type { NetworkContext } from '../fleet/plan-deploy.ts';
import type { DeployRequest, NewOperationRequest } from '../fleet/requests.ts';
import { currentRequestId } from '../lib/request-context.ts';

export interface AcceptedDeployment {
  readonly deployment_id: string;
  readonly mode: string;
  readonly lifecycle_ids: string[];
  readonly removed_lifecycle_ids: string[];
  readonly warnings: string[];
}

export interface DeployInput {
  readonly username: string;
  readonly request: DeployRequest;
  readonly options: Partial<RolloutOptions>;
  readonly network: NetworkContext;
  readonly idempotency: { readonly key: string; readonly body_hash: string } | null;
}

export interface MutateInput {
  readonly username: string;
  readonly decky_name: string;
  /** Null: drawn. */
  readonly services: readonly string[] | null;
  /** The request's own options, else the defaults. */
  readonly options: Partial<RolloutOptions>;
  readonly idempotency: { readonly key: string; readonly body_hash: string } | null;
}

/** Of the kinds whose rows acceptance makes of what the fleet is. */
export type OperateInput = Extract<
  NewOperationRequest,
  { kind: 'reconcile' | 'stop' | 'start' | 'teardown' | 'move' }
> & {
  readonly username: string;
  readonly options: Partial<RolloutOptions>;
};

export interface Deployments {
  deploy(input: DeployInput): Promise<AcceptedDeployment>;
  /** The lifecycle id is the deployment id too. */
  mutate(input: MutateInput): Promise<AcceptedDeployment>;
  operate(input: OperateInput): Promise<AcceptedDeployment>;
  teardown(input: {
    username: string;
    decky_name: string;
    options?: Partial<RolloutOptions>;
  }): Promise<{ lifecycle_id: string }>;
  /** Resolves once Temporal has the request; rows that are open end as `Cancelled`, or as what they had become by then. */
  cancel(deploymentId: string): Promise<void>;
  waitForRows(lifecycleIds: readonly string[], timeoutMs: number): Promise<boolean>;
}

export interface DeploymentsOptions {
  readonly taskQueue: string;
  /** How long a client waits for a worker to accept before the request is withdrawn. */
  readonly acceptTimeoutMs?: number;
}

const ACCEPT_TIMEOUT_MS = 10_000;
const CANCEL_TIMEOUT_MS = 5_000;
const ROW_POLL_MS = 200;

export function createDeployments(sql: Sql, temporal: TemporalClient, options: DeploymentsOptions): Deployments {
  const acceptTimeoutMs = options.acceptTimeoutMs ?? ACCEPT_TIMEOUT_MS;
  let attributes: boolean | null = null;

  /** Asked once; a Temporal that does not answer is asked again with the next request. */
  async function searchAttributes(): Promise<boolean> {
    attributes ??= await temporal.client
      .withDeadline(Date.now() + 2_000, () => hasSearchAttributes(temporal))
      .catch(() => null);
    return attributes ?? false;
  }

  async function updateWithStart(stored: NewRequest, summary: string): Promise<void> {
    const requestId = currentRequestId();
    const withAttributes = await searchAttributes();
    const startWorkflowOperation = new WithStartWorkflowOperation(workflowTypeOf(stored), {
      workflowId: stored.workflowId,
      workflowIdConflictPolicy: 'USE_EXISTING',
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      taskQueue: options.taskQueue,
      args: [{ operationId: stored.id, searchAttributes: withAttributes }],
      ...(withAttributes ? ofKind(WORKFLOW_KIND.work) : {}),
      staticSummary: summary,
      staticDetails: `Asked for by **${stored.username}**. Rows: \`GET /api/v1/deployments/${stored.id}\`.`,
      memo: { username: stored.username, ...(requestId === null ? {} : { request_id: requestId }) },
    });
    await temporal.client.withDeadline(Date.now() + acceptTimeoutMs, () =>
      temporal.client.workflow.executeUpdateWithStart('accept', { updateId: stored.id, startWorkflowOperation }),
    );
  }

  /** Resolves when the stored request was accepted; whatever goes wrong, its row says what holds. */
  async function haveAccepted(stored: NewRequest, summary: string): Promise<void> {
    try {
      await updateWithStart(stored, summary);
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal) throw refusal;
      await withdraw(sql, stored.id, error);
    }
  }

  async function accepted(id: string): Promise<AcceptedDeployment> {
    const [request, ids] = await reachable(() => Promise.all([loadRequest(sql, id), returnedIds(sql, id)]));
    return { deployment_id: id, mode: request?.mode ?? 'unihost', ...ids, warnings: [...(request?.warnings ?? [])] };
  }

  /** The first answer to the same key and body: waits for it where it is still being decided. */
  async function repeatedAnswer(id: string): Promise<AcceptedDeployment> {
    const until = Date.now() + acceptTimeoutMs + 2_000;
    for (;;) {
      const request = await reachable(() => loadRequest(sql, id));
      if (request?.state === 'accepted') return accepted(id);
      if (request?.state !== 'received') throw endedRequest(request);
      if (Date.now() > until)
        throw new DeckhandError(
          'Unavailable',
          'The first request with this Idempotency-Key is still being decided; ask again with the same key.',
        );
      await new Promise((resolve) => setTimeout(resolve, ROW_POLL_MS));
    }
  }

  return {
    deploy: async ({ username, request, options: rollout, network, idempotency }) => {
      const id = randomUUID();
      const stored: NewRequest = {
        id,
        kind: 'deploy',
        workflowId: deployWorkflowId(id),
        username,
        request,
        options: { ...ROLLOUT_DEFAULTS, ...rollout },
        network,
        idempotency: idempotency && { route: 'deploy', ...idempotency },
      };
      const kept = await reachable(() => storeRequest(sql, stored));
      if (kept.repeated) return repeatedAnswer(kept.id);
      await haveAccepted(stored, `deploy by ${username}`);
      return accepted(id);
    },
    mutate: async ({ username, decky_name, services, options: rollout, idempotency }) => {
      const id = randomUUID();
      const stored: NewRequest = {
        id,
        kind: 'mutate',
        workflowId: mutateWorkflowId(id),
        username,
        request: { decky_name, services, trigger: 'operator' },
        options: { ...ROLLOUT_DEFAULTS, ...rollout },
        idempotency: idempotency && { route: 'mutate', ...idempotency },
      };
      const kept = await reachable(() => storeRequest(sql, stored));
      if (kept.repeated) return repeatedAnswer(kept.id);
      await haveAccepted(stored, `mutation of ${decky_name} by ${username}`);
      return accepted(id);
    },
    operate: async (input) => {
      const id = randomUUID();
      const { kind, request, username } = input;
      const options = { ...ROLLOUT_DEFAULTS, ...input.options };
      const stored: NewRequest = { ...input, id, workflowId: deployWorkflowId(id), options, idempotency: null };
      await reachable(() => storeRequest(sql, stored));
      const what = 'decky_name' in request ? `${kind} of ${request.decky_name}` : kind;
      await haveAccepted(stored, `${what} by ${username}`);
      return accepted(id);
    },
    teardown: async ({ username, decky_name, options: rollout }) => {
      const id = randomUUID();
      const stored: NewRequest = {
        id,
        kind: 'teardown',
        workflowId: teardownWorkflowId(id),
        username,
        request: { decky_name },
        options: { ...ROLLOUT_DEFAULTS, ...rollout },
        idempotency: null,
      };
      await reachable(() => storeRequest(sql, stored));
      await haveAccepted(stored, `teardown of ${decky_name} by ${username}`);
      return { lifecycle_id: id };
    },
    cancel: async (deploymentId) => {
      const request = await reachable(() => loadRequest(sql, deploymentId));
      if (!request) throw new DeckhandError('NotFound', `There is no deployment ${deploymentId}`);
      const asked = temporal.client.withDeadline(Date.now() + CANCEL_TIMEOUT_MS, () =>
        cancelWorkflow(temporal.client, request.workflowId),
      );
      const known = await asked.catch((cause: unknown) => {
        throw new DeckhandError('Unavailable', 'Temporal does not answer. Nothing was cancelled; try again.', {
          cause,
        });
      });
      if (known) return;
      const sentence = `Temporal has no running workflow ${request.workflowId}: it just ended, or the sweep settles it within minutes. Look at the deployment.`;
      throw new DeckhandError('Unavailable', sentence);
    },
    waitForRows: async (lifecycleIds, timeoutMs) => {
      const until = Date.now() + timeoutMs;
      for (;;) {
        const [row] = await reachable(
          () =>
            sql<
              { open: number }[]
            >`select count(*)::int as open from decky_lifecycle where id = any(${[...lifecycleIds]}) and status in ('pending', 'running')`,
        );
        if (row?.open === 0) return true;
        if (Date.now() >= until) return false;
        await new Promise((resolve) => setTimeout(resolve, ROW_POLL_MS));
      }
    },
  };
}

/** The error code that a refused update carries, or null where the refusal is not one of ours. */
function refusalOf(error: unknown): DeckhandError | null {
  const cause = error instanceof WorkflowUpdateFailedError ? error.cause : null;
  if (!(cause instanceof ApplicationFailure) || !cause.type || !isErrorCode(cause.type) || cause.type === 'Unavailable')
    return null;
  return new DeckhandError(cause.type, cause.message);
}

function endedRequest(request: RequestHead | null): DeckhandError {
  if (request?.refusal) return new DeckhandError(request.refusal.code, request.refusal.detail);
  return new DeckhandError('Withdrawn', WITHDRAWN);
}

/** No answer came: takes the request back, unless its row says that it was accepted after all. Throws where it was not. */
async function withdraw(sql: Sql, id: string, error: unknown): Promise<void> {
  let state: string | null;
  try {
    state = await closeRequest(sql, id, 'withdrawn', null);
  } catch (cause) {
    throw new DeckhandError(
      'Unavailable',
      `Neither Temporal nor PostgreSQL answers, so it can’t be told whether request ${id} was accepted; ask with its Idempotency-Key later.`,
      { cause },
    );
  }
  if (state === 'accepted') return;
  if (state === 'refused') throw endedRequest(await reachable(() => loadRequest(sql, id)));
  throw new DeckhandError('Withdrawn', WITHDRAWN, { cause: error });
}
