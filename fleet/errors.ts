/**
 * The one table of error codes. A code is at once the `type` of a Temporal failure, the `code` of an HTTP error body and
 * the prefix of a row's `error` ("Code: sentence"). docs/errors.md is generated from this table (`npm run docs:errors`).
 */
import { boundedText } from './text.ts';

interface ErrorDefinition {
  /** HTTP status when the error reaches a client; null where it only ever ends a row or a workflow. */
  readonly status: number | null;
  /** True where trying again, unchanged, may succeed: Temporal retries it. */
  readonly retryable: boolean;
  /** What it means and what to do, for docs/errors.md. */
  readonly meaning: string;
}

const define = <T extends Record<string, ErrorDefinition>>(table: T): Readonly<T> => Object.freeze(table);

export const ERRORS = define({
  // What was asked for can't be taken.
  InvalidIni: {
    status: 409,
    retryable: false,
    meaning: 'The INI can’t be read. Mend the line that the sentence names.',
  },
  IniTooLarge: { status: 422, retryable: false, meaning: 'The INI is longer than 524,288 characters.' },
  InvalidDecky: {
    status: 409,
    retryable: false,
    meaning:
      'A decky of the INI asks for something impossible (name, amount, service, archetype, nmap_os, service configuration).',
  },
  InvalidImage: {
    status: 409,
    retryable: false,
    meaning: 'The name of an image is no image reference of Docker. Write it as `docker pull` takes it.',
  },
  InvalidAddress: {
    status: 409,
    retryable: false,
    meaning: 'An address is no address, lies outside the subnet, is reserved, or is wanted twice.',
  },
  PoolExhausted: { status: 409, retryable: false, meaning: 'The subnet has no free address left.' },
  NetworkConflict: {
    status: 409,
    retryable: false,
    meaning:
      'The network can’t be detected, an interface does not exist, something of the machine is in its way, or the fleet already lives on another network.',
  },
  DeckyExists: {
    status: 409,
    retryable: false,
    meaning: 'A decky of that name exists. Use another name, or replace_fleet.',
  },
  AddressInUse: { status: 409, retryable: false, meaning: 'An existing decky has that address.' },
  DeckyBusy: {
    status: 409,
    retryable: false,
    meaning: 'An operation on that decky is still open. Wait for the named lifecycle row to end.',
  },
  DeckyStopped: {
    status: 409,
    retryable: false,
    meaning: 'An operator stopped that decky (`deckhand stop`). Start it first.',
  },
  NotCancellable: {
    status: 409,
    retryable: false,
    meaning: 'The deployment has ended, was not accepted, or is being decided still; the sentence says which.',
  },
  DeploymentLimit: { status: 409, retryable: false, meaning: 'The fleet would be larger than the deployment limit.' },
  IdempotencyKeyReused: { status: 422, retryable: false, meaning: 'The Idempotency-Key was used with another body.' },
  InvalidRequest: {
    status: 400,
    retryable: false,
    meaning: 'The request does not have the shape that the endpoint wants.',
  },
  InvalidParameters: { status: 422, retryable: false, meaning: 'A value of the request is out of range.' },
  NotFound: { status: 404, retryable: false, meaning: 'There is no such thing.' },
  Unauthenticated: {
    status: 401,
    retryable: false,
    meaning: 'No token, or one that is invalid, expired or revoked. Log in.',
  },
  Forbidden: { status: 403, retryable: false, meaning: 'The user’s role does not allow it.' },
  PasswordChangeRequired: {
    status: 403,
    retryable: false,
    meaning: 'The user has to change the password first (POST /api/v1/auth/change-password), then log in again.',
  },
  UserExists: { status: 409, retryable: false, meaning: 'A user of that name exists. Use another name.' },
  MethodNotAllowed: {
    status: 405,
    retryable: false,
    meaning: 'The path has no such method; the Allow header names those that it has.',
  },
  UnsupportedMediaType: {
    status: 415,
    retryable: false,
    meaning: 'A body has to be JSON in UTF-8, uncompressed: send Content-Type: application/json.',
  },
  TooManyAttempts: {
    status: 429,
    retryable: true,
    meaning: 'Too many wrong passwords. Wait for as long as Retry-After says.',
  },
  Unavailable: {
    status: 503,
    retryable: true,
    meaning: 'Temporal, PostgreSQL or every worker is out of reach. Nothing was done; try again.',
  },
  Withdrawn: {
    status: 503,
    retryable: true,
    meaning: 'The request was withdrawn because no worker accepted it in time. Nothing was done; try again.',
  },
  // What the container engine says.
  ImageUnavailable: { status: null, retryable: false, meaning: 'An image can be neither found nor pulled.' },
  BuildFailed: {
    status: null,
    retryable: false,
    meaning: 'An image could not be built. The sentence carries the last lines of the build.',
  },
  NameTaken: {
    status: null,
    retryable: false,
    meaning: 'A container, network or name belongs to somebody else; Deckhand changes only what carries its own label.',
  },
  AddressTaken: { status: null, retryable: false, meaning: 'The engine refuses the address: something else has it.' },
  ContainerExited: {
    status: null,
    retryable: false,
    meaning: 'A container did not stay up. The sentence carries its exit code and last lines.',
  },
  HealthyDeadline: {
    status: null,
    retryable: false,
    meaning: 'The containers did not run min_healthy_time without a break within healthy_deadline.',
  },
  ProgressDeadline: {
    status: null,
    retryable: false,
    meaning: 'Nothing moved for progress_deadline. The sentence says what was being done.',
  },
  EngineRefused: { status: null, retryable: false, meaning: 'The container engine refuses the request for good.' },
  EngineUnreachable: {
    status: null,
    retryable: true,
    meaning: 'The container engine does not answer. It is tried again until progress_deadline.',
  },
  EngineBusy: {
    status: null,
    retryable: true,
    meaning: 'The container engine failed in a way that may pass. It is tried again, with growing pauses.',
  },
  DiskFull: {
    status: null,
    retryable: true,
    meaning:
      'A disk is full: the container engine’s, or the one of DECKHAND_HOME. Free space; the work is retried until its deadline.',
  },
  // How an operation ends without an answer of the engine.
  Cancelled: { status: null, retryable: false, meaning: 'The workflow was cancelled before the decky was done.' },
  WorkflowLost: {
    status: null,
    retryable: false,
    meaning:
      'The workflow that owned the row ended without ending it (terminated or failed). The sentence says what was seen on the engine.',
  },
  HostLost: { status: null, retryable: false, meaning: 'The host gave no sign of life for host_lost_after.' },
  // Hosts and their agents.
  HostUnreachable: {
    status: null,
    retryable: true,
    meaning: 'No connection to the host’s agent could be made. It is tried again until host_lost_after.',
  },
  HostSilent: {
    status: null,
    retryable: true,
    meaning:
      'The agent took the connection and did not answer in time, so that what it did is unknown. It is asked what runs.',
  },
  HostFailed: {
    status: null,
    retryable: true,
    meaning:
      'The agent answered that it failed (5xx); the sentence has its words. A teardown ends with this code, and you can try it again. Everything else is retried.',
  },
  HostMismatch: {
    status: null,
    retryable: false,
    meaning:
      'What answers at the host’s address is not the host that was enrolled (another certificate). Nothing was sent to it. Renew or enrol the host again.',
  },
  HostRefused: {
    status: null,
    retryable: false,
    meaning: 'The agent refuses the order for good; the sentence has its words.',
  },
  AgentDied: {
    status: null,
    retryable: false,
    meaning:
      'The host’s agent died again and again while it worked on the order or the decky, so that it gave it up. Its log has the cause; an image, a service or the host’s memory is a likely one.',
  },
  HostExists: {
    status: 409,
    retryable: false,
    meaning: 'A host of that name is enrolled. Use another name, or remove that host first.',
  },
  HostNameReserved: {
    status: 409,
    retryable: false,
    meaning: 'The name belongs to the master itself. Choose another.',
  },
  HostBusy: {
    status: 409,
    retryable: false,
    meaning: 'The host still has deckies. Drain it, or remove it with its deckies.',
  },
  NoHost: {
    status: 409,
    retryable: false,
    meaning: 'No other host takes new deckies. Enrol one, or let one take new deckies again.',
  },
  HostCannot: {
    status: 409,
    retryable: false,
    meaning: 'The host’s agent can’t do that; the sentence says what can be done instead.',
  },
  EnrollmentRefused: {
    status: 403,
    retryable: false,
    meaning: 'The enrolment token is unknown, expired or used, or the signing request is not right. Make a new token.',
  },
  AuthorityUnusable: {
    status: null,
    retryable: false,
    meaning:
      'The certificate authority’s directory does not hold a key and a certificate that fit. The sentence says what is wrong with it.',
  },
  Internal: { status: 500, retryable: true, meaning: 'Not foreseen: a bug. Report it with the request id.' },
});

