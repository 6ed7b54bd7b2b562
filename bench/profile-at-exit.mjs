/**
 * Loaded by `NODE_OPTIONS=--import` into every program of the stack, since `--cpu-prof` is not allowed there before Node 22:
 * API and worker write a CPU profile into $DECKHAND_PROFILE_DIR when they end politely.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { join } from 'node:path';

const [, program] = /\/(api|worker)\/main\.[jt]s$/.exec(process.argv[1] ?? '') ?? [];
const directory = process.env.DECKHAND_PROFILE_DIR;
if (program !== undefined && directory) {
  mkdirSync(directory, { recursive: true });
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.start');
  process.on('exit', () => {
    session.post('Profiler.stop', (error, stopped) => {
      if (error === null)
        writeFileSync(join(directory, `${program}-${process.pid}.cpuprofile`), JSON.stringify(stopped.profile));
    });
  });
}
