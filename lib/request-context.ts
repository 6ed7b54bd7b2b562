/** The request that is being answered, for what is far below its handler: the workflow that it starts remembers its id. */
import { AsyncLocalStorage } from 'node:async_hooks';

const requests = new AsyncLocalStorage<string>();

export const withinRequest = <T>(requestId: string, work: () => T): T => requests.run(requestId, work);

/** Null outside of any request. */
export const currentRequestId = (): string | null => requests.getStore() ?? null;
