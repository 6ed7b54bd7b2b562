/** Counts of a run, what failed in it, and the lines that end its output. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export interface Totals extends Counts {
  readonly reasons: readonly Failure[];
}

export interface Failure {
  readonly title: string;
  readonly reason: string;
}

export const NOTHING: Totals = Object.freeze({ passed: 0, failed: 0, skipped: 0, reasons: [] });

/** One failure that no test of mocha's stands for. */
export const oneFailure = (title: string, reason: string): Totals => ({
  ...NOTHING,
  failed: 1,
  reasons: [{ title, reason }],
});

export const addTotals = (all: readonly Totals[]): Totals =>
  all.reduce(
    (sum, one) => ({
      passed: sum.passed + one.passed,
      failed: sum.failed + one.failed,
      skipped: sum.skipped + one.skipped,
      reasons: [...sum.reasons, ...one.reasons],
    }),
    NOTHING,
  );

export const totalsLine = ({ passed, failed, skipped }: Counts): string =>
  `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;

/** All that failed, together: in a log of thousands of lines, or of which only the end was kept, nobody finds them else. */
export const failureLines = ({ reasons }: Totals): string =>
  reasons.map(({ title, reason }) => `failed: ${title}\n${reason.replace(/^/gm, '  ')}\n`).join('\n');
