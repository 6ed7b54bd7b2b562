/** Workflow ids (style.md 2). A row carries the id of the workflow that owns it. */
export const deployWorkflowId = (deploymentId: string): string => `deploy/${deploymentId}`;
/** Local deckies are done by children of at most LIMITS.localChunk each; the first has no number. */
export const localWorkflowId = (deploymentId: string, part: number): string =>
  part === 1 ? `deploy/${deploymentId}/local` : `deploy/${deploymentId}/local-${part}`;
/** The child of a deployment that does one host. */
export const shardWorkflowId = (deploymentId: string, hostUuid: string): string =>
  `deploy/${deploymentId}/host/${hostUuid}`;
/** Hosts of a large deployment are done by groups, numbered from 1, which begin the hosts' children. */
export const groupWorkflowId = (deploymentId: string, group: number): string => `deploy/${deploymentId}/hosts/${group}`;
/** Many deckies that leave their host are taken down by children, numbered from 1. */
export const leaveWorkflowId = (deploymentId: string, part: number): string => `deploy/${deploymentId}/leave/${part}`;
export const mutateWorkflowId = (lifecycleId: string): string => `mutate/${lifecycleId}`;
export const teardownWorkflowId = (lifecycleId: string): string => `teardown/${lifecycleId}`;

/** The deployment that a workflow works for; null for those that work for none, as the sweep. */
export const deploymentOf = (workflowId: string): string | null =>
  /^(?:deploy|mutate|teardown)\/([^/]+)/.exec(workflowId)?.[1] ?? null;
