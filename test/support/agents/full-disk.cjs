// Loaded into an agent (NODE_OPTIONS): its disk is full for as long as the file that FULL_DISK names is there.
'use strict';
const { existsSync } = require('node:fs');
const fs = require('node:fs/promises');
const { syncBuiltinESMExports } = require('node:module');

const full = (path) => {
  if (!existsSync(process.env.FULL_DISK ?? '')) return;
  throw Object.assign(new Error(`ENOSPC: no space left on device, write '${path}'`), { code: 'ENOSPC' });
};
const { open, writeFile } = fs;
fs.open = async (path, flags, ...more) => {
  if (String(flags).includes('w')) full(path);
  return open(path, flags, ...more);
};
fs.writeFile = async (path, ...more) => {
  full(path);
  return writeFile(path, ...more);
};
syncBuiltinESMExports();
