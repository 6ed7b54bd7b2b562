/** Heartbeats as fast as they are answered: agents of twenty deckies each, one request at a time on a connection of its own. */
import { startDeckhand } from './deckhand.ts';
import { startController } from './decnet/peer.ts';
import type { SwarmOptions } from './options.ts';
import { type Scene, startAgents } from './scene.ts';
import { between, type Named, usesOf } from './usage.ts';

const HOSTS = 20;
export const BEAT_DECKIES = 20;
const WARM_UP_MS = 1_000;

export interface BeatRate {
  readonly who: 'Deckhand' | 'DECNET';
  readonly changed: boolean;
  readonly perSecond: number;
  /** Of the process that takes them in. */
  readonly perCpuSecond: number;
  /** With PostgreSQL's, where there is one. */
  readonly perCpuSecondWithDatabase: number;
  readonly outcomes: Readonly<Record<string, number>>;
}

interface Target {
  readonly who: BeatRate['who'];
  readonly process: Named;
  readonly database: Named | null;
  readonly agents: Awaited<ReturnType<typeof startAgents>>;
}

async function rate({ who, process, database, agents }: Target, ms: number, changed: boolean): Promise<BeatRate> {
  await agents.beat(HOSTS, WARM_UP_MS, changed);
  const processes = [process, ...(database ? [database] : [])];
  const before = usesOf(processes);
  const { outcomes, seconds } = await agents.beat(HOSTS, ms, changed);
  const uses = between(before, usesOf(processes));
  const own = uses[process.name]?.cpuSeconds ?? 0;
  const all = Object.values(uses).reduce((sum, use) => sum + use.cpuSeconds, 0);
  const taken = outcomes['204'] ?? 0;
  return {
    who,
    changed,
    perSecond: taken / seconds,
    perCpuSecond: taken / own,
    perCpuSecondWithDatabase: taken / all,
    outcomes,
  };
}

export async function playHeartbeats(
  scene: Scene,
  python: string | null,
  { beatMs, contestants }: SwarmOptions,
  say: (text: string) => void,
): Promise<BeatRate[]> {
  say('heartbeats');
  const rates: BeatRate[] = [];
  const postgres = scene.serverProcesses.find(({ name }) => name === 'postgres') ?? null;
  if (contestants.includes('Deckhand')) {
    const deckhand = await startDeckhand(scene, HOSTS);
    try {
      const { agents } = deckhand;
      await agents.pretend(BEAT_DECKIES);
      const target: Target = {
        who: 'Deckhand',
        process: { name: 'api', pid: deckhand.apiPid },
        database: postgres,
        agents,
      };
      for (const changed of [false, true]) rates.push(await rate(target, beatMs, changed));
    } catch (error) {
      say(deckhand.lastWords());
      throw error;
    } finally {
      await deckhand.stop();
    }
  }
  if (python && contestants.includes('DECNET')) rates.push(...(await ofDecnet(scene, python, beatMs)));
  return rates;
}

async function ofDecnet(scene: Scene, python: string, ms: number): Promise<BeatRate[]> {
  const controller = await startController(scene, python, scene.hosts.slice(0, HOSTS));
  const agents = await startAgents(scene, HOSTS);
  try {
    await agents.reportTo(controller.url);
    await agents.pretend(BEAT_DECKIES);
    const target: Target = { who: 'DECNET', process: { name: 'decnet', pid: controller.pid }, database: null, agents };
    return [await rate(target, ms, false), await rate(target, ms, true)];
  } finally {
    await agents.stop();
    await controller.stop();
  }
}
