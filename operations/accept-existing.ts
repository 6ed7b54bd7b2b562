/**
 * Acceptance of what is done with deckies that the fleet has: teardowns, mutations, stops and starts, reconciles. Each runs in the
 * transaction of acceptance, under the fleet's lock. What stands in the way is judged first, then the rows are written.
 */
import type { Queryable } from '../adapters/postgres/connect.ts';
import { markAccepted, type StoredRequest } from '../adapters/postgres/deployments.ts';
import { mendable } from '../adapters/postgres/drift.ts';
import {
  type FleetDeckyWithOpenRow,
  readDeckiesWithOpenRow,
  readDeckyWithOpenRow,
  readNamedDeckies,
  setServices,
  setStopped,
} from '../adapters/postgres/fleet.ts';
import { dueTeardowns, returnedDeckies, showGoing } from '../adapters/postgres/pending-work.ts';
import { insertRows, insertSingleRow, noteReasons } from '../adapters/postgres/rows.ts';
import type { DeckyConfig } from '../fleet/config.ts';
import { drawMutation, namedMutation, seededRandom } from '../fleet/draw.ts';
import { DeckhandError } from '../fleet/errors.ts';
import { LOCAL_HOST, OPERATION, type Operation } from '../fleet/lifecycle.ts';
import type { ReconcileRequest, SeveralTeardown } from '../fleet/requests.ts';
import { portWarnings } from '../fleet/warnings.ts';

const hostOf = (key: string): string | null => (key === LOCAL_HOST ? null : key);

/** The refusal of what would touch a decky that an operation is open for. `open`: the id of its open lifecycle row. */
export const stillOpen = (name: string, operation: Operation | null, open: string | null): DeckhandError =>
  new DeckhandError(
    'DeckyBusy',
    `decky '${name}' has an open ${operation} (lifecycle id ${open}); wait until it has ended`,
  );

function assertFree({ name, operation, open }: FleetDeckyWithOpenRow): void {
  if (open) throw stillOpen(name, operation, open);
}

/** Nothing else is done with a decky that is to go. */
function assertStays({ name, teardownPending }: FleetDeckyWithOpenRow): void {
  if (teardownPending)
    throw new DeckhandError(
      'DeckyBusy',
      `decky '${name}' is being taken down: its host does not answer, and its teardown begins anew when the host is back.`,
    );
}

async function readDecky(tx: Queryable, name: string): Promise<FleetDeckyWithOpenRow> {
  const decky = await readDeckyWithOpenRow(tx, name);
  if (!decky) throw new DeckhandError('NotFound', `Decky ${name} not found`);
  return decky;
}

// --- Teardowns ---

export async function acceptTeardown(tx: Queryable, stored: StoredRequest<'teardown'>): Promise<void> {
  const { request } = stored;
  if ('decky_name' in request) await acceptTeardownOfOne(tx, stored, request.decky_name);
  else await acceptTeardownOfSeveral(tx, stored, request);
  await markAccepted(tx, stored.id);
}

async function acceptTeardownOfOne(tx: Queryable, stored: StoredRequest, name: string): Promise<void> {
  const decky = await readDecky(tx, name);
  assertFree(decky);
  await insertSingleRow(tx, stored, { name, hostKey: decky.host_uuid, operation: OPERATION.teardown });
  await showGoing(tx, [{ name, hostUuid: hostOf(decky.host_uuid) }]);
}

/** A row for each; one whose teardown is under way has its row already. */
async function acceptTeardownOfSeveral(tx: Queryable, stored: StoredRequest, asked: SeveralTeardown): Promise<void> {
  const deckies = asked.owed
    ? await dueTeardowns(tx, asked.host_uuid)
    : await readDeckiesWithOpenRow(tx, asked.host_uuid);
  if (deckies.length === 0) throw new DeckhandError('NotFound', 'There is no decky to take down (any more).');
  const other = deckies.find(({ operation }) => operation !== null && operation !== OPERATION.teardown);
  if (other) throw stillOpen(other.name, other.operation, other.open);
  const rows = deckies
    .filter(({ open }) => open === null)
    .map(({ name, host_uuid }) => ({ name, hostUuid: hostOf(host_uuid), operation: OPERATION.teardown }));
  await insertRows(tx, stored, rows);
}

// --- Mutations ---

