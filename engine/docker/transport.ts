/**
 * How a request of dockerode goes over the wire. docker-modem's own way follows redirects, to any host and with errors that
 * nobody can catch; it waits for ever where an answer breaks off; and it takes a name as it stands for a part of a path.
 * Here a request goes to the engine and nowhere else, to a path that was meant, and its callback is called once.
 */
import { type ClientRequest, type IncomingMessage, type RequestOptions, request } from 'node:http';
import { addAbortSignal } from 'node:stream';
import type Docker from 'dockerode';
import { DeckhandError } from '../../fleet/errors.ts';

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
