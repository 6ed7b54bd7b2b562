/** Whether deckies that are shown as running answer on their ports, as an intruder would find them. */
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { ApiUnreachable } from '../../cli/api-client.ts';
import type { FleetDecky } from '../../cli/master.ts';
import type { DrillStack } from './drill-stack.ts';

/** Ports of the services of a drill's fleet, and what a client sends first. */
const PORTS = [
  { port: 22, greeting: '' },
  { port: 6379, greeting: 'PING\r\n' },
] as const;
const CONNECT_MS = 3_000;
/** A look puts right what it finds, once a minute. */
const PUT_RIGHT_MS = 150_000;
/** A peer that hangs costs others at most 30 s; the rest is for a slow machine. */
const API_MS = 45_000;

/** Resolves to whether the first bytes of an answer come. */
export function answers(address: string, port: number, greeting: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port, timeout: CONNECT_MS });
    const end = (heard: boolean): void => {
      socket.destroy();
      resolve(heard);
    };
    socket.once('connect', () => socket.write(greeting));
    socket.once('data', () => end(true));
    for (const event of ['timeout', 'error', 'close'] as const) socket.once(event, () => end(false));
  });
}

/** Sentences on deckies that are shown as running and do not answer; they have the time of two looks for it. */
export async function judgeAnswers(stack: DrillStack, names: readonly string[]): Promise<string[]> {
  for (const until = Date.now() + PUT_RIGHT_MS; ; await pause(1_000)) {
    const deckies = await shownDeckies(stack);
    const deaf = await Promise.all(deckies.filter((decky) => isShownRunning(decky, names)).map(silentPorts));
    const problems = deaf.flat();
    if (problems.length === 0 || Date.now() > until) return problems;
  }
}

async function shownDeckies(stack: DrillStack): Promise<readonly FleetDecky[]> {
  for (const until = Date.now() + API_MS; ; await pause(200)) {
    try {
      return (await stack.master.fleet()).deckies;
    } catch (error) {
      if (!(error instanceof ApiUnreachable) || Date.now() > until) throw error;
    }
  }
}

const isShownRunning = ({ name, state }: FleetDecky, names: readonly string[]): boolean =>
  names.includes(name) && state === 'running';

async function silentPorts({ name, ip }: FleetDecky): Promise<string[]> {
  const heard = await Promise.all(PORTS.map(({ port, greeting }) => answers(ip, port, greeting)));
  return PORTS.filter((_, index) => !heard[index]).map(
    ({ port }) => `${name} is shown as running, and ${ip}:${port} does not answer`,
  );
}
