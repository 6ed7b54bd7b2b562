/** The SDK's logs, native ones included, go through our logger. Must run before anything touches the SDK's runtime. */
import { DefaultLogger, type LogLevel, makeTelemetryFilterString, Runtime } from '@temporalio/worker';
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
