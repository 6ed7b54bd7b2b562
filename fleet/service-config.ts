/**
 * What a service's configuration becomes in its container. In DeckyConfig the values stay the INI's
 * texts; here they get the types of the catalogue (`nla = false` is false, `b64:` is decoded;
 * docs/gaps.md, C19), and what has no such type is refused.
 */
import type { CatalogService, ConfigKey } from './catalog.ts';
import { DeckhandError } from './errors.ts';

interface ServiceSettings {
  readonly environment: Readonly<Record<string, string>>;
  /** Compose short syntax. */
  readonly volumes: readonly string[];
}

/**
 * Keys whose value is a path of the host: mounted read-only at the target, which the variable
 * names.
 */
const MOUNT_TARGETS: Readonly<Record<string, string>> = {
  files: '/opt/html_files',
  email_seed: '/var/spool/decnet-emails/seed',
};
const TRUE_WORDS = ['true', '1', 'yes', 'on'];
const FALSE_WORDS = ['false', '0', 'no', 'off'];
/** What the web wizard puts before a textarea's value. */
const BASE64_PREFIX = 'b64:';
const BINARY_ZERO = '\0';
/** Linux starts no program with a longer variable. Base64 takes four characters for three. */
const LONGEST_VARIABLE = 128 * 1024 - 1_024;
const LONGEST_TEXT = (LONGEST_VARIABLE * 4) / 3 + BASE64_PREFIX.length;

type Fail = (what: string) => DeckhandError;

const asText = (value: unknown): string =>
  typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));

function decodeTextarea(text: string, fail: Fail): string {
  if (!text.startsWith(BASE64_PREFIX)) return text;
  try {
    const bytes = Uint8Array.from(atob(text.slice(BASE64_PREFIX.length)), (character) => character.charCodeAt(0));
    const decoded = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    if (!decoded.includes(BINARY_ZERO)) return decoded;
  } catch {
    // Falls through: not Base64, or not UTF-8.
  }
  throw fail('begins with "b64:" but is not the Base64 of a UTF-8 text');
}

function toInteger(text: string, fail: Fail): string {
  const number = Number(text);
  if (!/^[+-]?\d+$/.test(text) || !Number.isSafeInteger(number)) throw fail('must be a whole number');
  return String(number);
}

function toBoolean(text: string, fail: Fail): boolean {
  const word = text.toLowerCase();
  if (TRUE_WORDS.includes(word)) return true;
  if (FALSE_WORDS.includes(word)) return false;
  throw fail('must be true or false');
}

function toMember(text: string, key: ConfigKey, fail: Fail): string {
  const member = key.enum?.find((candidate) => candidate.toLowerCase() === text.toLowerCase());
  if (member === undefined) throw fail(`must be one of ${(key.enum ?? []).join(', ')}`);
  return member;
}

/** A comma list, or a JSON list, in the JSON spelling that DECNET's templates read. */
function toMembers(value: unknown, key: ConfigKey, fail: Fail): string {
  let items: unknown = value;
  if (typeof value === 'string' && value.trim().startsWith('[')) {
    try {
      items = JSON.parse(value);
    } catch {
      throw fail('is no JSON list');
    }
  }
  const list = Array.isArray(items) ? items.map(asText) : asText(items).split(/[,\n]/);
  const members = list.map((item) => item.trim()).filter((item) => item !== '');
  return `[${members.map((item) => JSON.stringify(toMember(item, key, fail))).join(', ')}]`;
}

/** The variable's text; null where an empty value means the default. */
function toVariable(key: ConfigKey, value: unknown, fail: Fail): string | null {
  const text = asText(value).trim();
  if (text.length > (text.startsWith(BASE64_PREFIX) ? LONGEST_TEXT : LONGEST_VARIABLE))
    throw fail(`has ${text.length} characters; an environment variable holds 127 KiB`);
  switch (key.type) {
    case 'int':
      return text === '' ? null : toInteger(text, fail);
    case 'bool':
      return text === '' ? null : String(toBoolean(text, fail));
    case 'enum':
      return text === '' ? null : toMember(text, key, fail);
    case 'multi_enum':
      return text === '' ? null : toMembers(value, key, fail);
    case 'textarea':
      return decodeTextarea(asText(value), fail);
    default:
      return asText(value);
  }
}

function toMount(value: unknown, target: string, fail: Fail): string {
  const path = asText(value);
  if (!path.startsWith('/') || path.includes(':')) throw fail('must be an absolute path of the host, without a colon');
  return `${path}:${target}:ro`;
}

/**
 * The variables and mounts that the configuration adds to what the service always has. A variable
 * that the service always has may be set empty; any other is left out when empty, and so is a false
 * switch. Keys that the catalogue does not know change nothing. Throws InvalidDecky, naming `decky`
 * and key but never the value.
 */
export function serviceSettings(
  service: CatalogService,
  values: Readonly<Record<string, unknown>>,
  decky: string,
): ServiceSettings {
  const environment: Record<string, string> = {};
  const volumes: string[] = [];
  for (const key of service.service_cfg_keys) {
    if (!Object.hasOwn(values, key.key) || values[key.key] == null) continue;
    const value = values[key.key];
    const fail: Fail = (what) => new DeckhandError('InvalidDecky', `[${decky}.${service.name}] ${key.key}= ${what}.`);
    const target = MOUNT_TARGETS[key.key];
    if (target !== undefined) {
      if (value === '') continue;
      volumes.push(toMount(value, target, fail));
      if (key.env !== undefined) environment[key.env] = target;
      continue;
    }
    const text = toVariable(key, value, fail);
    if (text === null || key.env === undefined || !key.applied_to_compose) continue;
    const always = Object.hasOwn(service.env_always, key.env);
    if (always || (text !== '' && !(key.type === 'bool' && text === 'false'))) environment[key.env] = text;
  }
  return { environment, volumes };
}
