/** A history tells of the machine that recorded it: folders in stack traces and errors, the worker's identity. None may stay. */

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

export interface Machine {
  readonly hostName: string;
  /** Absolute paths, each with the words that take its place; the longest first. */
  readonly folders: readonly (readonly [string, string])[];
}

const withoutNames = (text: string, { hostName, folders }: Machine): string =>
  folders
    .reduce((rest, [folder, instead]) => rest.replaceAll(folder, instead), text)
    .replaceAll(`${hostName}/deckhand/`, 'worker/deckhand/')
    // Checksum of a bundle that nobody has any more.
    .replace(/^(@temporalio\/worker@[^+]+)\+[0-9a-f]{64}$/, '$1');

/** Payloads are base64: what they say is looked at, and what is no text is left alone. */
function cleanPayload(data: string, machine: Machine): string {
  if (!BASE64.test(data)) return withoutNames(data, machine);
  const text = Buffer.from(data, 'base64').toString('utf8');
  const clean = withoutNames(text, machine);
  return clean === text ? data : Buffer.from(clean, 'utf8').toString('base64');
}

/** Any value of the JSON form of a history. */
export function withoutMachine(value: unknown, machine: Machine, key = ''): unknown {
  if (typeof value === 'string') return key === 'data' ? cleanPayload(value, machine) : withoutNames(value, machine);
  if (Array.isArray(value)) return value.map((one) => withoutMachine(one, machine));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, withoutMachine(one, machine, name)]));
}

/** All texts in it, payloads decoded. */
export function textsOf(value: unknown, key = ''): string[] {
  if (typeof value === 'string') return [key === 'data' ? Buffer.from(value, 'base64').toString('utf8') : value];
  if (value === null || typeof value !== 'object') return [];
  return Object.entries(value).flatMap(([name, one]) => textsOf(one, Array.isArray(value) ? '' : name));
}
