/**
 * OpenTelemetry traces, sent by OTLP over HTTP; off unless OTEL_EXPORTER_OTLP_ENDPOINT is set, and then nothing of it is
 * even loaded. OpenTelemetry's own variables say the rest (sampler, headers, limits).
 */
import type { Resource } from '@opentelemetry/resources';
import type { SpanProcessor } from '@opentelemetry/sdk-trace-base';

export interface Tracing {
  readonly resource: Resource;
  readonly processor: SpanProcessor;
  /** Sends what is left; a collector that is away is not waited for longer than its own limit. */
  stop(): Promise<void>;
}

/** How long the last spans may take at the end of a program. */
const FLUSH_MS = 5_000;

/** Makes the process's one tracer. Call it before anything is traced, once. Null: nothing is traced. */
export async function startTracing(program: 'api' | 'worker' | 'agent'): Promise<Tracing | null> {
  // Read by OpenTelemetry itself, in its own way: with OTEL_EXPORTER_OTLP_HEADERS and the others.
  if (!process.env.OTEL_EXPORTER_OTLP_ENDPOINT) return null;
  const [{ AsyncLocalStorageContextManager }, { W3CTraceContextPropagator }, { Resource }, sdk, { OTLPTraceExporter }] =
    await Promise.all([
      import('@opentelemetry/context-async-hooks'),
      import('@opentelemetry/core'),
      import('@opentelemetry/resources'),
      import('@opentelemetry/sdk-trace-base'),
      import('@opentelemetry/exporter-trace-otlp-http'),
    ]);
  const resource = new Resource({ 'service.name': `deckhand-${program}`, 'service.namespace': 'deckhand' });
  const processor = new sdk.BatchSpanProcessor(new OTLPTraceExporter());
  const provider = new sdk.BasicTracerProvider({ resource, spanProcessors: [processor] });
  provider.register({
    contextManager: new AsyncLocalStorageContextManager(),
    propagator: new W3CTraceContextPropagator(),
  });
  return {
    resource,
    processor,
    stop: () => Promise.race([provider.shutdown().catch(() => undefined), pause(FLUSH_MS)]),
  };
}

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, milliseconds).unref();
  });
