#!/usr/bin/env node
// Plain Node: makes the command loadable, then runs it. There is no build step (docs/decisions.md).
import { runProgram } from '../stack/loadable.mjs';

// The agent is the process itself: what supervises it must see its pid and its end.
const agent = process.argv[2] === 'agent' && !['-h', '--help'].includes(process.argv[3]);
if (agent) process.argv.splice(2, 1);
try {
  await (agent ? runProgram('agent/main.ts') : runProgram('cli/main.ts', { sourceMaps: false }));
} catch (error) {
  if (error?.code !== 'ERR_MODULE_NOT_FOUND') throw error;
  process.stderr.write(
    'deckhand: the packages are not installed here; run `npm start` (or `npm ci`) in the checkout first.\n',
  );
  process.exit(255);
}
