/** The stream of events on NATS: found or made, as large as there is room, and never one of somebody else. */
import { type JetStreamManager, jetstreamManager, type StreamConfig } from '@nats-io/jetstream';
import { type NatsConnection, nanos } from '@nats-io/transport-node';
import { EVENT_STREAM, EVENT_SUBJECTS } from '../../fleet/lifecycle.ts';
import { apiCode, isTooLittle, StreamTaken } from './refusals.ts';

const HOUR_MS = 3_600_000;
/** Kept: 7 days or 1 GiB; repeats of a message id are dropped for 24 h. */
const STREAM = {
  name: EVENT_STREAM,
  subjects: [EVENT_SUBJECTS],
  max_age: nanos(7 * 24 * HOUR_MS),
  max_bytes: 1024 ** 3,
  duplicate_window: nanos(24 * HOUR_MS),
};
const LEAST_BYTES = 64 * 1024 ** 2;
const ANSWER_MS = 3_000;

/** NATS's codes: https://github.com/nats-io/nats-server/blob/main/server/errors.json */
const NO_STREAM = 10_059;
const NAME_IN_USE = 10_058;
const SUBJECTS_OVERLAP = 10_065;

export type EventStreamConfig = Pick<StreamConfig, 'max_bytes'>;

const managerOf = (nc: NatsConnection, checkAPI = true): Promise<JetStreamManager> =>
  jetstreamManager(nc, { timeout: ANSWER_MS, checkAPI });

/** Null where there is none. Throws StreamTaken where its subjects are not the events'. */
async function findStream(manager: JetStreamManager): Promise<EventStreamConfig | null> {
  try {
    const { config } = await manager.streams.info(EVENT_STREAM);
    const subjects = config.subjects ?? [];
    if (subjects.length === 1 && subjects[0] === EVENT_SUBJECTS) return config;
    const has = subjects.length === 0 ? 'no subjects' : `the subjects ${subjects.join(', ')}`;
    throw new StreamTaken(`its stream ${EVENT_STREAM} has ${has} instead of ${EVENT_SUBJECTS}`);
  } catch (error) {
    if (apiCode(error) === NO_STREAM) return null;
    throw error;
  }
}

/** A stream takes a subject for itself, so the events' can’t be in two. */
async function overlapping(manager: JetStreamManager): Promise<string[]> {
  const names: string[] = [];
  for await (const name of manager.streams.names(EVENT_SUBJECTS)) names.push(name);
  return names.filter((name) => name !== EVENT_STREAM);
}

const overlapSentence = (names: readonly string[]): string =>
  names.length === 0
    ? `another stream has subjects of ${EVENT_SUBJECTS}`
    : `its stream ${names.join(', ')} has subjects of ${EVENT_SUBJECTS}`;

/** Halves the stream until NATS has room for it. Throws what NATS says where there is too little for the least one. */
async function addStream(manager: JetStreamManager, name: string, subjects: string[]): Promise<EventStreamConfig> {
  for (let bytes = STREAM.max_bytes; ; bytes /= 2)
    try {
      return (await manager.streams.add({ ...STREAM, name, subjects, max_bytes: bytes })).config;
    } catch (error) {
      if (!isTooLittle(error) || bytes / 2 < LEAST_BYTES) throw error;
    }
}

/** Makes the stream where there is none: a smaller one where NATS has too little room. */
export async function ensureStream(nc: NatsConnection): Promise<EventStreamConfig> {
  const manager = await managerOf(nc);
  const found = await findStream(manager);
  if (found) return found;
  try {
    return await addStream(manager, EVENT_STREAM, STREAM.subjects);
  } catch (error) {
    if (apiCode(error) === SUBJECTS_OVERLAP) throw new StreamTaken(overlapSentence(await overlapping(manager)));
    // The API and a worker make it at the same time, and the other one’s has another size.
    const others = apiCode(error) === NAME_IN_USE ? await findStream(manager) : null;
    if (others) return others;
    throw error;
  }
}

/** Throws where the stream is gone, or was replaced by another one, since it was ensured. */
export async function checkStream(nc: NatsConnection): Promise<void> {
  if (!(await findStream(await managerOf(nc, false)))) throw new Error(`the stream ${EVENT_STREAM} is gone`);
}

/** Whether the stream is there or could be made; changes nothing: what is made for the trial is removed again. */
export async function tryStream(nc: NatsConnection): Promise<{ exists: boolean; config: EventStreamConfig }> {
  const manager = await managerOf(nc);
  const found = await findStream(manager);
  if (found) return { exists: true, config: found };
  const others = await overlapping(manager);
  if (others.length > 0) throw new StreamTaken(overlapSentence(others));
  const name = `${EVENT_STREAM}_TRIAL_${process.pid}`;
  const config = await addStream(manager, name, [name]);
  await manager.streams.delete(name);
  return { exists: false, config };
}

/** What an operator should know of a stream that is smaller than usual; null for all others. */
export function smallerStream({ max_bytes: bytes }: EventStreamConfig): string | null {
  if (bytes <= 0 || bytes >= STREAM.max_bytes) return null;
  const kept = `${Math.round(bytes / 1024 ** 2)} MiB of events instead of ${STREAM.max_bytes / 1024 ** 3} GiB`;
  return `The stream ${EVENT_STREAM} keeps ${kept}, since NATS has no room for more. Older events go sooner.`;
}

/** How to have the usual size after all. */
export const LARGER_STREAM = `Give NATS more storage (max_file_store, or disk), then: nats stream edit ${EVENT_STREAM} --max-bytes 1GiB`;
