/** Many agents push all their deltas at the same moment, one try each: what is lost, and what becomes of its rows. */
import { setTimeout as sleep } from 'node:timers/promises';
import { startDeckhand } from './deckhand.ts';
import type { SwarmOptions } from './options.ts';
import { type Scene, until } from './scene.ts';
import { between, type Uses, usesOf } from './usage.ts';

const DECKIES = 50;
/** As the issue has it: what an agent of DECNET grants its master. */
const LIMITS = { connectMs: 5_000, answerMs: 10_000 } as const;
/** What was lost is found out by asking (in less than two minutes). */
const SETTLE_MS = 120_000;
const ORDERS_MS = 120_000;

export interface Burst {
  readonly hosts: number;
  readonly deckies: number;
  /** How the pushes ended. */
  readonly outcomes: Readonly<Record<string, number>>;
  readonly pushSeconds: number;
  /** When the last push had ended one way or the other, and a second later. */
  readonly openAfterPush: number;
  /** Rows that were still open {@link SETTLE_MS} later. */
  readonly openAtEnd: number;
  /** From the push to the last row's end; null when some stayed open. */
  readonly settledSeconds: number | null;
  readonly uses: Uses;
}

export async function playBurst(scene: Scene, options: SwarmOptions, say: (text: string) => void): Promise<Burst> {
  const hosts = options.burstHosts;
  say(`burst of ${hosts} agents`);
  const deckhand = await startDeckhand(scene, hosts, 'hold');
  try {
    const { agents } = deckhand;
    await deckhand.deploy({ hosts, deckies: DECKIES });
    const ordered = await until(async () => (await agents.counts()).orders === hosts, ORDERS_MS, 200);
    if (!ordered) throw new Error('Not every agent got its order.');
    await sleep(2_000);
    const before = usesOf(deckhand.processes);
    const begun = performance.now();
    const { outcomes, seconds } = await agents.push(LIMITS);
    await sleep(1_000);
    const openAfterPush = await deckhand.openRows();
    const settled = await until(async () => (await deckhand.openRows()) === 0, SETTLE_MS, 200);
    return {
      hosts,
      deckies: DECKIES,
      outcomes,
      pushSeconds: seconds,
      openAfterPush,
      openAtEnd: await deckhand.openRows(),
      settledSeconds: settled ? (performance.now() - begun) / 1_000 : null,
      uses: between(before, usesOf(deckhand.processes)),
    };
  } catch (error) {
    say(deckhand.lastWords());
    throw error;
  } finally {
    await deckhand.stop();
  }
}
