/**
 * The config hash of Compose v2 (docker/compose v2.40.3, pkg/compose/hash.go): the SHA-256 of a service as Go's
 * encoding/json writes it. Equal hashes are what makes `docker compose up` leave our containers alone. Covered are the
 * keys of fleet/compose.ts, volumes as binds only (`/host:/container[:ro|rw]`), which is all that Deckhand writes.
 */
import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import type { ComposeService } from '../../fleet/compose.ts';
import { networkOwner } from './labels.ts';

/** Go's structs keep their order and its maps are sorted; a JavaScript object would put keys that look like integers first. */
type GoObject = Map<string, unknown>;
type Entry = readonly [string, unknown];

/** Go escapes these five in every string; all else JSON.stringify writes alike. */
const GO_ESCAPED = /[<>&\u2028\u2029]/g;
const goEscape = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

function goJson(value: unknown): string {
  if (value instanceof Map) return `{${[...value].map(([key, item]) => `${goJson(key)}:${goJson(item)}`).join(',')}}`;
  if (Array.isArray(value)) return `[${value.map(goJson).join(',')}]`;
  return JSON.stringify(value).replace(GO_ESCAPED, goEscape);
}

const byUtf8 = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

const goMap = (map: Readonly<Record<string, unknown>>): GoObject =>
  new Map(
    Object.keys(map)
      .sort(byUtf8)
      .map((key) => [key, map[key]]),
  );

const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  value === '' ||
  value === false ||
  (Array.isArray(value) && value.length === 0) ||
  (value instanceof Map && value.size === 0);

/** Go's `omitempty`. */
const withoutEmpty = (entries: readonly Entry[]): Entry[] => entries.filter(([, value]) => !isEmpty(value));

function goVolume(text: string): GoObject {
  const [source = '', target = '', mode] = text.split(':');
  const cleanTarget = posix.normalize(target).replace(/(.)\/$/, '$1');
  return new Map(
    withoutEmpty([
      ['type', 'bind'],
      ['source', source],
      ['target', cleanTarget],
      ['read_only', mode === 'ro'],
      ['bind', new Map([['create_host_path', true]])],
    ]),
  );
}

const goNetworks = (networks: NonNullable<ComposeService['networks']>): GoObject =>
  new Map([...goMap(networks)].map(([key, value]) => [key, goMap(value as Record<string, unknown>)]));

const goLogging = ({ driver, options }: NonNullable<ComposeService['logging']>): GoObject =>
  new Map(
    withoutEmpty([
      ['driver', driver],
      ['options', goMap(options)],
    ]),
  );

/**
 * `baseId` is the id of the container whose network a service shares: Compose hashes `network_mode` with the reference
 * resolved, so that a service is made anew when its base was.
 */
export function composeConfigHash(service: ComposeService, baseId: string | null): string {
  const networkMode = networkOwner(service) === null ? service.network_mode : `container:${baseId ?? ''}`;
  const entries: Entry[] = [
    ...withoutEmpty([['cap_add', service.cap_add]]),
    ['command', service.command ?? null],
    ...withoutEmpty([['container_name', service.container_name]]),
    ['entrypoint', null],
    ...withoutEmpty([
      ['environment', service.environment && goMap(service.environment)],
      ['hostname', service.hostname],
      ['image', service.image],
      ['labels', service.labels && goMap(service.labels)],
      ['logging', service.logging && goLogging(service.logging)],
      ['network_mode', networkMode],
      ['networks', service.networks && goNetworks(service.networks)],
      ['restart', service.restart],
      ['sysctls', service.sysctls && goMap(service.sysctls)],
      ['volumes', service.volumes?.map(goVolume)],
    ]),
  ];
  return createHash('sha256')
    .update(goJson(new Map(entries)))
    .digest('hex');
}
