/** What a heartbeat tells the workflow that owns the open rows: facts about deckies, already matched to their rows. */
import type { DeckyState, Status } from './lifecycle.ts';

/** Name of the signal; its one argument is a {@link HostReport}. */
export const HEARTBEAT_SIGNAL = 'heartbeat';

export interface DeckyReport {
  readonly lifecycleId: string;
  readonly deckyName: string;
  readonly status: Exclude<Status, 'pending'>;
  /** `Type: message`, secrets cut out; null unless failed. */
  readonly error: string | null;
  readonly seen: DeckyState | null;
  /** Null: from an agent without fences. The operation was compared already; attempt and sequence are the workflow's to judge. */
  readonly fence: { readonly attempt: number; readonly sequence: number } | null;
}

export interface HostReport {
  readonly hostUuid: string;
  readonly reports: readonly DeckyReport[];
}
