/** What is measured, in rounds: every column in every round, the order turned by one each time. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { BareAccept } from './bare-accept/peer.ts';
import type { BareEngine, Decky } from './bare-engine.ts';
import type { ComposePeer } from './compose-peer.ts';
import type { DeckhandClient } from './deckhand-client.ts';
import { measure, type Sample } from './measure.ts';

export const COLUMNS = [
  'deploy: Deckhand',
  'deploy: bare engine calls',
  'deploy: docker compose up',
  'again: Deckhand',
  'again: docker compose up',
  'accept: Deckhand (202)',
  'accept: bare update, activity',
  'accept: bare update, local activity',
] as const;
export type Column = (typeof COLUMNS)[number];

/** 10 deckies of 2 services each: 30 containers. */
export const FLEET = '[decoy]\namount = 10\nservices = http,ssh\n';
const single = (name: string): string => `[${name}]\nservices = ssh\n`;

/**
 * Thirty programs in containers that were just started take the processor for a while, and the workflow and the bus end behind
 * their rows: neither is the next one's business. The same pause for every column.
 */
const SETTLE_MS = 2_000;
/** The same after one decky of one service. */
const SETTLE_ONE_MS = 1_000;
/** It takes a tenth of a deploy, so it is looked at more often; in a long run such polling would take CPU from the engine. */
const AGAIN_POLL_MS = 10;

export interface Scene {
  readonly deckhand: DeckhandClient;
  readonly workerPid: () => number;
  readonly engine: BareEngine;
  readonly deckies: readonly Decky[];
  readonly compose: ComposePeer | null;
  readonly bareAccept: BareAccept;
  /** What all columns' containers carry. */
  readonly label: string;
}

export type Note = (column: Column, sample: Sample) => void;

async function throughDeckhand(scene: Scene, note: Note): Promise<void> {
  const { deckhand, engine, label } = scene;
  const worker = { pid: scene.workerPid() };
  note('deploy: Deckhand', await measure(worker, () => deckhand.deploy(FLEET, true)));
  await sleep(SETTLE_MS);
  note('again: Deckhand', await measure(worker, () => deckhand.deploy(FLEET, true, AGAIN_POLL_MS)));
  await deckhand.teardown();
  await engine.assertClear(label);
}

async function byBareCalls({ engine, deckies, label }: Scene, note: Note): Promise<void> {
  note('deploy: bare engine calls', await measure('self', () => engine.up(deckies)));
  await engine.clear(label);
}

async function byCompose({ compose, engine, label }: Scene, note: Note): Promise<void> {
  if (!compose) return;
  note('deploy: docker compose up', await measure('children', () => compose.up()));
  await sleep(SETTLE_MS);
  note('again: docker compose up', await measure('children', () => compose.up()));
  await engine.clear(label);
}

/** One request at a time, the order turned each time; a deploy that was accepted has ended before the next is sent. */
async function accepting(scene: Scene, count: number, round: number, note: Note): Promise<void> {
  const { deckhand, bareAccept, engine, label } = scene;
  const [worker, bareWorker] = [{ pid: scene.workerPid() }, { pid: bareAccept.pid }];
  const throughApi = async (index: number): Promise<void> => {
    let ids: readonly string[] = [];
    const sample = await measure(worker, async () => {
      ids = await deckhand.accept(single(`one-${round}-${index}`), false);
    });
    note('accept: Deckhand (202)', sample);
    await deckhand.succeeded(ids);
  };
  const bare = async (local: boolean): Promise<void> =>
    note(
      local ? 'accept: bare update, local activity' : 'accept: bare update, activity',
      await measure(bareWorker, () => bareAccept.accept(local)),
    );
  const kinds = [throughApi, () => bare(false), () => bare(true)];
  for (let index = 0; index < count; index += 1)
    for (let turn = 0; turn < kinds.length; turn += 1) {
      await kinds[(turn + index) % kinds.length]?.(index);
      await sleep(SETTLE_ONE_MS);
    }
  await deckhand.teardown();
  await engine.assertClear(label);
}

/** Round 0 is the warm-up: its samples are for nobody. */
export async function playRound(scene: Scene, round: number, accepts: number, note: Note): Promise<void> {
  const parts = [throughDeckhand, byBareCalls, byCompose];
  for (let turn = 0; turn < parts.length; turn += 1) {
    await parts[(turn + round) % parts.length]?.(scene, note);
    await sleep(SETTLE_MS);
  }
  await accepting(scene, accepts, round, note);
}
