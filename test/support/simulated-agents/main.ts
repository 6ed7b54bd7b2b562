/** One process that is many simulated agents: real TLS, real heartbeats, no containers. See protocol.ts. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { SimulatedAgent } from './agent.ts';
import type { Answers, Command, Limits, Line, Ready, Setup } from './protocol.ts';
import { AGENT_LIMITS, type Outcome } from './reporter.ts';

/** Nothing that this process does takes longer; a parent that forgot it doesn't keep it alive. */
const LIFETIME_MS = 60 * 60_000;
const MOST_AGENTS = 1_000;
const say = (line: Line): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`);
};

class Tally {
  readonly outcomes: Record<string, number> = {};
  readonly note = (outcome: Outcome): void => {
    this.outcomes[outcome] = (this.outcomes[outcome] ?? 0) + 1;
  };
}

class Crowd {
  readonly #agents: readonly SimulatedAgent[];
  readonly #reports = new Tally();
  readonly #heartbeatMs: number;

  constructor(setup: Setup) {
    const ca = readFileSync(join(setup.directory, 'ca.crt'), 'utf8');
    const pace = { answerMs: setup.answerMs ?? 0, workMs: setup.workMs ?? 0 };
    this.#heartbeatMs = setup.heartbeatMs ?? 0;
    this.#agents = setup.agents.slice(0, MOST_AGENTS).map((agent) => {
      const file = (name: string): string => readFileSync(join(setup.directory, agent.hostUuid, name), 'utf8');
      const credentials = { ca, cert: file('worker.crt'), key: file('worker.key') };
      return new SimulatedAgent(agent, credentials, pace, this.#reports.note);
    });
  }

  async start(): Promise<Ready> {
    const ports = await Promise.all(
      this.#agents.map(async (agent): Promise<[string, number]> => [agent.hostUuid, await agent.listen()]),
    );
    if (this.#heartbeatMs > 0) for (const agent of this.#agents) void this.#beatForEver(agent);
    return { ports: Object.fromEntries(ports) };
  }

  stop(): void {
    for (const agent of this.#agents) agent.stop();
  }

  /** The first one comes at a moment of its own. */
  async #beatForEver(agent: SimulatedAgent): Promise<never> {
    await sleep(Math.random() * this.#heartbeatMs);
    for (;;) {
      await agent.beat();
      await sleep(this.#heartbeatMs);
    }
  }

  async obey(command: Command): Promise<Answers[keyof Answers]> {
    switch (command.do) {
      case 'report-to':
        for (const agent of this.#agents) agent.reporter.reportTo(command.url);
        return {};
      case 'drop':
        for (const agent of this.#agents) agent.drop();
        return {};
      case 'pretend':
        for (const agent of this.#agents) agent.deckies.pretend(agent.name, command.deckies);
        return {};
      case 'push':
        return this.#push(command.limits);
      case 'beat':
        return this.#beat(this.#agents.slice(0, command.agents), command.ms, command.changed);
      case 'counts':
        return {
          orders: this.#agents.reduce((sum, agent) => sum + agent.orders, 0),
          reports: { ...this.#reports.outcomes },
        };
    }
  }

  async #push(limits: Limits): Promise<Answers['push']> {
    const { outcomes, note } = new Tally();
    const begun = performance.now();
    await Promise.all(
      this.#agents.map(async (agent) => {
        const outcome = await agent.push(limits);
        if (outcome !== null) note(outcome);
      }),
    );
    return { outcomes, seconds: (performance.now() - begun) / 1_000 };
  }

  async #beat(agents: readonly SimulatedAgent[], ms: number, changed: boolean): Promise<Answers['beat']> {
    const { outcomes, note } = new Tally();
    const begun = performance.now();
    await Promise.all(
      agents.map(async (agent) => {
        let body = agent.heartbeat();
        while (performance.now() - begun < ms) {
          if (changed) {
            agent.deckies.change();
            body = agent.heartbeat();
          }
          note((await agent.reporter.post(body, AGENT_LIMITS)).outcome);
        }
      }),
    );
    return { outcomes, seconds: (performance.now() - begun) / 1_000 };
  }
}

async function main(): Promise<void> {
  setTimeout(() => process.exit(3), LIFETIME_MS).unref();
  let crowd: Crowd | null = null;
  for await (const line of createInterface({ input: process.stdin })) {
    try {
      if (crowd) say({ answer: await crowd.obey(JSON.parse(line) as Command) });
      else {
        crowd = new Crowd(JSON.parse(line) as Setup);
        say({ ready: await crowd.start() });
      }
    } catch (error) {
      say({ failure: (error as Error).stack ?? String(error) });
    }
  }
  crowd?.stop();
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
