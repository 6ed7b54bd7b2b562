/**
 * `POST /swarm/heartbeat` (docs/wire.md#heartbeat): 204 only when PostgreSQL has the report and
 * Temporal every delta.
 *
 *   takeStatus    the host is stamped, and its report taken in: states, then drift
 *   passOn        deltas are matched to open rows, and each workflow is told those of its rows
 *   readHeartbeat the body, read by hand
 */

import { createHash } from 'node:crypto';
import type { Context } from 'hono';
import type { ReportableRow, ReportingHost } from '../../adapters/postgres/host-reports.ts';
import type { Host } from '../../adapters/postgres/hosts.ts';
import type { DeckyReport, HostReport } from '../../fleet/agent-wire.ts';
import { judgeReturned } from '../../fleet/drift.ts';
import { DeckhandError, isDeckhandError } from '../../fleet/errors.ts';
import {
  deltaError,
  engineObservation,
  hostStates,
  isObject,
  isWithin,
  type Json,
  type ObservedDelta,
  readDelta,
  readHostObservation,
} from '../../fleet/host-observation.ts';
import { RETURN_USER } from '../../fleet/requests.ts';
import { cutSecrets, secretValues } from '../../fleet/secrets.ts';
import { boundedText, plainText } from '../../fleet/text.ts';
import type { ControllerDependencies } from '../dependencies.ts';
import type { ApiEnv } from '../environment.ts';
import { type Peer, peerOf } from '../peer.ts';
import { missing, notAnObject, type Problem, readJson, Unprocessable, wrongKind } from './unprocessable.ts';

export const TEXT = Object.freeze({
  unknownHost: 'unknown host',
  noCertificate: 'peer cert unavailable',
  otherCertificate: 'cert fingerprint mismatch',
});

/** Tells an agent of ours to ask for a new certificate. */
export const RENEW_HEADER = 'Deckhand-Renew';

/** What a report is recognised by. */
const hashOf = (status: Json): string => createHash('sha256').update(JSON.stringify(status)).digest('hex');

interface Heartbeat {
  readonly hostUuid: string;
  readonly agentVersion: string | null;
  readonly status: Json;
  readonly lifecycle: readonly Json[];
}

/**
 * With more heartbeats at work than this, what can wait for the host's next one waits: the deltas
 * can't.
 */
const BUSY_AT = 16;

export function heartbeat(deps: ControllerDependencies) {
  const { busyAt = BUSY_AT } = deps;
  let atWork = 0;
  return async function heartbeat(c: Context<ApiEnv>): Promise<Response> {
    const body = readHeartbeat(await readJson(c));
    atWork += 1;
    try {
      const onlyDeltas = body.lifecycle.length > 0 && atWork > busyAt;
      const host = await takeStatus(deps, body, peerOf(c), onlyDeltas);
      if (body.lifecycle.length > 0) await passOn(deps, body, host);
      return c.body(null, 204, host.renewalWanted && host.fenced ? { [RENEW_HEADER]: 'true' } : {});
    } finally {
      atWork -= 1;
    }
  };
}

/**
 * Stamps the host, and takes its status in where it is not the one that is known. Throws NotFound,
 * then Forbidden.
 */
async function takeStatus(
  deps: ControllerDependencies,
  body: Heartbeat,
  peer: Peer | null,
  onlyDeltas: boolean,
): Promise<ReportingHost> {
  const hash = hashOf(body.status);
  if (peer !== null) {
    const known = await deps.reports.stamp(body.hostUuid, peer.fingerprint, hash);
    if (known !== null) return known;
  }
  const host = await deps.hosts.get(body.hostUuid);
  if (host === null) throw new DeckhandError('NotFound', TEXT.unknownHost);
  if (peer === null) throw new DeckhandError('Forbidden', TEXT.noCertificate);
  if (peer.fingerprint !== host.fingerprint && !(await adopts(deps, host, peer)))
    throw new DeckhandError('Forbidden', TEXT.otherCertificate);
  if (onlyDeltas) {
    const touched = await deps.reports.touch(host.uuid, isObject(body.status.deckhand));
    if (touched === null) throw new DeckhandError('NotFound', TEXT.unknownHost);
    return touched;
  }
  const observation = readHostObservation(body.status);
  const report = { ...hostStates(observation), hash, agentVersion: body.agentVersion };
  const taken = await deps.reports.take(host.uuid, host.name, report);
  if (taken === null) throw new DeckhandError('NotFound', TEXT.unknownHost);
  // While an operation is open for its deckies, their state is expected to be in flux. The next
  // report is taken in again.
  if (taken.hasPendingTeardowns) beginPendingTeardowns(deps, host);
  if (taken.settled) {
    const observed = engineObservation(observation);
    const comparison = await deps.reports.noteObservation(host.uuid, observed);
    if (taken.returned?.length)
      await reconcileReturned(deps, host, judgeReturned(taken.returned, observed, comparison));
  }
  return taken;
}

