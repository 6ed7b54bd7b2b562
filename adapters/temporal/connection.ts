/** Connection settings follow the Temporal CLI's environment configuration: TEMPORAL_ADDRESS, namespace, TLS, API key. */
import {
  Client,
  type ClientInterceptors,
  Connection,
  defaultGrpcRetryOptions,
  makeGrpcRetryInterceptor,
} from '@temporalio/client';
import { defineSearchAttributeKey, SearchAttributeType, TypedSearchAttributes } from '@temporalio/common';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import type { WorkflowKind } from '../../fleet/housekeeping.ts';

export interface TemporalClient {
  readonly client: Client;
  readonly connection: Connection;
  readonly namespace: string;
}

/** A call that states no deadline ends after so long, its retries included. Longer than the server holds a long poll (20 s). */
const CALL_MS = 30_000;

const retrying = makeGrpcRetryInterceptor(defaultGrpcRetryOptions());

/** One deadline for all tries of a call. */
const inTime: typeof retrying = (options, nextCall) =>
  retrying({ ...options, deadline: options.deadline ?? Date.now() + CALL_MS }, nextCall);

/** Opens a lazy connection: no call is made until one is needed, so that a program starts also while Temporal is down. */
export function openTemporal(identity: string, interceptors: ClientInterceptors = {}): TemporalClient {
  const { connectionOptions, namespace } = loadClientConnectConfig();
  const connection = Connection.lazy({ ...connectionOptions, interceptors: [inTime] });
  const client = new Client({ connection, namespace: namespace ?? 'default', identity, interceptors });
  return { client, connection, namespace: namespace ?? 'default' };
}

/** The search attributes of the product; see workflows/operation.ts. */
export const SEARCH_ATTRIBUTES = Object.freeze({
  DeckyName: 'KeywordList',
  HostUuid: 'Keyword',
  Operation: 'Keyword',
  LifecycleOutcome: 'Keyword',
  DeckhandKind: 'Keyword',
});

const KIND = defineSearchAttributeKey('DeckhandKind', SearchAttributeType.KEYWORD);

/** For the options of a start: what the workflow is, so that lists can leave out what is nobody's work. */
export const ofKind = (kind: WorkflowKind): { readonly typedSearchAttributes: TypedSearchAttributes } => ({
  typedSearchAttributes: new TypedSearchAttributes([{ key: KIND, value: kind }]),
});

/** gRPC: who may not ask, or a server that has no such call (Temporal Cloud), is no reason to wait. */
const NOT_TO_BE_TOLD = [7, 12];

/** True when the namespace has all search attributes; where not, or where it can't be told, workflows start without them. */
export async function hasSearchAttributes({ connection, namespace }: TemporalClient): Promise<boolean> {
  try {
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    return Object.keys(SEARCH_ATTRIBUTES).every((name) => name in customAttributes);
  } catch (error) {
    if (NOT_TO_BE_TOLD.includes((error as { code?: number }).code ?? 0)) return false;
    throw error;
  }
}