export type ErrorCode = keyof typeof ERRORS;

/** What a withdrawn request is told, wherever it is told. */
export const WITHDRAWN =
  'No worker accepted the request in time (is one running, and does Temporal answer?). It was withdrawn: nothing was done, and nothing will be. Send it again.';

/** Longest `error` of a row, in characters, as DECNET cuts it (docs/wire.md#deckies-and-rows). */
export const ERROR_TEXT_LIMIT = 2000;

/** The one error class of the house: a code of the table, and a sentence that says what was wrong, where, and what to do. */
export class DeckhandError extends Error {
  override readonly name = 'DeckhandError';
  readonly code: ErrorCode;
  constructor(code: ErrorCode, sentence: string, options?: ErrorOptions) {
    super(sentence, options);
    this.code = code;
  }
  get retryable(): boolean {
    return ERRORS[this.code].retryable;
  }
}

export const isErrorCode = (text: string): text is ErrorCode => Object.hasOwn(ERRORS, text);

/** Guard that holds across module copies: the class by its name and a code of the table. */
export const isDeckhandError = (error: unknown): error is DeckhandError =>
  error instanceof Error && error.name === 'DeckhandError' && isErrorCode((error as DeckhandError).code);

/**
 * Any text as a row's `error` can hold it: without control characters, cut to {@link ERROR_TEXT_LIMIT} with the end kept, since
 * evidence stands last.
 */
export const rowText = (text: string): string => boundedText(text, ERROR_TEXT_LIMIT);

/** A row's `error`: `Code: sentence`, as {@link rowText} has it. */
export const errorText = (code: ErrorCode, sentence: string): string => rowText(`${code}: ${sentence}`);

/** docs/errors.md, made from the one table of error codes. */

const HEAD = `# Error codes

This page is generated from the table in \`fleet/errors.ts\` by \`npm run docs:errors\`; change the table, not the page.

A code is at once the \`type\` of a Temporal failure, the answer header \`Deckhand-Error-Code\`, and the start of a row's
\`error\` (\`Code: sentence\`). *Status* is the HTTP status with which it reaches a client; a dash means that it only ever
ends a row or a workflow. *Again* says whether the same thing, tried again unchanged, may succeed: Temporal retries it.

| code | status | again | what it means, and what to do |
|---|---|---|---|
`;

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** The page as Markdown, ending with a line break. */
export function renderErrorsPage(): string {
  const rows = Object.entries(ERRORS).map(
    ([code, { status, retryable, meaning }]) =>
      `| \`${code}\` | ${status ?? '–'} | ${retryable ? 'yes' : 'no'} | ${cell(meaning)} |\n`,
  );
  return HEAD + rows.join('');
}
