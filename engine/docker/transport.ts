/**
 * Requests to the Docker Engine.
 *
 * 1. The client, by DOCKER_HOST.
 * 2. One call: bounded in number and time, cancellable, its errors translated.
 * 3. What the engine and its client say, as errors of our one table.
 * 4. Our own transport below dockerode: requests go to the engine and nowhere else.
 * 5. What docker-modem must not inspect.
 */
import { Agent, type ClientRequest, type IncomingMessage, type RequestOptions, request } from 'node:http';
import { addAbortSignal } from 'node:stream';
import { inspect } from 'node:util';
import Docker from 'dockerode';
import { DeckhandError, type ErrorCode, isDeckhandError } from '../../fleet/errors.ts';
import { onAbort, raceAbort, type Semaphore } from '../../lib/concurrency.ts';

/**
 * `unix:///path`, `npipe:////./pipe/name`, `tcp://host:port` or `http://host:port`. Connections are kept and used again,
 * which saves one of the two trips of a call.
 */
export function connectDocker(dockerHost: string): Docker {
  const local = /^(?:unix|npipe):\/\/(.+)$/.exec(dockerHost)?.[1];
  const agent = opaque(new Agent({ keepAlive: true }), 'agent');
  // `host: undefined` keeps dockerode from taking the host out of the environment.
  if (local) return useOwnTransport(new Docker(Object.assign({ socketPath: local }, { agent, host: undefined })));
  const url = URL.canParse(dockerHost) ? new URL(dockerHost) : null;
  if (url && ['tcp:', 'http:'].includes(url.protocol))
    return useOwnTransport(
      new Docker(Object.assign({ host: url.hostname, port: url.port || '2375' }, { agent, protocol: 'http' as const })),
    );
  throw new DeckhandError(
    'InvalidParameters',
    `DOCKER_HOST: ${JSON.stringify(dockerHost)} can't be used; write unix:///path or tcp://host:port`,
  );
}

/** Whether the engine runs on this machine, so that this machine's interfaces are in its way. */
export function isLocalEngine(docker: Docker): boolean {
  const { socketPath, host = '' } = docker.modem as { socketPath?: unknown; host?: string };
  return socketPath !== undefined || host === 'localhost' || host === '[::1]' || host.startsWith('127.');
}

// 2. One call

/** Reading takes milliseconds; a hung engine is found out after this long. */
export const READ_TIMEOUT_MS = 30_000;
/** Creating, starting and removing queue up inside a busy engine. */
export const CHANGE_TIMEOUT_MS = 120_000;

export interface CallOptions {
  /** What is tried, as a noun phrase with its object ("start of container web1"). */
  readonly doing: string;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number;
  /** Taken for the length of the call. */
  readonly semaphore?: Semaphore;
  /** How long an abort leaves a call that was sent to its end. Absent: it is cut off at once. */
  readonly graceMs?: number;
}

/**
 * Throws the signal's reason when it was aborted, else a DeckhandError: EngineUnreachable after `timeoutMs`, or what
 * {@link toDeckhandError} makes of the failure.
 */
export async function callEngine<T>(options: CallOptions, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { signal, timeoutMs, doing } = options;
  signal?.throwIfAborted();
  const release = options.semaphore ? await options.semaphore.acquire(signal) : undefined;
  const controller = new AbortController();
  let grace: NodeJS.Timeout | undefined;
  const stopListening = onAbort(signal, () => {
    if (options.graceMs === undefined) controller.abort();
    else grace = setTimeout(() => controller.abort(), options.graceMs);
  });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    controller.abort();
  }, timeoutMs);
  try {
    // Raced, so that a call which never ends, whatever the reason, ends with its time.
    return await raceAbort(work(opaque(controller.signal, 'signal')), controller.signal);
  } catch (error) {
    signal?.throwIfAborted();
    if (late)
      throw new DeckhandError(
        'EngineUnreachable',
        `${doing}: the Docker Engine gave no answer within ${timeoutMs / 1000} s`,
      );
    throw toDeckhandError(error, doing);
  } finally {
    clearTimeout(timer);
    clearTimeout(grace);
    stopListening();
    release?.();
  }
}

