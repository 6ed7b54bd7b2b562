/** What must hold after a drill, judged without asking anybody: each function returns sentences, none when all is well. */

export interface SeenRow {
  readonly id: string;
  readonly decky_name: string;
  readonly status: string;
  readonly error: string | null;
}

export interface SeenEvent {
  readonly subject: string;
  /** `Nats-Msg-Id`: `<lifecycle_id>:<status>`. */
  readonly messageId: string;
  /** `payload.status` of the envelope. */
  readonly status: string;
}

export interface SeenContainer {
  readonly name: string;
  readonly state: string;
}

/** Each id that the 202 returned has a row that succeeded, or, where one may fail, says why it did not; no decky has another. */
export function judgeRows(
  ids: readonly string[],
  names: readonly string[],
  rows: readonly SeenRow[],
  mayFail = false,
): string[] {
  const problems: string[] = [];
  for (const name of names) {
    const own = rows.filter((row) => row.decky_name === name);
    if (own.length !== 1) problems.push(`${name} has ${own.length} deploy rows, not one`);
  }
  for (const row of rows) {
    if (!ids.includes(row.id)) problems.push(`${row.decky_name}: row ${row.id} was not returned`);
    const isHonest = mayFail && row.status === 'failed' && row.error?.startsWith('ContainerExited') === true;
    if (row.status !== 'succeeded' && !isHonest)
      problems.push(`${row.decky_name}: row is ${row.status}: ${row.error ?? 'no error'}`);
  }
  for (const id of ids) if (!rows.some((row) => row.id === id)) problems.push(`returned id ${id} has no row`);
  return problems;
}

/** What JetStream keeps: for each row exactly running, then how it ended, each once. */
export const judgeStored = (rows: readonly SeenRow[], stored: readonly SeenEvent[]): string[] =>
  rows.flatMap((row) => {
    const own = idsOf(row, stored);
    return same(own, expectedOf(row)) ? [] : [`${row.decky_name}: JetStream holds ${shown(own)}`];
  });

/**
 * What a subscriber saw: the first sight of each message in order. A repeat of the same message is allowed (a crash between sending
 * and marking it as sent); with `complete: false` the end may be missing, as when the subscriber's own server was killed.
 */
export const judgeSeen = (rows: readonly SeenRow[], seen: readonly SeenEvent[], complete: boolean): string[] =>
  rows.flatMap((row) => {
    const first = [...new Set(idsOf(row, seen))];
    const expected = expectedOf(row);
    const inOrder = same(
      first,
      expected.filter((id) => first.includes(id)),
    );
    const whole = !complete || first.length === expected.length;
    return inOrder && whole ? [] : [`${row.decky_name}: a subscriber saw ${shown(first)}`];
  });

/** The containers of the instance are exactly those wanted, each once and running. */
export function judgeContainers(wanted: readonly string[], seen: readonly SeenContainer[]): string[] {
  const counts = new Map<string, number>();
  for (const { name } of seen) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [
    ...wanted.filter((name) => !counts.has(name)).map((name) => `container ${name} is missing`),
    ...[...counts.keys()].filter((name) => !wanted.includes(name)).map((name) => `container ${name} is not wanted`),
    ...[...counts].filter(([, count]) => count > 1).map(([name, count]) => `container ${name} is there ${count} times`),
    ...seen.filter(({ state }) => state !== 'running').map(({ name, state }) => `container ${name} is ${state}`),
  ];
}

const expectedOf = (row: SeenRow): string[] => [`${row.id}:running`, `${row.id}:${row.status}`];

/** An event whose id and payload disagree counts as neither. */
const idsOf = (row: SeenRow, events: readonly SeenEvent[]): string[] =>
  events
    .filter(({ messageId }) => messageId.startsWith(`${row.id}:`))
    .map(({ messageId, status, subject }) =>
      messageId === `${row.id}:${status}` && subject === `decky.${row.decky_name}.lifecycle`
        ? messageId
        : `${messageId} (with status ${status} on ${subject})`,
    );

const same = (left: readonly string[], right: readonly string[]): boolean =>
  left.length === right.length && left.every((one, index) => one === right[index]);

const shown = (ids: readonly string[]): string =>
  ids.length === 0 ? 'nothing' : ids.map((id) => id.slice(id.indexOf(':') + 1)).join(' → ');

/** A row of a rotation by the clock. */
export interface SeenRotation {
  readonly status: string;
  /** It was under way while another row of its decky was. */
  readonly overlaps: boolean;
}

/** Each action of a Schedule is an ended row or a recorded skip; `atLeast` actions, or the drill showed nothing. */
export function judgeRotation(
  { actions, rows, skips }: { actions: number; rows: readonly SeenRotation[]; skips: number },
  atLeast: number,
): string[] {
  const open = rows.filter(({ status }) => status !== 'succeeded' && status !== 'failed').length;
  return [
    ...(actions === rows.length + skips ? [] : [`${actions} actions are not ${rows.length} rows and ${skips} skips`]),
    ...(open === 0 ? [] : [`${open} rows have not ended`]),
    ...(rows.some(({ overlaps }) => overlaps) ? ['two operations on one decky overlap'] : []),
    ...(actions >= atLeast ? [] : [`only ${actions} actions, of at least ${atLeast}`]),
  ];
}
