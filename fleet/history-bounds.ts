/**
 * How long a workflow's history can become. Temporal ends a workflow at 51,200 events and warns at 10,240; here no request that
 * is accepted makes more than {@link MOST_EVENTS} in one run. What has more parts than fit is done by children.
 * Each number is the worst case: every event that comes in costs a workflow task of its own.
 */

export const MOST_EVENTS = 10_000;

const TASK = 3;
const CHILD = 3 + 2 * TASK;
const ACTIVITY = 3 + TASK;
const SIGNAL_RECEIVED = 1 + TASK;
const SIGNAL_SENT = 2 + TASK;

/** A part whose child was ended by somebody: its rows are read, who has them is asked, and they are written. */
const PART = CHILD + 3 * ACTIVITY;
/** A host gives its place back, asks for one, and gets it. */
const PLACE_CYCLE = 2 * SIGNAL_RECEIVED + SIGNAL_SENT;
/** A group of hosts that was ended by somebody: one activity ends its rows. */
const GROUP = CHILD + ACTIVITY;
/** Acceptance, lanes, the end, and what a deployment does in place for few. */
const OWN = 1_500;

/** A host that comes and goes without end keeps its place after so many returns. */
export const MOST_YIELDS = 20;
/** Parts (local children and hosts) that one workflow has as children; with more, its hosts are done by groups. */
export const HOSTS_PER_GROUP = 200;
/** Deckies that a move takes down by itself; with more, children of so many each do. */
export const LEAVING_IN_PLACE = 100;
export const LEAVING_PER_CHILD = 1_000;
/** Local parts whose rows a deployment ends by itself where the network can't be made; with more, a child each does. */
export const KEPT_IN_PLACE = 4;

/**
 * From this length on a place is granted for good. Whoever got one before may give it back once more, and that still fits. Else a
 * host that comes and goes would add to its parent's history as often as it does.
 */
export const grantsForGoodFrom = (parts: number): number =>
  Math.max(0, MOST_EVENTS - OWN - parts * (PART + PLACE_CYCLE));

const ofParts = (local: number, hosts: number): number => {
  const base = OWN + local * PART + hosts * PART;
  const asked = base + hosts * MOST_YIELDS * PLACE_CYCLE;
  return Math.min(asked, grantsForGoodFrom(local + hosts) + base + hosts * PLACE_CYCLE);
};

/** The longest histories of a deployment with so many local children and hosts. */
export function mostEvents(local: number, hosts: number): { readonly deployment: number; readonly group: number } {
  if (local + hosts <= HOSTS_PER_GROUP) return { deployment: ofParts(local, hosts), group: 0 };
  const groups = Math.ceil(hosts / HOSTS_PER_GROUP);
  return {
    deployment: OWN + local * PART + groups * GROUP,
    group: ofParts(0, Math.min(hosts, HOSTS_PER_GROUP)),
  };
}

/** The longest history of a child that takes leaving deckies down. */
export const mostLeavingEvents = (deckies: number): number => CHILD + Math.min(deckies, LEAVING_PER_CHILD) * ACTIVITY;
