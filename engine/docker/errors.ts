/**
 * What the Docker Engine and its client say → errors of our one table. Judged by status and type; only where the engine
 * gives one status to different things do the texts below decide (recorded from 20.10 and 28, test/unit/engine-errors).
 */
import { DeckhandError, type ErrorCode, isDeckhandError } from '../../fleet/errors.ts';

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
