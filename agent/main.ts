/** The agent of a host: `run` (the default) serves the master's orders, `join` enrols this host. */
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { startTracing } from '../adapters/tracing/tracing.ts';
import { EnvironmentError } from '../lib/environment.ts';
import { createLogger } from '../lib/logger.ts';
import { type RunningAgent, startAgent } from './agent.ts';
import { DEFAULT_AGENT_DIR, readAgentConfig } from './config.ts';
import { IdentityError } from './identity.ts';
import { join } from './joining.ts';

/** For an environment that is not right, a host that has not joined, and wrong usage. */
const EXIT_USAGE = 2;
const EXIT_CRASH = 1;

async function run(): Promise<void> {
  const config = readAgentConfig();
  const logger = createLogger('agent');
  const tracing = await startTracing('agent');
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop.abort());
  const stopped = new Promise<void>((resolve) =>
    stop.signal.addEventListener('abort', () => resolve(), { once: true }),
  );
  let working: RunningAgent['working'] = () => null;
  // Node would print it and end, without a word about the order.
  process.on('uncaughtException', (error, origin) => {
    const order = working();
    const about = order && { kind: order.kind, deployment_id: order.operation_id, attempt: order.attempt };
    logger.fatal({ err: error, origin, ...about }, 'the agent ends by an error that nobody caught');
    process.exit(EXIT_CRASH);
  });
  const agent = await startAgent(config, logger, () => stop.abort());
  working = agent.working;
  const { engine, project, instance } = config.engine;
  logger.info({ port: agent.port, engine, project, instance }, 'agent ready');
  await stopped;
  logger.info('agent stops');
  await agent.stop();
  await tracing?.stop();
}

const port = (text: string): number => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > 65_535) throw new InvalidArgumentError('It is no port number.');
  return value;
};

interface JoinFlags {
  readonly token: string;
  readonly caFingerprint: string;
  readonly dir: string;
  readonly port?: number;
}

async function joinSwarm(url: string, { token, caFingerprint, dir, port: given }: JoinFlags): Promise<void> {
  const options = { url, token, caFingerprint, directory: dir, ...(given === undefined ? {} : { port: given }) };
  const facts = await join(options);
  const start = dir === DEFAULT_AGENT_DIR ? 'deckhand agent run' : `DECKHAND_AGENT_DIR=${dir} deckhand agent run`;
  process.stdout.write(
    `This host is ${facts.name} (${facts.host_uuid}); its identity is in ${dir}.\nStart its agent: ${start}\n`,
  );
}

const program = new Command('deckhand agent').description('the agent of a host').exitOverride();
program.command('run', { isDefault: true }).description('serve the master’s orders').action(run);
program
  .command('join <url>')
  .description('enrol this host with the master at https://MASTER:8770')
  .requiredOption('--token <token>', 'the one-shot token that the master made')
  .requiredOption('--ca-fingerprint <sha256>', 'of the master’s CA')
  .option('--dir <directory>', 'where its identity is kept', process.env.DECKHAND_AGENT_DIR || DEFAULT_AGENT_DIR)
  .option('--port <port>', 'where the agent listens, if not where it was enrolled', port)
  .action(joinSwarm);

try {
  await program.parseAsync();
  process.exitCode = 0;
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : EXIT_USAGE;
  else {
    process.exitCode = error instanceof EnvironmentError || error instanceof IdentityError ? EXIT_USAGE : 1;
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  }
}
// Something that hangs, as an engine that does not answer, must not keep the process alive.
process.exit();
