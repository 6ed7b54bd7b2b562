/** Waits until all rows have ended; an API that is away for a while does not end the wait. */

import { ApiRefusal, ApiUnreachable } from './api-client.ts';
import type { OperationRow } from './api-types.ts';
import { pause } from './pause.ts';
import { allEnded } from './tally.ts';

/** How often the API is asked. */
const POLL_MS = 300;
/** How often while it does not answer. */
const RETRY_MS = 500;

export interface Snapshot {
  readonly rows: readonly OperationRow[];
  readonly waitingFor: string | null;
  /** The operation was refused or withdrawn after all: its rows never come. */
  readonly refusal: string | null;
}

export interface WatchView {
  update(snapshot: Snapshot): void;
  /** A sentence about the wait itself, or null when it has passed. */
  notice(sentence: string | null): void;
  /** The last word; nothing is drawn after it. */
  close(): void;
}

export type WatchEnd = 'ended' | 'refused' | 'timeout' | 'interrupted';

export interface WatchResult {
  readonly end: WatchEnd;
  /** As last seen; empty rows when nothing was ever seen. */
  readonly snapshot: Snapshot;
}

export interface WatchOptions {
  readonly timeoutMs: number;
  readonly interrupted: AbortSignal;
  readonly pollMs?: number;
}

const NOTHING: Snapshot = { rows: [], waitingFor: null, refusal: null };

/** A 5xx, a 404 just after a restart of a master that still reads its books, or no answer: worth another look. */
const mayPass = (error: unknown): error is Error =>
  error instanceof ApiUnreachable || (error instanceof ApiRefusal && error.status >= 500);

/** Throws what `read` throws when it can't pass (401, 404 …); the view is closed in any case. */
export async function watchRows(
  read: () => Promise<Snapshot>,
  view: WatchView,
  options: WatchOptions,
): Promise<WatchResult> {
  const deadline = Date.now() + options.timeoutMs;
  let snapshot = NOTHING;
  let pauseMs: number;
  try {
    for (;;) {
      try {
        snapshot = await read();
        view.notice(null);
        view.update(snapshot);
        if (snapshot.refusal !== null) return { end: 'refused', snapshot };
        if (snapshot.rows.length > 0 && allEnded(snapshot.rows)) return { end: 'ended', snapshot };
        pauseMs = options.pollMs ?? POLL_MS;
      } catch (error) {
        if (options.interrupted.aborted) return { end: 'interrupted', snapshot };
        if (!mayPass(error)) throw error;
        view.notice(`${error.message} Trying again; the operation goes on without it.`);
        pauseMs = RETRY_MS;
      }
      if (Date.now() >= deadline) return { end: 'timeout', snapshot };
      await pause(Math.min(pauseMs, Math.max(0, deadline - Date.now())), options.interrupted);
      if (options.interrupted.aborted) return { end: 'interrupted', snapshot };
    }
  } finally {
    view.close();
  }
}
