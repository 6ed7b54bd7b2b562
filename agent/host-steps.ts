/** Steps on the engine of the host as a whole, which all kinds of orders share. */
import type { DesiredDecky } from '../fleet/config.ts';
import { type Patience, patiently } from './patience.ts';
import { type Job, onRetry, specOf, WHOLE_ENGINE } from './workbench.ts';

export const patience = (job: Job, progressDeadlineMs: number): Patience => ({
  progressDeadlineMs,
  signal: job.signal,
  cut: job.cut,
  onStep: (text: string): void => void job.bench.steps.set(WHOLE_ENGINE, text),
  onRetry: onRetry(job),
});

/** Deckies that have containers, or should have. An engine that does not answer is left to the work on each decky. */
export async function presentDeckies(job: Job, progressDeadlineMs: number): Promise<string[]> {
  const { bench } = job;
  const known = Object.entries(bench.store.state.deckies).flatMap(([name, { desired, established }]) =>
    desired || established ? [name] : [],
  );
  try {
    const seen = await patiently((_, signal) => bench.local.engine.deckies(signal), patience(job, progressDeadlineMs));
    return [...new Set([...seen, ...known])];
  } catch {
    job.signal.throwIfAborted();
    return known;
  } finally {
    bench.steps.delete(WHOLE_ENGINE);
  }
}

/** The compose file of what should run. A decky that can't be described is missing there, and fails on its own. */
export async function writeDocument({ bench }: Job): Promise<number> {
  const wanted = Object.values(bench.store.state.deckies).flatMap(({ desired }) => desired ?? []);
  const describable = wanted.filter((decky) => isDescribable(bench, decky));
  await bench.local.engine.writeDocument(bench.local.resolve(describable).document);
  return describable.length;
}

/** As {@link writeDocument}; a disk that is full is waited for. */
export const writeDocumentPatiently = (job: Job, progressDeadlineMs: number): Promise<number> =>
  patiently(() => writeDocument(job), patience(job, progressDeadlineMs)).finally(() =>
    job.bench.steps.delete(WHOLE_ENGINE),
  );

export function isDescribable(bench: Job['bench'], decky: DesiredDecky): boolean {
  try {
    specOf(bench, decky);
    return true;
  } catch {
    return false;
  }
}

/** After the work: the file says what was kept, and a network that nobody needs goes. A failure here fails no decky. */
export async function tidy(job: Job): Promise<void> {
  const { bench, signal } = job;
  try {
    if ((await writeDocument(job)) > 0 || !(await bench.local.engine.removeNetworkIfUnused(signal))) return;
    await bench.store.record((state) => {
      state.network = null;
    });
  } catch (error) {
    signal.throwIfAborted();
    bench.logger.warn({ err: error }, 'could not tidy up');
  }
}
