/** Clients that poll as fast as they are answered, each on a connection of its own that is kept. */
import { Agent, request } from 'node:http';

export interface Polls {
  readonly answered: number;
  readonly seconds: number;
  /** Milliseconds. */
  readonly median: number;
  readonly p99: number;
  /** What each poll took, to a hundredth, sorted. */
  readonly times: readonly number[];
}

/** One poll; the answer is read to its end and not parsed, so that the clients cost little. */
function poll(agent: Agent, url: URL, bearer: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { agent, headers: { authorization: `Bearer ${bearer}` } }, (response) => {
      response.once('error', reject);
      response.once('end', () => resolve(response.statusCode ?? 0));
      response.resume();
    });
    asked.once('error', reject);
    asked.end();
  });
}

/** Throws at the first answer that is not 200. */
export async function pollFor(url: URL, bearer: string, clients: number, seconds: number): Promise<Polls> {
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const times: number[] = [];
  const began = performance.now();
  const end = began + seconds * 1_000;
  const client = async (): Promise<void> => {
    while (performance.now() < end) {
      const asked = performance.now();
      const status = await poll(agent, url, bearer);
      if (status !== 200) throw new Error(`A poll was answered ${status}.`);
      times.push(performance.now() - asked);
    }
  };
  try {
    await Promise.all(Array.from({ length: clients }, client));
  } finally {
    agent.destroy();
  }
  const took = (performance.now() - began) / 1_000;
  times.sort((left, right) => left - right);
  const at = (share: number): number => times[Math.floor(times.length * share)] ?? Number.NaN;
  const rounded = times.map((time) => Math.round(time * 100) / 100);
  return { answered: times.length, seconds: took, median: at(0.5), p99: at(0.99), times: rounded };
}
