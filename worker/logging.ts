/** The SDK's logs, native ones included, go through our logger. Must run before anything touches the SDK's runtime. */

import type { Context } from '@temporalio/activity';
import {
  type ActivityInterceptors,
  DefaultLogger,
  type LogLevel,
  makeTelemetryFilterString,
  Runtime,
} from '@temporalio/worker';
import { deploymentOf } from '../fleet/housekeeping.ts';
import type { Logger } from '../lib/logger.ts';

const LEVELS: Readonly<Record<LogLevel, 'trace' | 'debug' | 'info' | 'warn' | 'error'>> = {
  TRACE: 'trace',
  DEBUG: 'debug',
  INFO: 'info',
  WARN: 'warn',
  ERROR: 'error',
};

/** A field named `err` is written with its message, type and stack; an error in any other loses them. */
export function withError(meta: object | undefined): object {
  const { error, ...rest } = { error: undefined, ...meta };
  return error === undefined ? rest : { ...rest, err: error };
}

/** Names as Prometheus has them: `_total` on counters, `_seconds` on times. */
const SDK_NAMES = { countersTotalSuffix: true, unitSuffix: true, useSecondsForDurations: true };

/** `metricsAddress`: where the SDK serves its own metrics, as host:port; null: nowhere. */
export function installRuntime(logger: Logger, metricsAddress: string | null = null): void {
  Runtime.install({
    logger: new DefaultLogger('INFO', ({ level, message, meta }) => logger[LEVELS[level]](withError(meta), message)),
    telemetryOptions: {
      logging: { forward: {}, filter: makeTelemetryFilterString({ core: 'WARN', other: 'WARN' }) },
      ...(metricsAddress === null ? {} : { metrics: { prometheus: { bindAddress: metricsAddress, ...SDK_NAMES } } }),
    },
    // SIGTERM is ours: the worker drains, then the connections close.
    shutdownSignals: [],
  });
}

/** Log lines of activities say which deployment, decky and host they are about; what an operator looks for has a line each. */

/** The SDK tells of the others when they fail, and at the level `debug`. */
const TOLD: ReadonlyMap<string, string> = new Map([
  ['dispatchShard', 'sent to the host'],
  ['composeUp', 'brought up'],
  ['composeDown', 'taken down'],
  ['composeDiscard', 'put back after a failure'],
  ['tearDownOnHost', 'taken down on its host'],
  ['finishDeployment', 'ended'],
]);

/** Names of the logs for fields of inputs. No other field gets into a line. */
const FIELDS = { operationId: 'deployment_id', deckyName: 'decky', hostUuid: 'host' } as const;

function idsOf(workflowId: string | undefined, input: unknown): Record<string, string> {
  const deployment = workflowId === undefined ? null : deploymentOf(workflowId);
  const ids: Record<string, string> = deployment === null ? {} : { deployment_id: deployment };
  if (typeof input !== 'object' || input === null) return ids;
  for (const [field, name] of Object.entries(FIELDS)) {
    const value: unknown = Reflect.get(input, field);
    if (typeof value === 'string') ids[name] = value;
  }
  return ids;
}

export function identifiedLogs(context: Context): ActivityInterceptors {
  let ids = idsOf(context.info.workflowExecution?.workflowId, null);
  return {
    inbound: {
      async execute(input, next) {
        ids = idsOf(context.info.workflowExecution?.workflowId, input.args[0]);
        const result = await next(input);
        const told = TOLD.get(context.info.activityType);
        if (told !== undefined) context.log.info(told);
        return result;
      },
    },
    outbound: { getLogAttributes: (input, next) => next({ ...input, ...ids }) },
  };
}
