/** `node stack/run.mjs api/main.ts [arguments]`: one program of ours, in this process. */
import { requireNode } from './bootstrap.mjs';
import { PROGRAMS, runProgram } from './loadable.mjs';

requireNode();
const [program] = process.argv.splice(2, 1);
if (!PROGRAMS.includes(program)) {
  console.error(`Usage: node stack/run.mjs PROGRAM [arguments], with a program of these: ${PROGRAMS.join(', ')}.`);
  process.exit(2);
}
await runProgram(program);
