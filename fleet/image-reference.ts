/**
 * Docker's grammar of an image reference, as github.com/distribution/reference has it: `[domain/]path[:tag][@digest]`.
 * A reference becomes part of a path of the engine's API, and the engine asks the host that it names. So nothing that is
 * not of this grammar goes any further: no scheme, no `..`, no white space, no empty component.
 */
import { DeckhandError } from './errors.ts';
import { quote } from './text.ts';

export interface ImageReference {
  /** Host of the registry, with its port; null where the reference names none, which means Docker Hub. */
  readonly domain: string | null;
  readonly path: string;
  readonly tag: string | null;
  /** `sha256:…`. */
  readonly digest: string | null;
}

/** RepositoryNameTotalLengthMax of the grammar. */
const NAME_LENGTH = 255;
/** More than any valid reference has: name, tag, digest. Keeps what follows short. */
const REFERENCE_LENGTH = NAME_LENGTH + 1 + 128 + 1 + 'sha512:'.length + 128;
const SHOWN_CHARACTERS = 80;

const DOMAIN =
  /^(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[A-Fa-f0-9:]+\])(?::[0-9]+)?$/;
/** One separator between two runs of letters and digits: `.`, `_`, `__`, or any number of dashes. */
const COMPONENT = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
/** Algorithms that the engine knows, with the length of their hexadecimal digits. */
const DIGESTS: ReadonlyMap<string, number> = new Map([
  ['sha256', 64],
  ['sha384', 96],
  ['sha512', 128],
]);
const IDENTIFIER = /^[a-f0-9]{64}$/;

/** Which part of the grammar a text breaks: a phrase that follows the text. */
class Broken extends Error {}

function checkDigest(digest: string): void {
  const [algorithm = '', hex = '', ...rest] = digest.split(':');
  const length = DIGESTS.get(algorithm);
  if (length === undefined) throw new Broken(`its digest is none of ${[...DIGESTS.keys()].join(', ')}`);
  if (rest.length > 0 || hex.length !== length || !/^[a-f0-9]+$/.test(hex))
    throw new Broken(`its ${algorithm} digest is not ${length} hexadecimal digits in lower case`);
}

/** The grammar reads `sha256:…` as a repository with a tag, but an engine takes it for the id of an image that it has. */
function isDigest(text: string): boolean {
  const [algorithm = '', hex = ''] = text.split(':');
  return DIGESTS.get(algorithm) === hex.length && /^[a-f0-9]+$/.test(hex);
}

/** What stands before the first slash is a registry where it has a dot or a port, or is `localhost`. */
function splitDomain(name: string): readonly [domain: string | null, path: string] {
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  const isDomain = /[.:]/.test(first) || first === 'localhost';
  return isDomain ? [first, name.slice(slash + 1)] : [null, name];
}

function checkComponent(component: string): void {
  if (component === '') throw new Broken('a part of its path is empty');
  if (/[A-Z]/.test(component)) throw new Broken('its path is not in lower case');
  if (!COMPONENT.test(component)) throw new Broken(`${quote(component)} can be no part of its path`);
}

function parse(text: string): ImageReference {
  if (text === '') throw new Broken('it is empty');
  if (/\s/.test(text)) throw new Broken('it has white space inside');
  if (text.includes('://')) throw new Broken('it has a scheme; a reference is no URL');
  if (text.length > REFERENCE_LENGTH) throw new Broken(`it has ${text.length} characters`);
  if (IDENTIFIER.test(text)) throw new Broken('64 hexadecimal digits are an image’s id, not its name');
  if (isDigest(text)) throw new Broken('a digest alone is an image’s id, not its name');
  const at = text.indexOf('@');
  const digest = at < 0 ? null : text.slice(at + 1);
  if (digest !== null) checkDigest(digest);
  const tagged = at < 0 ? text : text.slice(0, at);
  const colon = tagged.lastIndexOf(':');
  const hasTag = colon > tagged.lastIndexOf('/');
  const tag = hasTag ? tagged.slice(colon + 1) : null;
  if (tag !== null && !TAG.test(tag)) throw new Broken(`${quote(tag)} can be no tag`);
  const name = hasTag ? tagged.slice(0, colon) : tagged;
  if (name === '') throw new Broken('it has no name');
  if (name.length > NAME_LENGTH) throw new Broken(`its name has more than ${NAME_LENGTH} characters`);
  const [domain, path] = splitDomain(name);
  if (domain !== null && !DOMAIN.test(domain)) throw new Broken(`${quote(domain)} can be no registry`);
  for (const component of path.split('/')) checkComponent(component);
  return { domain, path, tag, digest };
}

/** Throws InvalidImage; `where` begins the sentence ("[custom-x] binary= (line 3)"). */
export function parseImageReference(text: string, where: string): ImageReference {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    const shown = text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
    throw new DeckhandError(
      'InvalidImage',
      `${where}: ${quote(shown)} is no image reference: ${error.message}. Write it as Docker does, for example registry.example:5000/team/image:tag.`,
    );
  }
}

/** Domain and path, without tag and digest. */
export const repositoryOf = ({ domain, path }: ImageReference): string =>
  domain === null ? path : `${domain}/${path}`;

/** The text again, character for character. */
export const formatImageReference = (reference: ImageReference): string =>
  repositoryOf(reference) +
  (reference.tag === null ? '' : `:${reference.tag}`) +
  (reference.digest === null ? '' : `@${reference.digest}`);
