/**
 * Orders to hosts (docs/wire.md#the-swarm-controller).
 *
 *   deploy, teardown, check     DECNET's: no operations of ours, but for what the fleet has there
 *   acceptTeardown, whatIsLeft  teardowns of what the fleet has on a host: a row for each decky
 *   hosts, probes, views        showing hosts, letting them go, asking whether they are there
 */
import type { Context } from 'hono';
import { z } from 'zod';
import type { AgentAddress } from '../../adapters/agent/client.ts';
import type { NotedDecky } from '../../adapters/postgres/host-reports.ts';
import { HOST_STATUS, type Host, type HostStatus } from '../../adapters/postgres/hosts.ts';
import type { DeckyConfig } from '../../fleet/config.ts';
import { DeckhandError, isDeckhandError } from '../../fleet/errors.ts';
import { readHostObservation } from '../../fleet/host-observation.ts';
import { DECKY_STATE, type DeckyState, STATUS } from '../../fleet/lifecycle.ts';
import type { RolloutOptions } from '../../fleet/limits.ts';
import { cutSecrets, secretValues } from '../../fleet/secrets.ts';
import { AgentDeployBody, ReceivedDecnetConfig } from '../../fleet/wire.ts';
import type { ControllerDependencies, SwarmPorts } from '../dependencies.ts';
import type { ApiEnv } from '../environment.ts';
import { parseBody } from './unprocessable.ts';

const HOSTS_AT_ONCE = 32;

/** What DECNET's command sends: an order for several hosts, without what ours says beyond. */
const DeployBody = AgentDeployBody.omit({ deckhand: true }).extend({
  config: ReceivedDecnetConfig,
  dry_run: z.boolean().default(false),
  no_cache: z.boolean().default(false),
});

const TeardownBody = z.object({
  host_uuid: z.string().nullable().default(null),
  decky_id: z
    .string()
    .refine((text) => !text.includes('\0'))
    .nullable()
    .default(null),
});

interface Outcome {
  readonly host_uuid: string;
  readonly host_name: string;
  readonly ok: boolean;
  readonly detail: unknown;
}

const outcome = (host: Host, ok: boolean, detail: unknown): Outcome => ({
  host_uuid: host.uuid,
  host_name: host.name,
  ok,
  detail,
});

/** A host's lane belongs to the operations that were accepted. */
export async function refuseBusy({ reports }: SwarmPorts, host: Host): Promise<void> {
  if (await reports.isBusy(host.uuid))
    throw new DeckhandError(
      'HostBusy',
      `An operation on host ${host.name} is still open. Try again when it has ended.`,
    );
}

/** The sentence may have words of the agent in it. */
async function withoutSecrets(
  { reports }: SwarmPorts,
  host: Host,
  sentence: string,
  sent: readonly DeckyConfig[] = [],
): Promise<string> {
  const ordered = sent.map((config) => ({ config, custom_services: [] }));
  return cutSecrets(sentence, secretValues([...ordered, ...(await reports.versions(host.uuid))]));
}

export const deploy = (deps: ControllerDependencies) =>
  async function deploy(c: Context<ApiEnv>): Promise<Response> {
    const body = await parseBody(c, DeployBody);
    if (body.config.mode !== 'swarm') return c.json({ detail: "mode must be 'swarm'" }, 400);
    const homeless = body.config.deckies.find((decky) => !decky.host_uuid);
    if (homeless) return c.json({ detail: `decky '${homeless.name}' has no host_uuid` }, 400);
    const hosts = await Promise.all([...new Set(body.config.deckies.map(hostOf))].map((uuid) => known(deps, uuid)));
    const results = await inParallel(hosts, HOSTS_AT_ONCE, (host) => deployOn(deps, host, partOf(body, host)));
    return c.json({ results });
  };

const hostOf = (decky: { host_uuid: string | null }): string => decky.host_uuid ?? '';

async function known({ hosts }: SwarmPorts, uuid: string): Promise<Host> {
  const host = uuid.includes('\0') ? null : await hosts.get(uuid);
  if (host === null) throw new DeckhandError('NotFound', `unknown host_uuid: ${uuid}`);
  return host;
}

const partOf = (body: z.infer<typeof DeployBody>, host: Host): AgentDeployBody => ({
  ...body,
  config: {
    ...body.config,
    ipvlan: body.config.ipvlan || host.useIpvlan,
    deckies: body.config.deckies.filter((decky) => decky.host_uuid === host.uuid),
  },
});

