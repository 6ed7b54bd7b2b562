/** The readers' own process, on the processors of the deploy: what they cost counts, although readers are on other machines. */
import type { Operator } from '../swarm/deckhand.ts';
import { until } from '../swarm/scene.ts';
import { problemsOf, Reader } from './readers.ts';

export interface OpenReaders {
  readonly operator: Operator;
  readonly count: number;
}
export interface JudgeReaders {
  /** Events that each has to get. */
  readonly expected: number;
}
export interface Judged {
  readonly problems: readonly string[];
}

const ARRIVAL_MS = 30_000;
/** All has come when nothing came for as long. */
const SILENCE_MS = 1_000;

let readers: readonly Reader[] = [];

async function answer(message: OpenReaders | JudgeReaders): Promise<Judged> {
  if ('count' in message) {
    readers = await Promise.all(Array.from({ length: message.count }, () => Reader.open(message.operator)));
    return { problems: [] };
  }
  const { expected } = message;
  let before = -1;
  const silent = async (): Promise<boolean> => {
    const now = readers.reduce((sum, { bytesRead }) => sum + bytesRead, 0);
    const same = now === before;
    before = now;
    return same;
  };
  await until(silent, ARRIVAL_MS, SILENCE_MS);
  const problems = problemsOf(readers, expected);
  for (const reader of readers) reader.close();
  return { problems };
}

process.on('message', (message: OpenReaders | JudgeReaders) => {
  void answer(message).then((judged) => process.send?.(judged));
});
