/** The agent's program as a child, started and ended as often as a test wants; its port stays. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { programArguments } from '../../../stack/root.ts';

export function agentProcess(environment: NodeJS.ProcessEnv) {
  let child: ChildProcess | null = null;
  let port = 0;
  let log = '';
  const ended = async (): Promise<number | null> => {
    if (!child) return null;
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    return child.exitCode;
  };
  return {
    port: () => port,
    control: {
      ended,
      /** What it has written to its log, over all starts. */
      log: (): string => log,
      start: async (more: NodeJS.ProcessEnv = {}): Promise<void> => {
        const started = spawn(process.execPath, programArguments('agent', 'run'), {
          env: { ...environment, ...more, ...(port === 0 ? {} : { DECKHAND_AGENT_PORT: String(port) }) },
          stdio: ['ignore', 'pipe', process.env.DECKHAND_TEST_VERBOSE ? 'inherit' : 'pipe'],
        });
        child = started;
        started.stdout?.on('data', (chunk) => {
          log += String(chunk);
        });
        const text = await firstLines(started, '"agent ready"');
        const ready = text.split('\n').find((line) => line.includes('"agent ready"'));
        if (!ready) throw new Error(`The agent did not start: ${text}${String(started.stderr?.read() ?? '')}`);
        port = (JSON.parse(ready) as { port: number }).port;
      },
      end: async (signal: NodeJS.Signals): Promise<number | null> => {
        if (child && child.exitCode === null && child.signalCode === null) child.kill(signal);
        return ended();
      },
    },
  };
}

/** What it prints up to the line with `word`, or to its end; goes on reading, so that it can go on printing. */
function firstLines(child: ChildProcess, word: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    child.stdout?.on('data', (chunk) => {
      text += String(chunk);
      if (process.env.DECKHAND_TEST_VERBOSE) process.stderr.write(String(chunk));
      if (text.includes(word) && text.endsWith('\n')) resolve(text);
    });
    child.once('exit', () => resolve(text));
  });
}
