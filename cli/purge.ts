/** `deckhand purge`: removes what carries the instance's label from its engine, without asking the master. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createDockerEngine } from '../engine/docker/docker-engine.ts';
import type { ComposeEngine, Purged } from '../engine/engine.ts';
import { createLogger } from '../lib/logger.ts';
import { DEFAULT_SOCKET, unmountBelow } from '../stack/docker.ts';
import { StackHome } from '../stack/home.ts';
import { findSurvivors } from '../stack/supervisor.ts';
import { readStackFile } from './connection.ts';
import { type Context, printJson } from './context.ts';
import { CliError, EXIT, type ExitCode } from './errors.ts';
import { counted } from './text.ts';

interface PurgeOptions {
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
  throw new CliError(EXIT.refused, 'Nothing was removed: you did not agree.', {
    advice: 'Without a terminal, use --yes.',
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
    io.err('The stack runs, and its database still has the deckies. `deckhand teardown --all` removes them from both.');
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

// The engine and the instance of a state directory: purge works without a master

interface OwnEngine {
  readonly instance: string;
  readonly dockerHost: string;
  readonly engine: ComposeEngine;
}

/** The id that our containers carry. Throws CliError (255) where there is none: then nothing can be told to be ours. */
export function instanceOf(home: string, environment: NodeJS.ProcessEnv): string {
  if (environment.DECKHAND_INSTANCE) return environment.DECKHAND_INSTANCE;
  const file = join(home, 'instance');
  const text = existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
  if (/^[0-9a-f]{12}$/.test(text)) return text;
  throw new CliError(EXIT.couldNotAsk, `${home} is no state directory of a stack (there is no file \`instance\`).`, {
    advice: 'Name the right one with --home DIR, or the instance by DECKHAND_INSTANCE.',
  });
}

/** The engine of the stack that runs in `home`; else DOCKER_HOST; else the default socket. Null where that stack simulates. */
function ownEngine(home: string, environment: NodeJS.ProcessEnv): OwnEngine | null {
  const instance = instanceOf(home, environment);
  const stack = readStackFile(home);
  if (stack && !stack.docker_host) return null;
  const dockerHost = stack?.docker_host ?? (environment.DOCKER_HOST || `unix://${DEFAULT_SOCKET}`);
  const engine = createDockerEngine({
    dockerHost,
    // Purge goes by the instance alone; the project names nothing here.
    scope: { instance, project: 'decnet' },
    images: { context: () => undefined },
    composeDir: join(home, 'compose'),
    logger: createLogger('deckhand'),
  });
  return { instance, dockerHost, engine };
}
