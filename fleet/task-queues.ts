/** Task queues: workflows and activities of the databases on one, those of the master's own Docker Engine on the other. */
export const DEFAULT_TASK_QUEUE = 'deckhand';

/** The queue of the machine that has the Docker Engine, so that a slow pull can't starve transitions. */
export const composeTaskQueue = (taskQueue: string): string => `${taskQueue}-compose`;

/** Talks with agents wait for the network, many at a time, and must not hold up the databases. */
export const agentTaskQueue = (taskQueue: string): string => `${taskQueue}-agents`;