/** Sent means `pending`: what runs is seen with the host's next report. */
async function deployOn(ports: SwarmPorts, host: Host, body: AgentDeployBody): Promise<Outcome> {
  try {
    await refuseBusy(ports, host);
    const answer = await ports.agents.deploy(agentAddress(host), body);
    await ports.reports.note(host.uuid, noted(body, DECKY_STATE.pending, null));
    return outcome(host, true, answer.body);
  } catch (error) {
    if (!isDeckhandError(error)) throw error;
    const sentence = await withoutSecrets(ports, host, error.message, body.config.deckies);
    if (error.code !== 'HostBusy') await noteFailure(ports, host, body, sentence);
    return outcome(host, false, sentence);
  }
}

const noted = (body: AgentDeployBody, state: DeckyState, lastError: string | null): NotedDecky[] =>
  body.config.deckies.map((config) => ({ config, state, lastError }));

/** The order went wrong; what runs all the same is told by the agent, where it answers. */
async function noteFailure(ports: SwarmPorts, host: Host, body: AgentDeployBody, sentence: string): Promise<void> {
  const runtime = await ports.agents.status(agentAddress(host)).then(
    (answer) => readHostObservation(answer.body).runtime,
    () => null,
  );
  await ports.reports.note(
    host.uuid,
    noted(body, DECKY_STATE.failed, sentence).map((one) =>
      runtime?.get(one.config.name)?.running ? { ...one, state: DECKY_STATE.running, lastError: null } : one,
    ),
  );
}

export const teardown = (deps: ControllerDependencies) =>
  async function teardown(c: Context<ApiEnv>): Promise<Response> {
    const { host_uuid: uuid, decky_id: deckyId } = await parseBody(c, TeardownBody);
    const hosts = uuid === null ? await deps.hosts.list() : [await deps.hosts.get(uuid.replaceAll('\0', ''))];
    const found = hosts.filter((host) => host !== null);
    if (found.length < hosts.length) throw new DeckhandError('NotFound', HOST_NOT_FOUND);
    return c.json({
      results: await inParallel(found, HOSTS_AT_ONCE, (host) =>
        takeDownInTime(deps, { host, deckyId, username: c.var.user.username }),
      ),
    });
  };

/**
 * What the fleet has there goes by its rows, which are waited for; what it does not know of is the
 * agent's alone.
 */
async function takeDownInTime(ports: SwarmPorts, asked: AskedTeardown): Promise<Outcome> {
  const { host, deckyId } = asked;
  try {
    const ids = await acceptTeardown(ports, asked);
    if (ids.length === 0) return await takeDown(ports, host, deckyId);
    const left = await whatIsLeft(ports, ids);
    return outcome(host, left === null, left ?? { status: 'torn_down', decky_id: deckyId });
  } catch (error) {
    if (!isDeckhandError(error)) throw error;
    return outcome(host, false, error.message);
  }
}

/**
 * One decky of a host, or all of them, past the rows; resolves when the agent says that it is down,
 * or why not.
 */
export async function takeDown(ports: SwarmPorts, host: Host, deckyId: string | null): Promise<Outcome> {
  const { reports, agents } = ports;
  try {
    await refuseBusy(ports, host);
    await reports.mark(host.uuid, deckyId, DECKY_STATE.tearingDown, null);
    const answer = await agents.teardown(agentAddress(host), { decky_id: deckyId });
    await reports.forget(host.uuid, deckyId);
    return outcome(host, true, answer.body);
  } catch (error) {
    if (!isDeckhandError(error)) throw error;
    const sentence = await withoutSecrets(ports, host, error.message);
    if (error.code !== 'HostBusy') await reports.mark(host.uuid, deckyId, DECKY_STATE.teardownFailed, sentence);
    return outcome(host, false, sentence);
  }
}

export const check = (deps: ControllerDependencies) =>
  async function check(c: Context<ApiEnv>): Promise<Response> {
    const probed = await probeAll(deps, await deps.hosts.list());
    const results = probed.map(({ host, reachable, detail }) => ({
      host_uuid: host.uuid,
      name: host.name,
      address: host.address,
      reachable: reachable === true,
      detail: reachable === true ? detail : 'probe failed',
    }));
    return c.json({ results });
  };

/**
 * Teardowns of what the fleet has on a host: operations of ours, with a row for each decky
 * (docs/operations.md).
 */

/** How long an answer of 8770 waits for the rows: longer than a lost host takes to be given up. */
const WAIT_MS = 130_000;

interface AskedTeardown {
  readonly host: Host;
  /** Null: all that the fleet has there. */
  readonly deckyId: string | null;
  readonly username: string;
  /** The request's own. */
  readonly options?: Partial<RolloutOptions>;
}