/** Waits for all, also when one fails, so that nothing is left running behind the caller; then throws the first failure. */
export async function allSettled<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  const results = await Promise.allSettled(promises);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
  return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
}

// 3. Errors
// What the Docker Engine and its client say becomes an error of our one table. Judged by status and type; only where the engine
// gives one status to different things do the texts below decide (recorded from 20.10 and 28, test/unit/engine-errors).

interface EngineText {
  readonly status: number;
  readonly text: RegExp;
  readonly code: ErrorCode;
}

/** The engine has an endpoint of that container’s name on the network, and no container on it. */
export const STALE_ENDPOINT = /endpoint with name \S+ already exists in network/i;

const TEXTS: readonly EngineText[] = [
  { status: 403, text: /address already in use/i, code: 'AddressTaken' },
  { status: 500, text: /address already in use/i, code: 'AddressTaken' },
  { status: 403, text: /has active endpoints/i, code: 'EngineBusy' },
  { status: 403, text: /pool overlaps with other one/i, code: 'EngineRefused' },
  // An engine of 20.10 knows no registry by its IPv6 address.
  { status: 400, text: /invalid reference format/i, code: 'InvalidImage' },
  // The base ended while its service joined it.
  { status: 400, text: /namespace path: .*no such file or directory/i, code: 'EngineBusy' },
  // What an engine left that was ended as it started a container; it is cleared away (containers.ts).
  { status: 403, text: STALE_ENDPOINT, code: 'EngineBusy' },
  { status: 404, text: /no such container/i, code: 'EngineBusy' },
  { status: 404, text: /network .* not found/i, code: 'EngineBusy' },
  { status: 404, text: /no such image/i, code: 'EngineBusy' },
  { status: 409, text: /removal of container .* is already in progress/i, code: 'EngineBusy' },
  { status: 409, text: /is restarting, wait until/i, code: 'EngineBusy' },
  { status: 409, text: /is already in use by container/i, code: 'NameTaken' },
  { status: 409, text: /cannot join network of a non.running container/i, code: 'ContainerExited' },
  {
    status: 500,
    text: /does not belong to any of this network's subnets|no configured subnet/i,
    code: 'EngineRefused',
  },
  { status: 500, text: /requested address is out of range/i, code: 'EngineRefused' },
  { status: 500, text: /invalid subinterface vlan name/i, code: 'EngineRefused' },
  { status: 500, text: /no available (?:ipv4 )?addresses on this/i, code: 'EngineRefused' },
  { status: 500, text: /is already using parent interface/i, code: 'EngineRefused' },
  { status: 500, text: /is not in a separate kernel namespace|executable file not found/i, code: 'EngineRefused' },
  { status: 500, text: /invalid (?:volume specification|mount config)/i, code: 'EngineRefused' },
  { status: 409, text: /is marked for removal/i, code: 'EngineBusy' },
];

/** System errors of the connection to the engine, as Node names them. */
const CONNECTION_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'ENOENT',
  'EACCES',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ERR_STREAM_PREMATURE_CLOSE',
  'EPROTO',
]);

/** Status of the engine's answer, or null when there was none. */
export function engineStatus(error: unknown): number | null {
  const status = (error as { statusCode?: unknown } | null)?.statusCode;
  return typeof status === 'number' ? status : null;
}

/** The engine's own words, without dockerode's prefix. */
export function engineMessage(error: unknown): string {
  const body = (error as { json?: { message?: unknown } } | null)?.json;
  if (typeof body?.message === 'string') return body.message.trim();
  return (error instanceof Error ? error.message : String(error)).trim();
}

/** In the words of the kernel, whoever passes them on: the engine, a build, a pull. */
export const isDiskFull = (message: string): boolean => /no space left on device|disk quota exceeded/i.test(message);

function codeOfStatus(status: number, message: string): ErrorCode {
  if (isDiskFull(message)) return 'DiskFull';
  const known = TEXTS.find((entry) => entry.status === status && entry.text.test(message));
  if (known) return known.code;
  return status >= 500 || status === 408 || status === 429 ? 'EngineBusy' : 'EngineRefused';
}

