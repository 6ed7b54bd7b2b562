/** Search attributes of the product; registered by the stack, `deckhand doctor` prints the command where they are missing. */
import { defineSearchAttributeKey, SearchAttributeType, TypedSearchAttributes } from '@temporalio/common';
import { WORKFLOW_KIND } from '../fleet/housekeeping.ts';

export const DECKY_NAME = defineSearchAttributeKey('DeckyName', SearchAttributeType.KEYWORD_LIST);
export const HOST_UUID = defineSearchAttributeKey('HostUuid', SearchAttributeType.KEYWORD);
export const OPERATION = defineSearchAttributeKey('Operation', SearchAttributeType.KEYWORD);
export const LIFECYCLE_OUTCOME = defineSearchAttributeKey('LifecycleOutcome', SearchAttributeType.KEYWORD);

/** `work`, or `housekeeping` (fleet/housekeeping.ts). */
export const KIND = defineSearchAttributeKey('DeckhandKind', SearchAttributeType.KEYWORD);

export const workAttributes = (): TypedSearchAttributes =>
  new TypedSearchAttributes([{ key: KIND, value: WORKFLOW_KIND.work }]);

export const housekeepingAttributes = (): TypedSearchAttributes =>
  new TypedSearchAttributes([{ key: KIND, value: WORKFLOW_KIND.housekeeping }]);

/** A search attribute holds 2,048 bytes at most (Temporal's default); some are kept for the encoding's quotes and commas. */
const VALUE_BYTES = 2_048;

/** As many of the names as fit, in order. Names are ASCII (docs/configuration.md#keys), so characters are bytes. */
export function cutNames(names: readonly string[]): string[] {
  const kept: string[] = [];
  let bytes = 2;
  for (const name of names) {
    bytes += name.length + 3;
    if (bytes > VALUE_BYTES) break;
    kept.push(name);
  }
  return kept;
}

export const deckyAttributes = (names: readonly string[], operation: string): TypedSearchAttributes =>
  new TypedSearchAttributes([
    ...workAttributes().getAll(),
    { key: DECKY_NAME, value: cutNames(names) },
    { key: OPERATION, value: operation },
  ]);

/** Of a child that begins others, which name their deckies. */
export const groupAttributes = (operation: string): TypedSearchAttributes =>
  new TypedSearchAttributes([...workAttributes().getAll(), { key: OPERATION, value: operation }]);

export const shardAttributes = (hostUuid: string, names: readonly string[], operation: string): TypedSearchAttributes =>
  new TypedSearchAttributes([{ key: HOST_UUID, value: hostUuid }, ...deckyAttributes(names, operation).getAll()]);
