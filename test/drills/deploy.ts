/** A deploy of a drill: eight deckies of two services each, asked for as a careful client does, followed in PostgreSQL. */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { ApiRefusal, ApiUnreachable } from '../../cli/api-client.ts';
import type { DrillStack } from './drill-stack.ts';
import type { SeenRow } from './judge.ts';

const AMOUNT = 8;
const SERVICES = ['ssh', 'redis'] as const;
/** A request that nobody accepted is withdrawn by the sweep after two minutes at the latest; then its key is free. */
const ANSWER_MS = 210_000;
const RETRY_MS = 500;
/** From the answer to the last row's end; a killed worker costs ten seconds, a lost workflow two turns of the sweep. */
const ROWS_MS = 180_000;

export interface DrillFleet {
  readonly names: readonly string[];
  /** Of all their containers. */
  readonly containers: readonly string[];
  readonly ini: string;
}

/** `label` makes the names unique among all rounds of a stack. */
export function fleetOf(stack: { readonly id: string }, label: string): DrillFleet {
  const section = `${stack.id}-${label}`;
  const names = Array.from({ length: AMOUNT }, (_, index) => `${section}-${String(index + 1).padStart(2, '0')}`);
  return {
    names,
    containers: containersOf(names),
    ini: `[${section}]\nservices = ${SERVICES.join(',')}\namount = ${AMOUNT}\n`,
  };
}

export const containersOf = (names: readonly string[]): readonly string[] =>
  names.flatMap((name) => [name, ...SERVICES.map((service) => `${name}-${service}`)]);

export interface Accepted {
  readonly ids: readonly string[];
  /** Answers that were lost or "try again", before the one that counted. */
  readonly lost: number;
}

/** Sends the deploy until it is answered, under one Idempotency-Key. */
export async function deploy(stack: DrillStack, fleet: DrillFleet, minHealthyTime = '3s'): Promise<Accepted> {
  const body = { ini_content: fleet.ini, replace_fleet: false, min_healthy_time: minHealthyTime };
  const key = randomUUID();
  const until = Date.now() + ANSWER_MS;
  for (let lost = 0; ; lost += 1) {
    try {
      return { ids: (await stack.master.deploy(body, key)).lifecycle_ids, lost };
    } catch (error) {
      if (!(error instanceof ApiUnreachable) || Date.now() > until) throw error;
      await pause(RETRY_MS);
    }
  }
}

export const deployRows = (stack: DrillStack, names: readonly string[]): Promise<SeenRow[]> =>
  stack.sql<SeenRow[]>`
    select id, decky_name, status, error from decky_lifecycle
    where decky_name = any(${[...names]}) and operation = 'deploy' order by decky_name, started_at`;

/** Resolves when no row of these deckies is open; throws, naming those that are, when that takes too long. */
export async function untilEnded(stack: DrillStack, names: readonly string[], limitMs = ROWS_MS): Promise<void> {
  const until = Date.now() + limitMs;
  for (;;) {
    const open = await stack.sql<{ decky_name: string; operation: string; status: string }[]>`
      select decky_name, operation, status from decky_lifecycle
      where decky_name = any(${[...names]}) and status in ('pending', 'running')`;
    if (open.length === 0) return;
    if (Date.now() > until) {
      const rows = open.map((row) => `${row.decky_name} (${row.operation} ${row.status})`);
      throw new Error(`open after ${limitMs / 1000} s: ${rows.join(', ')}`);
    }
    await pause(100);
  }
}

/** Takes the deckies down; resolves when their rows have ended, and the engine is tidy, which comes after the row. */
export async function takeDown(stack: DrillStack, names: readonly string[]): Promise<void> {
  await Promise.all(names.map((name) => requestTeardown(stack, name)));
  await untilEnded(stack, names);
  await untilTidy(stack, names);
}

async function untilTidy(stack: DrillStack, names: readonly string[]): Promise<void> {
  for (const until = Date.now() + ROWS_MS; ; await pause(100)) {
    const open = await stack.sql<{ workflow_id: string }[]>`
      select workflow_id from deployments
      where kind = 'teardown' and state = 'accepted' and ended_at is null and request->>'decky_name' = any(${[...names]})`;
    if (open.length === 0) return;
    if (Date.now() > until) throw new Error(`not ended after ${ROWS_MS / 1000} s: ${open[0]?.workflow_id}`);
  }
}

async function requestTeardown(stack: DrillStack, name: string): Promise<void> {
  for (const until = Date.now() + ANSWER_MS; ; await pause(RETRY_MS)) {
    try {
      await stack.master.teardown(name);
      return;
    } catch (error) {
      // Not there, or being taken down already: an earlier question was heard.
      if (error instanceof ApiRefusal && [404, 409].includes(error.status)) return;
      if (!(error instanceof ApiUnreachable) || Date.now() > until) throw error;
    }
  }
}
