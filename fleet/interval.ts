/** Intervals as operators write them: `30m`, `5d`, `2M`, `1y` (wire.md 1.5). */
const MINUTES: Readonly<Record<string, number>> = Object.freeze({ m: 1, d: 1_440, M: 43_200, y: 525_600, Y: 525_600 });

/** At most nine digits, so that the minutes stay a whole number on every wire. */
export const INTERVAL_PATTERN = /^[1-9]\d{0,8}[mdMyY]$/;

/** Milliseconds of an interval; the text has to match {@link INTERVAL_PATTERN}. */
export const intervalMs = (text: string): number => intervalMinutes(text) * 60_000;

/** Minutes; the text has to match {@link INTERVAL_PATTERN}. */
export const intervalMinutes = (text: string): number => Number(text.slice(0, -1)) * (MINUTES[text.slice(-1)] ?? 1);
