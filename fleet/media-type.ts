/** What a request says of its body before a byte of it is read: only JSON in UTF-8, uncompressed, is taken. Pure. */

/** The media type without its parameters, in lower case; empty where none is given. */
export const mediaTypeOf = (contentType: string | null | undefined): string =>
  (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';

export const isJsonType = (contentType: string | null | undefined): boolean =>
  mediaTypeOf(contentType) === 'application/json';

/** JSON is UTF-8, and ASCII is a part of that. */
const READ_CHARSETS: ReadonlySet<string> = new Set(['utf-8', 'utf8', 'us-ascii', 'ascii']);
const LONGEST_SHOWN = 40;

const shown = (text: string): string => JSON.stringify(text.slice(0, LONGEST_SHOWN));

/** Of several, the first that is not read. */
function otherCharset(contentType: string): string | null {
  for (const parameter of contentType.split(';').slice(1)) {
    const equals = parameter.indexOf('=');
    if (equals < 0 || parameter.slice(0, equals).trim().toLowerCase() !== 'charset') continue;
    const value = parameter
      .slice(equals + 1)
      .replaceAll('"', '')
      .trim();
    if (!READ_CHARSETS.has(value.toLowerCase())) return value;
  }
  return null;
}

export interface BodyHeaders {
  readonly contentType: string | null | undefined;
  readonly contentEncoding: string | null | undefined;
}

/** Why a body with these headers is not read, as a sentence; null where it is. */
export function unreadableBody({ contentType, contentEncoding }: BodyHeaders): string | null {
  const codings = (contentEncoding ?? '').split(',').map((coding) => coding.trim().toLowerCase());
  const coding = codings.find((name) => name !== '' && name !== 'identity');
  if (coding !== undefined)
    return `The body is sent with Content-Encoding ${shown(coding)}. Send it uncompressed, without that header.`;
  const charset = otherCharset(contentType ?? '');
  return charset === null ? null : `The body is announced with the charset ${shown(charset)}. Send it as UTF-8.`;
}
