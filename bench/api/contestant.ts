/** Who answers polls, and how one is measured. */
import { z } from 'zod';
import { between, type Named, usesOf } from '../swarm/usage.ts';
import { type Polls, pollFor } from './polls.ts';

/** Ids in one poll, the most that both take. */
export const IDS = 200;
const WARM_UP_SECONDS = 2;

export const USER = 'admin';

export type Rows = 'all ended' | 'all running';
export const ROWS: readonly Rows[] = ['all ended', 'all running'];

export interface Contestant {
  readonly name: 'Deckhand' | 'DECNET';
  /** With the prefix of the API. */
  readonly url: string;
  readonly password: string;
  readonly process: Named;
  /** Null where the database is part of the process. */
  readonly database: Named | null;
  readonly ids: Readonly<Record<Rows, readonly string[]>>;
  stop(): Promise<void>;
}

export interface Line extends Polls {
  readonly name: Contestant['name'];
  readonly rows: Rows;
  /** CPU milliseconds of a poll. */
  readonly processMs: number;
  /** Of the database's processes; null where there are none. */
  readonly databaseMs: number | null;
}

const token = z.object({ access_token: z.string() });

async function logIn({ url, password }: Contestant): Promise<string> {
  const answer = await fetch(`${url}/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: USER, password }),
  });
  return token.parse(await answer.json()).access_token;
}

export async function measure(contestant: Contestant, clients: number, seconds: number): Promise<Line[]> {
  const bearer = await logIn(contestant);
  const { name, process, database } = contestant;
  const processes = [process, ...(database ? [database] : [])];
  const lines: Line[] = [];
  for (const rows of ROWS) {
    const url = new URL(
      `${contestant.url}/deckies/lifecycle?${contestant.ids[rows].map((id) => `ids=${id}`).join('&')}`,
    );
    await pollFor(url, bearer, clients, WARM_UP_SECONDS);
    const before = usesOf(processes);
    const polls = await pollFor(url, bearer, clients, seconds);
    const used = between(before, usesOf(processes));
    const msOf = (of: Named): number => ((used[of.name]?.cpuSeconds ?? Number.NaN) * 1_000) / polls.answered;
    lines.push({ ...polls, name, rows, processMs: msOf(process), databaseMs: database ? msOf(database) : null });
  }
  return lines;
}
