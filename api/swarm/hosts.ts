/** Looking at hosts and letting them go (docs/wire.md#the-swarm-controller). */
import type { Context } from 'hono';
import { HOST_STATUS, type HostStatus } from '../../adapters/postgres/hosts.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import type { ApiEnv } from '../environment.ts';
import type { ControllerDependencies, SwarmPorts } from './ports.ts';
import { agentAddress, hostView } from './views.ts';

export const HOST_NOT_FOUND = 'host not found';

const SELF_DESTRUCT_LIMIT_MS = 8_000;

/** Null: all of them; undefined: no host has such a status. */
export function statusFilter(text: string | undefined): HostStatus | null | undefined {
  if (text === undefined) return null;
  return Object.values(HOST_STATUS).find((status) => status === text);
}

export const listHosts = ({ hosts }: ControllerDependencies) =>
  async function listHosts(c: Context<ApiEnv>): Promise<Response> {
    const status = statusFilter(c.req.query('host_status'));
    if (status === undefined) return c.json([]);
    return c.json((await hosts.list(status === null ? {} : { status })).map(hostView));
  };

const uuidOf = (c: Context<ApiEnv>): string => {
  const uuid = c.req.param('uuid') ?? '';
  if (uuid === '' || uuid.includes('\0')) throw new DeckhandError('NotFound', HOST_NOT_FOUND);
  return uuid;
};

export const showHost = ({ hosts }: ControllerDependencies) =>
  async function showHost(c: Context<ApiEnv>): Promise<Response> {
    const host = await hosts.get(uuidOf(c));
    if (host === null) throw new DeckhandError('NotFound', HOST_NOT_FOUND);
    return c.json(hostView(host));
  };

/** With `selfDestruct` the agent is asked to take itself down first (it may be away). Then the host is out: its certificates count no more. */
export async function decommission(
  { hosts, agents, reports }: SwarmPorts,
  uuid: string,
  selfDestruct: boolean,
): Promise<void> {
  const host = await hosts.get(uuid);
  if (host === null) throw new DeckhandError('NotFound', HOST_NOT_FOUND);
  if (selfDestruct && host.address !== '')
    await agents.selfDestruct(agentAddress(host), AbortSignal.timeout(SELF_DESTRUCT_LIMIT_MS)).catch(() => undefined);
  if ((await hosts.remove(uuid)) === null) throw new DeckhandError('NotFound', HOST_NOT_FOUND);
  await reports.leaveBehind(uuid, host.name);
}

export const removeHost = (deps: ControllerDependencies) =>
  async function removeHost(c: Context<ApiEnv>): Promise<Response> {
    await decommission(deps, uuidOf(c), true);
    return c.body(null, 204);
  };

export const listShards = ({ reports }: ControllerDependencies) =>
  async function listShards(c: Context<ApiEnv>): Promise<Response> {
    const { host_uuid: hostUuid, state } = c.req.query();
    if (`${hostUuid}${state}`.includes('\0')) return c.json([]);
    return c.json(await reports.shards({ ...(hostUuid ? { hostUuid } : {}), ...(state ? { state } : {}) }));
  };
