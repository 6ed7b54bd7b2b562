/** Which texts of a fleet are secret, and how they are cut out of what engines and agents say. */
import { serviceByName } from './catalog.ts';
import type { CustomService, DesiredDecky } from './config.ts';

/** Keys that hold a secret whatever the catalogue says of them; it knows only its own. */
const SECRET_NAME = /pass|pwd|secret|token|key|credential/i;
/** Shorter values are words of any text, and cutting them would leave nothing to read. */
const SHORTEST = 4;
const CUT = '[cut]';
const BASE64_PREFIX = 'b64:';

function isSecretKey(service: string, key: string): boolean {
  const known = serviceByName(service)?.service_cfg_keys.find((entry) => entry.key === key);
  return known?.secret === true || SECRET_NAME.test(key);
}

function decoded(text: string): readonly string[] {
  if (!text.startsWith(BASE64_PREFIX)) return [];
  try {
    const bytes = Uint8Array.from(atob(text.slice(BASE64_PREFIX.length)), (character) => character.charCodeAt(0));
    return [new TextDecoder().decode(bytes)];
  } catch {
    return [];
  }
}

/** As it stands in the INI, as the container gets it, and line by line, since logs are cut into lines. */
function forms(value: unknown): readonly string[] {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  return [text, ...decoded(text)].flatMap((form) => [
    form,
    form.trim(),
    ...form.split('\n').map((line) => line.trim()),
  ]);
}

/** `--password=x`, `--password x` and `TOKEN=x` of a custom service's command. */
function commandSecrets(service: CustomService): readonly string[] {
  const words = service.exec_cmd.split(/\s+/);
  return words.flatMap((word, index) => {
    const [name = '', ...value] = word.split('=');
    if (!SECRET_NAME.test(name)) return [];
    if (value.length > 0) return [value.join('=')];
    return name.startsWith('-') ? (words[index + 1] ?? []) : [];
  });
}

/** The secret values of these deckies: at least 4 characters each, longest first, so that no part is cut before the whole. */
export function secretValues(deckies: readonly DesiredDecky[]): string[] {
  const values = deckies.flatMap(({ config, custom_services }) => [
    ...Object.entries(config.service_config).flatMap(([service, keys]) =>
      Object.entries(keys).flatMap(([key, value]) => (isSecretKey(service, key) ? forms(value) : [])),
    ),
    ...custom_services.flatMap(commandSecrets),
  ]);
  return [...new Set(values)]
    .filter((value) => value.length >= SHORTEST)
    .sort((left, right) => right.length - left.length || (left < right ? -1 : 1));
}

const escaped = (value: string): string => value.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');

/** The text with every one of the values replaced by `[cut]`; give the values longest first, as {@link secretValues} does. */
export function cutSecrets(text: string, values: readonly string[]): string {
  const wanted = values.filter((value) => value !== '');
  return wanted.length === 0 ? text : text.replace(new RegExp(wanted.map(escaped).join('|'), 'g'), CUT);
}