/**
 * The host was lost while its deckies were to go, and is back. The heartbeat does not wait for the
 * operation; the next one asks again.
 */
function beginPendingTeardowns({ operations, logger, rollout }: ControllerDependencies, { uuid, name }: Host): void {
  const request = { host_uuid: uuid, owed: true };
  operations.operate({ username: RETURN_USER, kind: 'teardown', request, options: rollout }).then(
    ({ removed_lifecycle_ids: rows }) =>
      logger.info({ host: name, rows }, 'a host is back: its pending teardowns begin'),
    (error: unknown) => {
      if (!isDeckhandError(error) || error.code !== 'NotFound')
        logger.warn({ err: error, host: name }, 'the pending teardowns of a host did not begin');
    },
  );
}

/**
 * The host may have carried out an order whose row ended while the host was unreachable. The
 * heartbeat does not wait for the operation; the next one judges again.
 */
async function reconcileReturned(
  { operations, reports, logger, rollout }: ControllerDependencies,
  { uuid, name }: Host,
  { asTheyShould, differ }: ReturnType<typeof judgeReturned>,
): Promise<void> {
  if (asTheyShould.length > 0) await reports.noteAsItShould(uuid, asTheyShould);
  if (differ.length === 0) return;
  const request = { host: uuid, deckies: differ, returned: true };
  operations.operate({ username: RETURN_USER, kind: 'reconcile', request, options: rollout }).then(
    ({ lifecycle_ids: rows }) => logger.info({ host: name, rows }, 'a host is back: what differs there is reconciled'),
    (error: unknown) => {
      if (!isDeckhandError(error) || error.code !== 'NotFound')
        logger.warn({ err: error, host: name }, 'what differs on a returned host was not reconciled');
    },
  );
}

/**
 * The first heartbeat with the next certificate makes it the host's, and the old one is out.
 * Another may have done so just now.
 */
async function adopts({ hosts }: ControllerDependencies, host: Host, peer: Peer): Promise<boolean> {
  if (peer.fingerprint !== host.nextFingerprint) return false;
  if (await hosts.adoptCertificate(host.uuid, peer.fingerprint)) return true;
  return (await hosts.get(host.uuid))?.fingerprint === peer.fingerprint;
}

/** Each workflow is told in the order of its reports, all workflows at the same time. */
async function passOn(deps: ControllerDependencies, body: Heartbeat, host: ReportingHost): Promise<void> {
  const read = body.lifecycle.map(readDelta);
  const deltas = read.filter((delta): delta is ObservedDelta => delta !== null);
  if (deltas.length < read.length)
    deps.logger.warn({ host: body.hostUuid, malformed: read.length - deltas.length }, 'malformed deltas skipped');
  if (deltas.length === 0) return;
  const names = [...new Set(deltas.map((delta) => delta.deckyName))];
  const failed = [...new Set(deltas.filter((delta) => delta.error !== null).map((delta) => delta.deckyName))];
  const rows = await deps.reports.openRows(body.hostUuid, names, failed);
  const { reports, dropped } = matchDeltas(deltas, rows, { hostUuid: body.hostUuid, ...host });
  if (dropped.length > 0) deps.logger.info({ host: body.hostUuid, dropped }, 'deltas dropped');
  const told = await Promise.allSettled(
    [...reports].map(async ([workflowId, signals]) => {
      for (const report of signals) await deps.signals.signal(workflowId, report);
    }),
  );
  const failure = told.find((result) => result.status === 'rejected');
  if (failure) throw failure.reason;
}

/** A real status has ten levels. Writing down one of thousands exhausts the stack. */
const DEEPEST_STATUS = 64;

/** By hand: no schema library on the way of every heartbeat. Throws {@link Unprocessable}. */
function readHeartbeat(body: unknown): Heartbeat {
  if (!isObject(body)) throw new Unprocessable([notAnObject(body)]);
  const { host_uuid: hostUuid, agent_version: agentVersion = null, status, topology = null, lifecycle = null } = body;
  const problems: Problem[] = [];
  if (hostUuid === undefined) problems.push(missing(['body', 'host_uuid'], body));
  else if (typeof hostUuid !== 'string') problems.push(wrongKind('string', ['body', 'host_uuid'], hostUuid));
  if (agentVersion !== null && typeof agentVersion !== 'string')
    problems.push(wrongKind('string', ['body', 'agent_version'], agentVersion));
  if (status === undefined) problems.push(missing(['body', 'status'], body));
  else if (!isObject(status) || !isWithin(status, DEEPEST_STATUS))
    problems.push(wrongKind('object', ['body', 'status'], isObject(status) ? 'too deep' : status));
  if (topology !== null && !isObject(topology)) problems.push(wrongKind('object', ['body', 'topology'], topology));
  if (lifecycle !== null) problems.push(...problemsOfDeltas(lifecycle));
  if (problems.length > 0) throw new Unprocessable(problems);
  const uuid = String(hostUuid);
  // PostgreSQL's text holds no NUL, and no host has one, or another control character.
  if (plainText(uuid) !== uuid) throw new DeckhandError('NotFound', TEXT.unknownHost);
  return {
    hostUuid: uuid,
    agentVersion: typeof agentVersion === 'string' ? boundedText(agentVersion, 64) : null,
    status: status as Json,
    lifecycle: (lifecycle ?? []) as readonly Json[],
  };
}

