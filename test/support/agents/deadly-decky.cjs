// Loaded into an agent with a simulated engine (NODE_OPTIONS): it dies when a decky that DEADLY names is to run.
'use strict';
const fs = require('node:fs/promises');
const { syncBuiltinESMExports } = require('node:module');

const deadly = process.env.DEADLY ? new RegExp(process.env.DEADLY) : null;
const { writeFile } = fs;
fs.writeFile = async (path, data, ...more) => {
  if (deadly && /\/simulated\/[^/]*\.json\.[^/]*$/.test(String(path)) && deadly.test(String(data))) {
    // Half-written, as a kill in the middle leaves it.
    await writeFile(path, String(data).slice(0, 10), ...more);
    if (process.env.DEADLY_THROWS)
      setImmediate(() => {
        throw new Error('Cannot read redirect');
      });
    else process.kill(process.pid, 'SIGKILL');
    return new Promise(() => {});
  }
  return writeFile(path, data, ...more);
};
syncBuiltinESMExports();
