/** Mocha's `spec`, which also leaves the totals of a room, and what failed, in the file DECKHAND_TEST_TOTALS names. */
const { writeFileSync } = require('node:fs');
const { reporters } = require('mocha');

const LINES = 30;

/** The message and the nearest frames: enough to begin with, where only the end of a log was kept. */
function reasonOf(error) {
  const text = String(error?.stack ?? error?.message ?? error);
  return text.split('\n').slice(0, LINES).join('\n');
}

module.exports = class TotalsReporter extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    runner.once('end', () => {
      const { passes, failures, pending } = this.stats;
      const reasons = this.failures.map((test) => ({ title: test.fullTitle(), reason: reasonOf(test.err) }));
      const file = process.env.DECKHAND_TEST_TOTALS;
      if (file) writeFileSync(file, JSON.stringify({ passed: passes, failed: failures, skipped: pending, reasons }));
    });
  }
};