/**
 * The ids of the rows; none where the fleet has nothing of it on the host. Throws what refuses it,
 * DeckyBusy for one.
 */
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
async function whatIsLeft({ operations, lifecycle }: SwarmPorts, ids: readonly string[]): Promise<string | null> {
  await operations.waitForRows(ids, WAIT_MS);
  const left = (await lifecycle.byIds(ids)).filter((row) => row.status !== STATUS.succeeded);
  if (left.length === 0) return null;
  const phrases = left.map((row) => `${row.decky_name}: ${row.error ?? 'its teardown goes on'}`);
  return phrases.join('\n').slice(0, 4_000);
}

/** Showing hosts, and letting them go. */

export const HOST_NOT_FOUND = 'host not found';

const SELF_DESTRUCT_LIMIT_MS = 8_000;

/** Null: all of them; undefined: no host has such a status. */
function statusFilter(text: string | undefined): HostStatus | null | undefined {
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

/**
 * With `selfDestruct` the agent is asked to take itself down first (it may be away). Then the host
 * is out: its certificates count no more.
 */
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

export const listReportedDeckies = ({ reports }: ControllerDependencies) =>
  async function listReportedDeckies(c: Context<ApiEnv>): Promise<Response> {
    const { host_uuid: hostUuid, state } = c.req.query();
    if (`${hostUuid}${state}`.includes('\0')) return c.json([]);
    return c.json(await reports.reportedDeckies({ ...(hostUuid ? { hostUuid } : {}), ...(state ? { state } : {}) }));
  };

/** Asking agents whether they are there; what they answer, or that they don't, is written down. */

const PROBE_LIMIT_MS = 3_000;
/** No probe of a request begins later, so that it is answered in time. */
const PROBES_LIMIT_MS = 6_000;
const PROBES_AT_ONCE = 64;

interface Probed {
  readonly host: Host;
  /** Null: not asked, since it has no address or time was up. */
  readonly reachable: boolean | null;
  /** What the agent answered, or why it did not. */
  readonly detail: unknown;
}

/** In the order of the hosts. */
export async function probeAll(ports: SwarmPorts, hosts: readonly Host[]): Promise<Probed[]> {
  const timeUp = AbortSignal.timeout(PROBES_LIMIT_MS);
  return inParallel(hosts, PROBES_AT_ONCE, (host) =>
    host.address === '' || timeUp.aborted
      ? Promise.resolve({ host, reachable: null, detail: 'not asked' })
      : probe(ports, host),
  );
}

async function probe({ agents, hosts }: SwarmPorts, host: Host): Promise<Probed> {
  try {
    const { body, clockOffsetMs } = await agents.health(agentAddress(host), limit(PROBE_LIMIT_MS));
    await hosts.markReachable(host.uuid, clockOffsetMs === null ? {} : { clockOffsetMs });
    const now = { ...host, status: 'active' as const, lastHeartbeat: new Date() };
    return { host: now, reachable: true, detail: body };
  } catch (error) {
    if (!isDeckhandError(error) || error.code === 'Internal') throw error;
    await hosts.markUnreachable(host.uuid);
    return { host: { ...host, status: 'unreachable' }, reachable: false, detail: error.message };
  }
}

/** A signal whose reason is an error of ours. */
export function limit(ms: number): AbortSignal {
  const controller = new AbortController();
  const reason = new DeckhandError('HostUnreachable', `The agent did not answer within ${ms / 1000} s.`);
  setTimeout(() => controller.abort(reason), ms).unref();
  return controller.signal;
}

/** Runs `work` for all items, at most `width` at a time; results in the order of the items. */
async function inParallel<T, R>(items: readonly T[], width: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Map<number, R>();
  const queue = items.entries();
  const lane = async (): Promise<void> => {
    for (const [index, item] of queue) results.set(index, await work(item));
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
  return items.flatMap((_, index) => (results.has(index) ? [results.get(index) as R] : []));
}

/**
 * Hosts as clients see them (docs/wire.md#hosts-for-administrators), and as the agent client wants
 * them.
 */

/** `2026-11-23T19:00:37.601000Z`: microseconds, as all times on the wire. */
export const isoTime = (moment: Date): string => moment.toISOString().replace(/Z$/, '000Z');

export const hostView = (host: Host) => ({
  uuid: host.uuid,
  name: host.name,
  address: host.address,
  agent_port: host.agentPort,
  status: host.status,
  last_heartbeat: host.lastHeartbeat && isoTime(host.lastHeartbeat),
  client_cert_fingerprint: host.fingerprint,
  updater_cert_fingerprint: host.updaterFingerprint,
  enrolled_at: isoTime(host.enrolledAt),
  notes: host.notes,
  use_ipvlan: host.useIpvlan,
});

const agentAddress = (host: Host): AgentAddress => ({
  hostUuid: host.uuid,
  name: host.name,
  address: host.address,
  port: host.agentPort,
  fingerprints: [host.fingerprint, ...(host.nextFingerprint ? [host.nextFingerprint] : [])],
});
