/** Keeps what runs of all local parts; where there are many, each has a child, so that no history becomes too long. */
import { executeChild } from '@temporalio/workflow';
import type { LocalPart } from '../activities/deployments.ts';
import { OPERATION } from '../fleet/lifecycle.ts';
import { KEPT_IN_PLACE } from '../fleet/limits.ts';
import { addCounts, type Counts } from './ended-rows.ts';
import { keepWhatRuns } from './keep-what-runs.ts';
import type { OperationInput } from './messages.ts';
import { deckyAttributes } from './search-attributes.ts';
import { settleParts } from './settle-parts.ts';

/** One part, as a child of its own. */
export const keepPart = ({ part, error }: { readonly part: LocalPart; readonly error: string }): Promise<Counts> =>
  keepWhatRuns([part], error);

export async function keepAll(
  { searchAttributes }: OperationInput,
  parts: readonly LocalPart[],
  error: string,
): Promise<Counts> {
  if (parts.length <= KEPT_IN_PLACE) return keepWhatRuns(parts, error);
  const counts: Counts[] = [];
  for (const part of parts) {
    const kept = executeChild<typeof keepPart>('keepPart', {
      workflowId: part.workflowId,
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      args: [{ part, error }],
      staticSummary: `keep what runs of ${part.names.length} local deckies`,
      ...(searchAttributes ? { typedSearchAttributes: deckyAttributes(part.names, OPERATION.deploy) } : {}),
    });
    counts.push(await kept.catch(() => settleParts([part], null)));
  }
  return addCounts(counts);
}
