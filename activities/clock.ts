/** What housekeeping asks about the intervals that admins set; they change at any time. */
import { type ClockIntervals, rotationLookMs } from '../fleet/housekeeping.ts';
import { withFailures } from './failures.ts';

export interface ClockStore {
  /** Minutes of the global interval; null where no decky inherits it. */
  inheritedMinutes(): Promise<number | null>;
  /** Milliseconds; null: nothing is mended by the clock. */
  reconcileMs(): Promise<number | null>;
}

export interface ClockActivities {
  readIntervals(): Promise<ClockIntervals>;
}

export const createClockActivities = (store: ClockStore): ClockActivities =>
  withFailures<ClockActivities>({
    readIntervals: async () => {
      const [minutes, reconcileMs] = await Promise.all([store.inheritedMinutes(), store.reconcileMs()]);
      return { rotateMs: minutes === null ? null : rotationLookMs(minutes), reconcileMs };
    },
  });
