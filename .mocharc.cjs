/** What every room shares; test/run.mjs adds time-outs and the reporter. `npx mocha test/unit/x.test.ts` works on its own. */
module.exports = {
  'node-option': ['import=tsx'],
  extension: ['ts'],
  // Milliseconds for one test: generous, since no test asserts how long something takes.
  timeout: 60_000,
  'forbid-only': Boolean(process.env.CI),
};
