/**
 * The interceptors of the Temporal SDK for traces in workflows, kept from the workflows' own randomness: ids of spans are
 * drawn from a stream of their own, so that a workflow that began without traces goes on with them. Bundled, never imported.
 */
import { interceptors as traced } from '@temporalio/interceptors-opentelemetry/lib/workflow-interceptors.js';
import { getRandomStream, type WorkflowInterceptorsFactory } from '@temporalio/workflow';

const STREAM = 'deckhand/tracing';

/** Every call of the interceptor draws from {@link STREAM}; what it calls next draws from where it did. */
const apart = <T extends object>(interceptor: T): T =>
  new Proxy(interceptor, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      return (...given: unknown[]): unknown =>
        getRandomStream(STREAM).with(() => Reflect.apply(member, target, given) as unknown);
    },
  });

export const interceptors: WorkflowInterceptorsFactory = () => {
  const { inbound = [], outbound = [], internals = [] } = traced();
  return { inbound: inbound.map(apart), outbound: outbound.map(apart), internals: internals.map(apart) };
};
