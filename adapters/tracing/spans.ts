/** Spans of requests, at both their ends. Where nothing is traced each costs next to nothing. */
import { context, propagation, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';

const tracer = () => trace.getTracer('deckhand');

/** The request that is being answered; `headers` may carry the trace of the one who asks. */
export function answering<T>(
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
