/** What `npm start` says and asks on the terminal. */

import { createInterface } from 'node:readline/promises';
import pc from 'picocolors';
import type { StackFile } from './home.ts';

export interface ScreenFacts {
  /** Why deckies are simulated; null when they are real. */
  readonly simulated: string | null;
  /** The driver of the fleet's network, as configured. */
  readonly network: string;
  /** What an operator should know of the events' bus; null where all is well. */
  readonly bus: string | null;
  /** Set when the password was made at this start: it is shown once. */
  readonly newPassword: string | null;
  readonly logs: string;
}

const line = (label: string, value: string): string => `  ${label.padEnd(12)} ${value}`;

export function notes({ simulated, network, bus }: Pick<ScreenFacts, 'simulated' | 'network' | 'bus'>): string[] {
  const events = bus === null ? [] : [`events: ${bus}`];
  if (simulated !== null) return [`simulated: no container runs, because ${simulated}`, ...events];
  return [...(network === 'bridge' ? ['bridge: reachable from this host only'] : []), ...events];
}

export function urls(stack: StackFile, facts: ScreenFacts): string[] {
  const { username } = stack.admin;
  const agents = stack.processes.filter(({ name }) => name.startsWith('agent-')).length;
  return [
    line('API', `${stack.api_url}/api/v1`),
    line('API docs', `${stack.api_url}/docs`),
    ...(agents > 0 ? [line('Agents', `${agents} on this machine, swarm controller at ${stack.swarm_url}`)] : []),
    line('Temporal UI', stack.temporal_ui_url ?? `that of ${stack.temporal_address}`),
    line('NATS', stack.nats_url),
    line('Docker', stack.docker_host ?? 'none'),
    line('Admin', facts.newPassword ? `${username}, password ${facts.newPassword} (shown this once)` : username),
    line('Logs', facts.logs),
    ...notes(facts).map((note) => line('', note).trimEnd()),
  ];
}

// One line per part

const WIDTH = 10;

// A pipe gets plain text, on CI too: picocolors takes the variable CI for a terminal.
const { bold } = pc.createColors(pc.isColorSupported && process.stdout.isTTY === true);

export const sayFor =
  (part: string) =>
  (line: string): void => {
    console.log(`${bold(part.padEnd(WIDTH))} ${line}`);
  };

/** Yes at once with --yes, or where there is no terminal to ask on. */
export async function confirm(question: string, assumeYes: boolean): Promise<boolean> {
  if (assumeYes || !process.stdin.isTTY || !process.stdout.isTTY) return true;
  const asked = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return /^y(es)?$/i.test((await asked.question(`${question} [y/N] `)).trim());
  } finally {
    asked.close();
  }
}
