/**
 * OpenTelemetry traces, sent by OTLP over HTTP. They are off unless OTEL_EXPORTER_OTLP_ENDPOINT is set, and then the SDK is
 * not loaded. OpenTelemetry's own variables say the rest (sampler, headers, limits).
 *
 * - the process's tracer
 * - spans of requests, at both their ends; where nothing is traced each costs next to nothing
 * - traces through Temporal: headers carry them from the client to workflows, and from workflows to activities and children
 */

import { fileURLToPath } from 'node:url';
import { context, propagation, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Resource } from '@opentelemetry/resources';
import type { SpanProcessor } from '@opentelemetry/sdk-trace-base';
import type { ClientInterceptors } from '@temporalio/client';
import type { WorkerInterceptors, WorkerOptions } from '@temporalio/worker';
import type { Context, Next } from 'hono';
import { routePath } from 'hono/route';

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

// Requests.

const tracer = () => trace.getTracer('deckhand');

/** The request that is being answered; `headers` may carry the trace of the one who asks. */
function answering<T>(
  name: string,
  headers: Readonly<Record<string, string>>,
  work: (span: Span) => Promise<T>,
): Promise<T> {
  const caller = propagation.extract(context.active(), headers);
  return tracer().startActiveSpan(name, { kind: SpanKind.SERVER }, caller, (span) => ended(span, work));
}

/** A call of another program; what it gets are the headers that carry the trace there. */
export function asking<T>(
  name: string,
  attributes: Readonly<Record<string, string>>,
  work: (headers: Readonly<Record<string, string>>) => Promise<T>,
): Promise<T> {
  return tracer().startActiveSpan(name, { kind: SpanKind.CLIENT, attributes }, (span) =>
    ended(span, () => {
      const headers: Record<string, string> = {};
      propagation.inject(context.active(), headers);
      return work(headers);
    }),
  );
}

async function ended<T>(span: Span, work: (span: Span) => Promise<T>): Promise<T> {
  try {
    return await work(span);
  } catch (error) {
    // The name only: a message may carry what a log line may not.
    span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.name : 'failed' });
    throw error;
  } finally {
    span.end();
  }
}

/** Asked for every few seconds by machines. */
const UNTRACED = new Set(['/healthz', '/readyz', '/metrics', '/health', '/swarm/health']);

/** A span for each request that a Hono app answers, named by the route's pattern. */
export async function traceRequests(c: Context, next: Next): Promise<void> {
  if (UNTRACED.has(c.req.path)) return next();
  const { method } = c.req;
  const traceparent = c.req.header('traceparent');
  const tracestate = c.req.header('tracestate');
  const headers = { ...(traceparent ? { traceparent } : {}), ...(tracestate ? { tracestate } : {}) };
  await answering(method, headers, async (span) => {
    await next();
    const path = routePath(c, -1);
    const route = path.includes('*') ? '' : path;
    if (route !== '') span.updateName(`${method} ${route}`).setAttribute('http.route', route);
    span.setAttribute('http.request.method', method).setAttribute('http.response.status_code', c.res.status);
    if (c.res.status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
  });
}

// Temporal.

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
