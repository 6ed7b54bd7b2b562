/** Orders to hosts that are no operations of ours: DECNET's `/swarm/deploy`, `/teardown` and `/check` (docs/wire.md#the-swarm-controller). */
import type { Context } from 'hono';
import { z } from 'zod';
import type { Host } from '../../adapters/postgres/hosts.ts';
import type { NotedShard } from '../../adapters/postgres/shards.ts';
import { readStatus } from '../../fleet/agent-says.ts';
import type { AgentDeployBody } from '../../fleet/agent-wire.ts';
import type { DeckyConfig } from '../../fleet/config.ts';
import { DeckhandError, isDeckhandError } from '../../fleet/errors.ts';
import { DECKY_STATE, type DeckyState } from '../../fleet/lifecycle.ts';
import { cutSecrets, secretValues } from '../../fleet/secrets.ts';
import { StrictDeckyConfig } from '../../fleet/strict-decky.ts';
import type { ApiEnv } from '../environment.ts';
import { HOST_NOT_FOUND } from './hosts.ts';
import type { ControllerDependencies, SwarmPorts } from './ports.ts';
import { inParallel, probeAll } from './probes.ts';
import { type AskedTeardown, acceptTeardown, whatIsLeft } from './teardowns.ts';
import { parseBody } from './unprocessable.ts';
import { agentAddress } from './views.ts';

const HOSTS_AT_ONCE = 32;

const DeployBody = z.object({
  config: z.object({
    mode: z.enum(['unihost', 'swarm']),
    interface: z.string(),
    subnet: z.string(),
    gateway: z.string(),
    deckies: z.array(StrictDeckyConfig).min(1),
    log_file: z.string().nullable().default(null),
    ipvlan: z.boolean().default(false),
    mutate_interval: z.int().nullable().default(30),
  }),
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

/** A host's lane belongs to the operations that were accepted (promise 6). */
export async function refuseBusy({ reports }: SwarmPorts, host: Host): Promise<void> {
  if (await reports.isBusy(host.uuid))
    throw new DeckhandError(
      'HostBusy',
      `An operation on host ${host.name} is still open. Try again when it has ended.`,
    );
}

/** The sentence may have words of the agent in it (promise 10). */
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
    await ports.reports.note(host.uuid, asShards(body, DECKY_STATE.pending, null));
    return outcome(host, true, answer.body);
  } catch (error) {
    if (!isDeckhandError(error)) throw error;
    const sentence = await withoutSecrets(ports, host, error.message, body.config.deckies);
    if (error.code !== 'HostBusy') await noteFailure(ports, host, body, sentence);
    return outcome(host, false, sentence);
  }
}

const asShards = (body: AgentDeployBody, state: DeckyState, lastError: string | null): NotedShard[] =>
  body.config.deckies.map((config) => ({ config, state, lastError }));

/** The order went wrong; what runs all the same is told by the agent, where it answers. */
async function noteFailure(ports: SwarmPorts, host: Host, body: AgentDeployBody, sentence: string): Promise<void> {
  const runtime = await ports.agents.status(agentAddress(host)).then(
    (answer) => readStatus(answer.body).runtime,
    () => null,
  );
  await ports.reports.note(
    host.uuid,
    asShards(body, DECKY_STATE.failed, sentence).map((shard) =>
      runtime?.get(shard.config.name)?.running ? { ...shard, state: DECKY_STATE.running, lastError: null } : shard,
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

/** What the fleet has there goes by its rows, which are waited for; what it does not know of is the agent's alone. */
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

/** One decky of a host, or all of them, past the rows; resolves when the agent says that it is down, or why not. */
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