/** `doing`: what was tried, as a noun phrase with its object ("start of container web1"). Anything → a DeckhandError. */
export function toDeckhandError(error: unknown, doing: string): DeckhandError {
  if (isDeckhandError(error)) return error;
  const message = engineMessage(error);
  const status = engineStatus(error);
  if (status !== null)
    return new DeckhandError(codeOfStatus(status, message), `${doing}: the engine says (${status}) ${message}`, {
      cause: error,
    });
  const code = (error as { code?: unknown } | null)?.code;
  const lost =
    // HPE_…: what Node's parser says of an answer that is no HTTP.
    (typeof code === 'string' && (CONNECTION_CODES.has(code) || code.startsWith('HPE_'))) ||
    /^(aborted|socket hang up)$/.test(message);
  if (lost)
    return new DeckhandError('EngineUnreachable', `${doing}: the Docker Engine does not answer (${message})`, {
      cause: error,
    });
  if (isDiskFull(message))
    return new DeckhandError('DiskFull', `${doing}: the disk is full (${message})`, { cause: error });
  return new DeckhandError('Internal', `${doing}: ${message}`, { cause: error });
}

// 4. Our own transport
// How a request of dockerode goes over the wire. docker-modem's own way follows redirects, to any host and with errors that
// nobody can catch; it waits for ever where an answer breaks off; and it takes a name as it stands for a part of a path.
// Here a request goes to the engine and nowhere else, to a path that was meant, and its callback is called once.

/** What docker-modem calls a request by. */
interface Dial {
  readonly path: string;
  readonly method: string;
  readonly isStream?: boolean;
  readonly openStdin?: boolean;
  readonly statusCodes: Readonly<Record<string, unknown>>;
}

type Callback = (error: unknown, answer?: unknown) => void;
type Body = string | Buffer | (NodeJS.ReadableStream & { destroy?: () => void }) | undefined;

interface Modem {
  readonly protocol: string;
  buildRequest(options: RequestOptions, dial: Dial, body: Body, callback: Callback): void;
  buildPayload(
    error: unknown,
    isStream: boolean | undefined,
    statusCodes: Dial['statusCodes'],
    openStdin: boolean | undefined,
    request: unknown,
    response: unknown,
    json: unknown,
    callback: Callback,
  ): void;
}

/** Name or id of a container or a network. */
const NAME = '[A-Za-z0-9][A-Za-z0-9_.-]*';
/** Made of characters of an image reference, each part with a letter or a digit: no `.` and no `..`. */
const IMAGE_PART = '[A-Za-z0-9_.:@[\\]-]*[A-Za-z0-9\\]][A-Za-z0-9_.:@[\\]-]*';
const IMAGE = `${IMAGE_PART}(?:/${IMAGE_PART})*`;
const VERB = '[a-z]+';
/** Method and path of the requests that the Docker API has, query left out. */
const MEANT = [
  `[A-Z]+ /_?${VERB}`,
  `[A-Z]+ /(?:containers|networks|volumes|images|exec)/${NAME}`,
  `(?:GET|POST|PUT|HEAD) /(?:containers|exec)/${NAME}/${VERB}`,
  `POST /networks/${NAME}/(?:connect|disconnect)`,
  `(?:GET /images/${IMAGE}/json|DELETE /images/${IMAGE})`,
].map((pattern) => new RegExp(`^${pattern}\\??$`));

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !Buffer.isBuffer(value);
const hasId = (value: unknown): boolean => isObject(value) && typeof value.Id === 'string';
const listOf = (isOne: (value: unknown) => boolean) => (value: unknown) => Array.isArray(value) && value.every(isOne);

/** What an answer of the engine has to be, so far as anybody reads it. The first that fits counts. */
const SHAPES: readonly (readonly [request: RegExp, fits: (answer: unknown) => boolean])[] = [
  [/^GET \/containers\/json\?/, listOf((one) => hasId(one) && isObject((one as { Labels?: unknown }).Labels))],
  [/^GET \/networks\??$/, listOf((one) => hasId(one) && typeof (one as { Name?: unknown }).Name === 'string')],
  [
    /^GET \/containers\/[^/]+\/json/,
    (one) =>
      hasId(one) && isObject((one as { State?: unknown }).State) && isObject((one as { Config?: unknown }).Config),
  ],
  [/^GET \/(?:images\/.+\/json|networks\/[^/]+)\??$/, hasId],
  [/^POST \/(?:containers|networks)\/create\?/, hasId],
  [/^GET \/(?:version|info)\??$/, isObject],
];

