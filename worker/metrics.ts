/** The worker's own metrics and the Temporal SDK's, on one listener; nothing at all where none is asked for. */

import { chooseSdkExporter, type MetricsAddress, serveMetricsIfAsked } from '../adapters/metrics/listener.ts';
import { createWorkerMetrics, type WorkerMetrics } from '../adapters/metrics/metrics.ts';
import type { Logger } from '../lib/logger.ts';

export interface OpenMetrics {
  readonly metrics: WorkerMetrics;
  /** Where the SDK's runtime has to serve its metrics. */
  readonly sdkAddress: string;
  stop(): Promise<void>;
}

export async function openMetrics(address: MetricsAddress | null, logger: Logger): Promise<OpenMetrics | null> {
  if (address === null) return null;
  const metrics = createWorkerMetrics({ process: true });
  const sdk = await chooseSdkExporter();
  const listener = await serveMetricsIfAsked(metrics.registry, address, logger, sdk.read);
  if (listener === null) return null;
  return { metrics, sdkAddress: sdk.bindAddress, stop: () => listener.stop() };
}
