/** Carries traces through Temporal: by headers from the client to workflows, from workflows to activities and children. */
import { fileURLToPath } from 'node:url';
import type { ClientInterceptors } from '@temporalio/client';
import type { WorkerInterceptors, WorkerOptions } from '@temporalio/worker';
import type { Tracing } from './tracing.ts';

/** Bundled with the workflows; what they do stays the same, only headers and spans are added. */
export const workflowInterceptorModule = (): string =>
  fileURLToPath(new URL('./workflow-interceptors.ts', import.meta.url));

export async function tracedClient(tracing: Tracing | null): Promise<ClientInterceptors> {
  if (tracing === null) return {};
  const { OpenTelemetryWorkflowClientInterceptor } = await import('@temporalio/interceptors-opentelemetry');
  return { workflow: [new OpenTelemetryWorkflowClientInterceptor()] };
}

export interface TracedWorker {
  readonly interceptors: WorkerInterceptors;
  readonly sinks: NonNullable<WorkerOptions['sinks']>;
}

export async function tracedWorker({ resource, processor }: Tracing): Promise<TracedWorker> {
  const sdk = await import('@temporalio/interceptors-opentelemetry');
  return {
    interceptors: {
      activity: [(ctx) => ({ inbound: new sdk.OpenTelemetryActivityInboundInterceptor(ctx) })],
    },
    sinks: { exporter: sdk.makeWorkflowExporter(processor, resource) },
  };
}
