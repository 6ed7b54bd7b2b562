/** Where the API is, who asks, and whom to trust: flags first, then the environment, then the stack's own stack.json. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { CliError, EXIT } from './errors.ts';

export type Credentials =
  | { readonly token: string }
  | { readonly username: string; readonly password: string }
  | { readonly missing: string };

export interface Connection {
  /** Without a path or a slash at the end. */
  readonly apiUrl: string;
  readonly credentials: Credentials;
  /** Of the stack's own file: shown at the login, so that wrong passwords of others don't make the command wait. */
  readonly loginKey?: string;
  /** Authorities to trust besides Node's own, in PEM. */
  readonly ca?: string;
}

export interface ConnectionOptions {
  readonly api?: string | undefined;
  readonly ca?: string | undefined;
  readonly home?: string | undefined;
}

/** What the command reads of stack.json. */
export interface StackFile {
  readonly api_url: string;
  readonly swarm_url: string | null;
  readonly temporal_ui_url: string | null;
  readonly nats_url: string | null;
  readonly docker_host: string | null;
  readonly admin: { readonly username: string; readonly password: string };
  readonly login_key: string | null;
}

export const homeOf = (options: ConnectionOptions, environment: NodeJS.ProcessEnv): string =>
  resolve(options.home ?? (environment.DECKHAND_HOME || '.deckhand'));

/** Reads `<home>/stack.json`; null when there is none. Throws CliError when it can't be read or makes no sense. */
export function readStackFile(home: string): StackFile | null {
  const path = join(home, 'stack.json');
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new CliError(EXIT.couldNotAsk, `${path} can’t be read: ${(cause as Error).message}`, {
      advice: 'Run the command as the user who ran `npm start`.',
      cause,
    });
  }
  const stack = parseStackFile(text);
  if (stack !== null) return stack;
  throw new CliError(EXIT.couldNotAsk, `${path} is not a whole stack file.`, {
    advice: 'Run `npm start`: it writes the file again.',
  });
}

/** By hand: loading a schema library would cost every command more processor time than its request. Null: not whole. */
function parseStackFile(text: string): StackFile | null {
  let content: Partial<Record<keyof StackFile, unknown>> | null;
  try {
    content = JSON.parse(text);
  } catch {
    return null;
  }
  const { api_url, admin } = content ?? {};
  if (typeof api_url !== 'string' || typeof admin !== 'object' || admin === null) return null;
  const [username, password] = [Reflect.get(admin, 'username'), Reflect.get(admin, 'password')];
  if (typeof username !== 'string' || typeof password !== 'string') return null;
  const optional = (name: keyof StackFile): string | null => {
    const value = content?.[name];
    return typeof value === 'string' ? value : null;
  };
  return {
    api_url,
    swarm_url: optional('swarm_url'),
    temporal_ui_url: optional('temporal_ui_url'),
    nats_url: optional('nats_url'),
    docker_host: optional('docker_host'),
    admin: { username, password },
    login_key: optional('login_key'),
  };
}

function fromEnvironment(environment: NodeJS.ProcessEnv): Credentials | null {
  if (environment.DECKHAND_TOKEN) return { token: environment.DECKHAND_TOKEN };
  const { DECKHAND_USER: username, DECKHAND_PASSWORD: password } = environment;
  return username && password ? { username, password } : null;
}

/** Resolves again at each call, since a restarted stack may have moved. Throws CliError (255) when there is nothing to ask. */
export function resolveConnection(options: ConnectionOptions, environment: NodeJS.ProcessEnv): Connection {
  const named = options.api ?? environment.DECKHAND_API_URL;
  const own = fromEnvironment(environment);
  const ca = options.ca ?? environment.DECKHAND_CA;
  const trust = ca ? { ca: readAuthorities(ca) } : {};
  const home = homeOf(options, environment);
  if (named) {
    const missing = `No credentials for ${named}.`;
    const apiUrl = checkedUrl(named);
    return { apiUrl, credentials: own ?? { missing }, ...loginKeyFor(apiUrl, knownStack(home)), ...trust };
  }
  const stack = readStackFile(home);
  if (!stack)
    throw new CliError(EXIT.couldNotAsk, `No stack is known in ${home} (there is no stack.json).`, {
      advice:
        'Run `npm start` there, or name another place: --home DIR, or --api URL for a master that runs elsewhere.',
    });
  const apiUrl = checkedUrl(stack.api_url);
  return { apiUrl, credentials: own ?? stack.admin, ...loginKeyFor(apiUrl, stack), ...trust };
}

/** Null too where the file is of no use: whoever names another master need not have one. */
function knownStack(home: string): StackFile | null {
  try {
    return readStackFile(home);
  } catch {
    return null;
  }
}

/** Never shown to another address than the one that it is for. */
function loginKeyFor(apiUrl: string, stack: StackFile | null): Pick<Connection, 'loginKey'> {
  const same = stack !== null && URL.canParse(stack.api_url) && checkedUrl(stack.api_url) === apiUrl;
  return same && stack.login_key ? { loginKey: stack.login_key } : {};
}

function checkedUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url && (url.protocol === 'http:' || url.protocol === 'https:')) return url.href.replace(/\/+$/, '');
  throw new CliError(EXIT.couldNotAsk, `${JSON.stringify(text)} is no URL of an API.`, {
    advice: 'Write it as http://host:port, without a path.',
  });
}

/** `file` holds authorities in PEM. Throws CliError when it can't be read. */
function readAuthorities(file: string): string {
  const advice =
    'Name a file in PEM by --ca or DECKHAND_CA: the certificate of the authority that signed the master’s.';
  try {
    const text = readFileSync(file, 'utf8');
    if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  } catch (cause) {
    throw new CliError(EXIT.couldNotAsk, `${file} can’t be read: ${(cause as Error).message}`, { advice, cause });
  }
  throw new CliError(EXIT.couldNotAsk, `${file} holds no certificate.`, { advice });
}
