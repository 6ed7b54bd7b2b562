/** What the environment says about a web decoy: SERVER_HEADER, RESPONSE_CODE, FAKE_APP, EXTRA_HEADERS, CUSTOM_BODY, FILES_DIR. */
import { validateHeaderName, validateHeaderValue } from 'node:http';
import { setting } from '../settings.mjs';

const EXTRA_HEADERS = 32;

/** Headers given as a JSON object or as `Name: value` lines; those that HTTP forbids are left out. */
function extraHeaders() {
  const text = process.env.EXTRA_HEADERS ?? '';
  const pairs = fromJson(text) ?? text.split(/\r?\n|\\n/).map((line) => line.split(/:\s*(.*)/s).slice(0, 2));
  return Object.fromEntries(pairs.filter(allowed).slice(0, EXTRA_HEADERS));
}

function fromJson(text) {
  try {
    const value = JSON.parse(text);
    return value && typeof value === 'object'
      ? Object.entries(value).map(([name, item]) => [name, String(item)])
      : undefined;
  } catch {
    return undefined;
  }
}

function allowed([name, value]) {
  try {
    validateHeaderName(name);
    validateHeaderValue(name, value);
    // The server itself says how long a body is and when the connection ends.
    return !/^(content-length|transfer-encoding|connection)$/i.test(name);
  } catch {
    return false;
  }
}

export function webSettings() {
  const status = Number(setting('RESPONSE_CODE', '200'));
  return {
    server: setting('SERVER_HEADER', 'Apache/2.4.57 (Debian)').replace(/[^\x20-\xff]/g, '?'),
    status: Number.isInteger(status) && status >= 200 && status <= 599 ? status : 200,
    app: setting('FAKE_APP', 'none').toLowerCase(),
    headers: extraHeaders(),
    body: process.env.CUSTOM_BODY || undefined,
    filesDirectory: setting('FILES_DIR'),
  };
}
