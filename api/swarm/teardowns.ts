/** Teardowns of what the fleet has on a host: operations of ours, with a row for each decky (docs/operations.md). */
import type { Host } from '../../adapters/postgres/hosts.ts';
import { STATUS } from '../../fleet/lifecycle.ts';
import type { RolloutOptions } from '../../fleet/limits.ts';
import type { SwarmPorts } from './ports.ts';

/** How long an answer of 8770 waits for the rows: longer than a lost host takes to be given up. */
const WAIT_MS = 130_000;

export interface AskedTeardown {
  readonly host: Host;
  /** Null: all that the fleet has there. */
  readonly deckyId: string | null;
  readonly username: string;
  /** The request's own. */
  readonly options?: Partial<RolloutOptions>;
}

/** The ids of the rows; none where the fleet has nothing of it on the host. Throws what refuses it, DeckyBusy for one. */
export async function acceptTeardown(ports: SwarmPorts, asked: AskedTeardown): Promise<string[]> {
  const { operations, lifecycle, reports } = ports;
  const { host, deckyId, username } = asked;
  const options = { ...ports.rollout, ...asked.options };
  const members = await reports.members(host.uuid);
  if (deckyId !== null) {
    if (!members.includes(deckyId)) return [];
    return [(await operations.teardown({ username, decky_name: deckyId, options })).lifecycle_id];
  }
  if (members.length === 0) return [];
  const request = { host_uuid: host.uuid, owed: false };
  const accepted = await operations.operate({ username, kind: 'teardown', request, options });
  return [...new Set([...accepted.removed_lifecycle_ids, ...(await lifecycle.openTeardowns(host.uuid))])];
}

/** Null: all of them are down; else a sentence of what is not. */
export async function whatIsLeft(
  { operations, lifecycle }: SwarmPorts,
  ids: readonly string[],
): Promise<string | null> {
  await operations.waitForRows(ids, WAIT_MS);
  const left = (await lifecycle.byIds(ids)).filter((row) => row.status !== STATUS.succeeded);
  if (left.length === 0) return null;
  const phrases = left.map((row) => `${row.decky_name}: ${row.error ?? 'its teardown goes on'}`);
  return phrases.join('\n').slice(0, 4_000);
}
