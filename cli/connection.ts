/** Where the API is, who asks, and whom to trust: flags first, then the environment, then the stack's own stack.json. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { rootCertificates } from 'node:tls';
import { Agent, fetch as fetchBy } from 'undici';
import { z } from 'zod';
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
  /** Where the command was told whom to trust; else Node's own. */
  readonly fetch?: Fetch;
}

export interface ConnectionOptions {
  readonly api?: string | undefined;
  readonly ca?: string | undefined;
  readonly home?: string | undefined;
}

const stackFileSchema = z.object({
  api_url: z.string(),
  swarm_url: z.string().nullish(),
  temporal_address: z.string().nullish(),
  temporal_namespace: z.string().nullish(),
  temporal_ui_url: z.string().nullish(),
  nats_url: z.string().nullish(),
  docker_host: z.string().nullish(),
  admin: z.object({ username: z.string(), password: z.string() }),
  login_key: z.string().nullish(),
  processes: z.array(z.object({ name: z.string(), pid: z.number() })).default([]),
});
export type StackFile = z.infer<typeof stackFileSchema>;

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
  const parsed = stackFileSchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw new CliError(EXIT.couldNotAsk, `${path} is not a whole stack file.`, {
    advice: 'Run `npm start`: it writes the file anew.',
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function fromEnvironment(environment: NodeJS.ProcessEnv): Credentials | null {
  if (environment.DECKHAND_TOKEN) return { token: environment.DECKHAND_TOKEN };
  const { DECKHAND_USER: username, DECKHAND_PASSWORD: password } = environment;
  return username && password ? { username, password } : null;
}

/** Resolves anew at each call, since a restarted stack may have moved. Throws CliError (255) when there is nothing to ask. */
export function resolveConnection(options: ConnectionOptions, environment: NodeJS.ProcessEnv): Connection {
  const named = options.api ?? environment.DECKHAND_API_URL;
  const own = fromEnvironment(environment);
  const ca = options.ca ?? environment.DECKHAND_CA;
  const trust = ca ? { fetch: fetchTrusting(ca) } : {};
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

// Whom to trust besides Node's own authorities, when the master speaks TLS

type Fetch = (url: URL | string, init?: RequestInit) => Promise<Response>;

/** `file` holds authorities in PEM. Throws CliError when it can't be read. */
function fetchTrusting(file: string): Fetch {
  const dispatcher = new Agent({ connect: { ca: [...rootCertificates, readAuthorities(file)] } });
  // The same interfaces, by the library that Node's own fetch is made of.
  return (url, init) =>
    fetchBy(url, { ...init, dispatcher } as Parameters<typeof fetchBy>[1]) as Promise<unknown> as Promise<Response>;
}

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
