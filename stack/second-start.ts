/** `npm start` where a stack runs already: says so, deploys the fleet to it, and ends. */

import { lockHolder } from '../lib/file-lock.ts';
import { CommandLine } from './command-line.ts';
import type { StackHome } from './home.ts';
import { busNote } from './nats.ts';
import type { StartOptions } from './options.ts';
import { urls } from './screen.ts';
import { readStackFile, type StackFile } from './stack-file.ts';
import { lockFile } from './supervisor.ts';

const POLL_MS = 500;

/** The other one may still be on its way up. Null when it ends before it was. */
async function whenUp(home: StackHome): Promise<StackFile | null> {
  for (let said = false; lockHolder(lockFile(home)); said = true) {
    const file = readStackFile(home.directory);
    if (file) return file;
    if (!said) console.log(`Another start in ${home.directory} is bringing the stack up; waiting for it.`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return null;
}

/** Exit code: 0, or 1 when the fleet did not come up whole, or 2 for --once, whose end would take down what others deployed. */
export async function joinRunning(home: StackHome, options: StartOptions): Promise<number> {
  if (options.once) {
    console.error(
      `A stack runs in ${home.directory}, and --once would take its deckies down at the end. Stop it, or set DECKHAND_HOME to another directory.`,
    );
    return 2;
  }
  const file = await whenUp(home);
  if (!file) {
    console.error('The other start ended before its stack was up. Start again.');
    return 1;
  }
  console.log(`Deckhand is running already (pid ${lockHolder(lockFile(home))?.pid ?? 'unknown'}).`);
  const simulated = file.docker_host ? null : 'the running stack has no Docker Engine';
  const network = process.env.DECKHAND_NETWORK || 'bridge';
  const bus = await busNote(file.nats_url);
  console.log(urls(file, { simulated, network, bus, newPassword: null, logs: home.path('logs') }).join('\n'));
  const agents = file.processes.filter(({ name }) => name.startsWith('agent-')).length;
  if (options.agents > agents)
    console.log(
      `It has ${agents} agents; more are enrolled when it starts: stop it, and start with --agents ${options.agents}.`,
    );
  if (options.fleet === null) return 0;
  const summary = await new CommandLine(home).deploy(options.fleet, options.replace);
  return summary && summary.failed === 0 ? 0 : 1;
}