const wire = (code: string, message: string): Error => Object.assign(new Error(message), { code });

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString()) ?? body;
  } catch {
    return body;
  }
}

/** A redirect as the error of a status, as dockerode would throw it. */
function redirectError(response: IncomingMessage): Error {
  const where = JSON.stringify((response.headers.location ?? '').slice(0, 100));
  const message = `it answers with a redirect to ${where}, which is not followed`;
  return Object.assign(new Error(message), { statusCode: response.statusCode });
}

const isRedirect = ({ statusCode, headers }: IncomingMessage): boolean =>
  statusCode !== undefined && statusCode >= 300 && statusCode < 400 && headers.location !== undefined;

/** Makes every request of this client go by our own way. */
export function useOwnTransport(docker: Docker): Docker {
  const modem = docker.modem as unknown as Modem;
  if (modem.protocol !== 'http') throw new Error(`no transport for ${modem.protocol}`);
  modem.buildRequest = (options, dial, body, callback) => send(modem, options, dial, body, callback);
  return docker;
}

function send(modem: Modem, options: RequestOptions, dial: Dial, body: Body, callback: Callback): void {
  const call = `${dial.method} ${dial.path}`;
  if (!MEANT.some((meant) => meant.test(call))) {
    const shown = JSON.stringify(call.slice(0, 100));
    callback(new DeckhandError('EngineRefused', `${shown} is no request of the Docker API; nothing was sent`));
    return;
  }
  let over = false;
  const end = (error: unknown, response?: IncomingMessage, json?: unknown): void => {
    if (over) return;
    over = true;
    if (error !== null || response === undefined) callback(error);
    else modem.buildPayload(null, dial.isStream, dial.statusCodes, dial.openStdin, sent, response, json, callback);
  };
  let sent: ClientRequest;
  try {
    sent = request(options);
  } catch (error) {
    end(error);
    return;
  }
  sent.on('response', (response) => {
    if (isRedirect(response)) {
      end(redirectError(response));
      sent.destroy();
    } else if (dial.isStream) end(null, response);
    else readAnswer(response, options.signal, dial, end);
  });
  sent.on('error', end);
  sent.on('close', () => end(wire('ECONNRESET', 'the connection was closed without an answer')));
  write(sent, body, dial.openStdin === true);
}

/** Reads a whole answer; one that breaks off, or is not what Docker answers, is an error of the connection. */
function readAnswer(
  response: IncomingMessage,
  signal: AbortSignal | undefined,
  dial: Dial,
  end: (error: unknown, response?: IncomingMessage, json?: unknown) => void,
): void {
  if (signal) addAbortSignal(signal, response);
  const chunks: Buffer[] = [];
  response.on('data', (chunk: Buffer) => chunks.push(chunk));
  response.on('error', (error) => end(error));
  response.on('close', () => end(wire('ECONNRESET', 'the answer broke off')));
  response.on('end', () => {
    const json = parseJson(Buffer.concat(chunks));
    const shape = SHAPES.find(([pattern]) => pattern.test(`${dial.method} ${dial.path}`));
    if (dial.statusCodes[String(response.statusCode)] === true && shape && !shape[1](json))
      end(wire('EPROTO', 'what answers there does not answer as Docker does'));
    else end(null, response, json);
  });
}

function write(sent: ClientRequest, body: Body, keepsOpen: boolean): void {
  if (typeof body === 'string' || Buffer.isBuffer(body)) sent.write(body);
  else if (body) {
    body.on('error', (error) => sent.destroy(error));
    sent.on('close', () => body.destroy?.());
    body.pipe(sent);
    return;
  }
  if (!keepsOpen) sent.end();
}

// 5. Opaque objects
// docker-modem inspects the options of every request for its debug log, whole and without a depth limit, whether anybody
// reads it or not. An agent or a signal leads from there to every socket and listener of the process: seconds of a blocked
// event loop in a busy worker. What is opaque is inspected as its label alone.

export function opaque<T extends object>(value: T, label: string): T {
  Object.defineProperty(value, inspect.custom, { value: () => `<${label}>`, enumerable: false });
  return value;
}