/** Enough to see what is wrong with a list; each is longer than the item that it is about. */
const MOST_PROBLEMS = 100;

function problemsOfDeltas(lifecycle: unknown): Problem[] {
  if (!Array.isArray(lifecycle)) return [wrongKind('array', ['body', 'lifecycle'], lifecycle)];
  const problems: Problem[] = [];
  for (const [index, item] of lifecycle.entries()) {
    if (problems.length >= MOST_PROBLEMS) break;
    if (!isObject(item)) problems.push(wrongKind('object', ['body', 'lifecycle', index], item));
  }
  return problems;
}

/**
 * How much earlier than its dispatch a report without a fence may claim to have ended: clocks are
 * compared by whole seconds.
 */
const CLOCK_SLACK_MS = 5_000;
/**
 * One signal's share of a report: Temporal takes 2 MiB at most, and warns from a quarter of that.
 */
const SIGNAL_BYTES = 400_000;

interface Dropped {
  readonly decky: string;
  readonly why: string;
}

interface ReportingAgent {
  readonly hostUuid: string;
  readonly fenced: boolean;
  /** Its clock minus ours. */
  readonly clockOffsetMs: number;
}

/** What each workflow is told, and what was left out with the reason. Deltas keep their order. */
export function matchDeltas(
  deltas: readonly ObservedDelta[],
  rows: readonly ReportableRow[],
  agent: ReportingAgent,
): { reports: ReadonlyMap<string, readonly HostReport[]>; dropped: readonly Dropped[] } {
  const byDecky = new Map(rows.map((row) => [row.deckyName, row]));
  const byWorkflow = new Map<string, DeckyReport[]>();
  const dropped: Dropped[] = [];
  for (const delta of deltas) {
    const row = byDecky.get(delta.deckyName);
    const why = row?.operation === delta.operation ? staleness(delta, row, agent) : 'no open row of this host';
    if (why !== null || row === undefined) {
      dropped.push({ decky: delta.deckyName, why: why ?? 'no open row of this host' });
      continue;
    }
    const reports = byWorkflow.get(row.workflowId);
    if (reports) reports.push(deckyReport(delta, row));
    else byWorkflow.set(row.workflowId, [deckyReport(delta, row)]);
  }
  const { hostUuid } = agent;
  return {
    reports: new Map(
      [...byWorkflow].map(([workflowId, reports]) => [
        workflowId,
        inSignals(reports).map((some) => ({ hostUuid, reports: some })),
      ]),
    ),
    dropped,
  };
}

/** The reports in their order, cut into what one signal carries. */
function inSignals(reports: readonly DeckyReport[]): DeckyReport[][] {
  const signals: DeckyReport[][] = [];
  let left = 0;
  for (const report of reports) {
    const bytes = Buffer.byteLength(JSON.stringify(report));
    if (bytes > left) {
      signals.push([]);
      left = SIGNAL_BYTES;
    }
    left -= bytes;
    signals.at(-1)?.push(report);
  }
  return signals;
}

/**
 * Why a delta is not about this attempt of the row's operation; null where it may be (docs/gaps.md,
 * A8).
 */
function staleness(delta: ObservedDelta, row: ReportableRow, agent: ReportingAgent): string | null {
  if (delta.fence) return delta.fence.operationId === row.deploymentId ? null : 'of another operation';
  if (agent.fenced) return 'without a fence, of an agent that has them';
  if (row.dispatchedAt === null) return 'the row was not dispatched yet';
  if (delta.completedMs === null) return null;
  const endedMs = delta.completedMs - agent.clockOffsetMs;
  return endedMs < row.dispatchedAt.getTime() - CLOCK_SLACK_MS ? 'ended before the row was dispatched' : null;
}

function deckyReport(delta: ObservedDelta, row: ReportableRow): DeckyReport {
  const error = delta.status === 'failed' && delta.error !== null ? withoutSecrets(delta.error, row) : null;
  return {
    lifecycleId: row.lifecycleId,
    deckyName: row.deckyName,
    status: delta.status,
    error,
    seen: delta.seen,
    fence: delta.fence && { attempt: delta.fence.attempt, sequence: delta.fence.sequence },
  };
}

const withoutSecrets = (error: string, row: ReportableRow): string => {
  const values = secretValues(row.versions);
  return deltaError(error, (text) => cutSecrets(text, values));
};
