import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Purged } from '../../engine/engine.ts';
import { unmountBelow } from '../../stack/dockerd.ts';
import { StackHome } from '../../stack/home.ts';
import { findSurvivors } from '../../stack/survivors.ts';
import { type Context, printJson } from '../context.ts';
import { CliError, EXIT, type ExitCode } from '../exit-codes.ts';
import { instanceOf, type OwnEngine, ownEngine } from '../own-engine.ts';
import { counted } from '../text.ts';

export interface PurgeOptions {
  readonly yes?: boolean;
  readonly state?: boolean;
}

const NOTHING: Purged = { containers: 0, networks: 0, stuck: [] };

/** Names of what still runs for this state directory. */
const running = (home: string): string[] =>
  existsSync(join(home, 'instance')) ? findSurvivors(new StackHome(home)).map(({ name }) => name) : [];

/** A private engine that does not run has no containers that run; its data goes with the state. */
async function purgeEngine({ engine, dockerHost }: OwnEngine, state: boolean): Promise<Purged | null> {
  try {
    await engine.ping();
  } catch (cause) {
    if (state) return null;
    throw new CliError(EXIT.couldNotAsk, `The container engine at ${dockerHost} does not answer.`, {
      advice:
        'Where it was the stack’s own, start the stack (`npm start -- --fleet none`) and purge then; else set DOCKER_HOST.',
      cause,
    });
  }
  return engine.purge();
}

function removeState(home: string): void {
  const elsewhere = new StackHome(home).state.postgresDirectory;
  for (const directory of [home, ...(elsewhere ? [elsewhere] : [])]) {
    unmountBelow(directory);
    rmSync(directory, { recursive: true, force: true });
  }
}

async function agree(context: Context, question: string, options: PurgeOptions): Promise<void> {
  if (options.yes || (await context.io.confirm(question))) return;
  throw new CliError(EXIT.refused, 'Nothing was removed: it was not agreed to.', {
    advice: 'Without a terminal, say --yes.',
  });
}

/** Removes all that carries the instance's label from its engine, by the engine alone; with --state its directory too. */
export async function purge(context: Context, options: PurgeOptions): Promise<ExitCode> {
  const { io, home } = context;
  const instance = instanceOf(home, io.environment);
  const alive = running(home);
  const state = options.state === true;
  if (state && alive.length > 0)
    throw new CliError(
      EXIT.refused,
      `The stack of ${home} still runs (${alive.join(', ')}); its state can’t be removed.`,
      {
        advice: 'Stop it (Ctrl-C where `npm start` runs) and purge again.',
      },
    );
  if (alive.length > 0 && !context.json)
    io.err('The stack runs and keeps its deckies in its books; `deckhand teardown --all` takes them out of both.');
  const target = ownEngine(home, io.environment);
  const engine = target
    ? `all containers and networks of instance ${instance} on ${target.dockerHost}`
    : 'nothing (deckies are simulated)';
  await agree(context, `Remove ${engine}${state ? ` and the directory ${home}` : ''}?`, options);
  const removed = target ? await purgeEngine(target, state) : NOTHING;
  if (state) removeState(home);
  const facts = { instance, engine: target?.dockerHost ?? null, ...removed, state_removed: state };
  if (context.json) printJson(io, facts);
  else {
    io.out(
      removed
        ? `Removed ${counted(removed.containers, 'container')} and ${counted(removed.networks, 'network')} of instance ${instance}.`
        : `The engine at ${facts.engine} does not answer; nothing was removed there.`,
    );
    for (const sentence of removed?.stuck ?? []) io.err(sentence);
    if (state) io.out(`Removed ${home}.`);
  }
  return EXIT.succeeded;
}