/** The new services become what the decky should be. What was established stays beside it, for the way back. */
export async function acceptMutate(tx: Queryable, stored: StoredRequest<'mutate'>): Promise<void> {
  const { decky_name: name, services } = stored.request;
  const member = await readMutable(tx, name);
  const decky = { config: member.config, custom_services: member.custom_services };
  const others = (await readNamedDeckies(tx)).filter((one) => one.name !== name);
  const wanted = services
    ? namedMutation(decky, services, others)
    : drawMutation(decky, others, seededRandom(stored.id));
  const config: DeckyConfig = { ...member.config, services: wanted, last_mutated: Date.now() / 1_000 };
  await setServices(tx, config);
  await insertSingleRow(tx, stored, { name, hostKey: member.host_uuid, operation: OPERATION.mutate });
  await markAccepted(tx, stored.id, { warnings: portWarnings([{ ...decky, config }]) });
}

/** The decky, where it can be mutated: it is there, came up once, runs, and nothing is open for it. */
async function readMutable(tx: Queryable, name: string): Promise<FleetDeckyWithOpenRow> {
  const member = await readDeckyWithOpenRow(tx, name);
  if (!member) {
    const [some] = await readNamedDeckies(tx);
    throw new DeckhandError('NotFound', some ? `Decky ${name} not found` : 'No active deployment');
  }
  assertFree(member);
  assertStays(member);
  if (!member.established)
    throw new DeckhandError('InvalidDecky', `decky '${name}' never came up, so there is nothing to mutate; deploy it.`);
  if (member.stopped)
    throw new DeckhandError('DeckyStopped', `decky '${name}' is stopped; start it before it is mutated.`);
  return member;
}

// --- Stops and starts ---

/** Whether it should run is noted on the decky; its row brings the containers there, as a deploy of this decky alone. */
async function acceptPower(tx: Queryable, stored: StoredRequest<'stop' | 'start'>, isStopped: boolean): Promise<void> {
  const { decky_name: name } = stored.request;
  const decky = await readDecky(tx, name);
  assertFree(decky);
  assertStays(decky);
  if (!decky.established)
    throw new DeckhandError(
      'InvalidDecky',
      `decky '${name}' never came up, so there is nothing to stop or start; deploy it.`,
    );
  if (isStopped && decky.host_uuid !== LOCAL_HOST && decky.fenced !== true)
    throw new DeckhandError(
      'HostCannot',
      `host ${decky.host_name ?? decky.host_uuid} has an agent that can't keep a decky stopped (DECNET's); take '${name}' down instead.`,
    );
  await setStopped(tx, name, isStopped);
  await insertRows(tx, stored, [{ name, hostUuid: hostOf(decky.host_uuid), operation: OPERATION.deploy }]);
  await markAccepted(tx, stored.id);
}

export const acceptStop = (tx: Queryable, stored: StoredRequest<'stop'>): Promise<void> =>
  acceptPower(tx, stored, true);
export const acceptStart = (tx: Queryable, stored: StoredRequest<'start'>): Promise<void> =>
  acceptPower(tx, stored, false);

// --- Reconciles ---

/** A row for each decky that drifts, and for each that nobody wants; none where all was mended meanwhile. */
export async function acceptReconcile(tx: Queryable, stored: StoredRequest<'reconcile'>): Promise<void> {
  const asked = stored.request;
  if (asked.returned) return await acceptReturned(tx, stored, asked);
  const found = await mendable(tx, asked);
  const row = (operation: Operation) => (one: { decky_name: string; host_key: string }) => ({
    name: one.decky_name,
    hostUuid: hostOf(one.host_key),
    operation,
  });
  await insertRows(tx, stored, [
    ...found.filter((one) => one.orphan).map(row(OPERATION.teardown)),
    ...found.filter((one) => !one.orphan).map(row(OPERATION.deploy)),
  ]);
  await markAccepted(tx, stored.id);
}

/** A row for each decky that a returned host has otherwise, which says why. */
async function acceptReturned(
  tx: Queryable,
  stored: StoredRequest,
  { host, deckies }: ReconcileRequest,
): Promise<void> {
  const found = await returnedDeckies(tx, host, deckies ?? []);
  if (found.length === 0) throw new DeckhandError('NotFound', 'Nothing has to be put right there (any more).');
  const names = found.map((one) => one.decky_name);
  await insertRows(
    tx,
    stored,
    names.map((name) => ({ name, hostUuid: host, operation: OPERATION.deploy })),
  );
  const reasons = found.map(
    (one) =>
      `host ${one.host_name} is back and has decky '${one.decky_name}' otherwise than the fleet (${one.why}); it is put right`,
  );
  await noteReasons(tx, stored.id, names, reasons);
  await markAccepted(tx, stored.id, { warnings: reasons });
}
