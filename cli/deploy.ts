/** `deckhand deploy`: reads the INI, sends it, and follows it with --wait. */
import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { buffer as readAll } from 'node:stream/consumers';
import { byteName, encodingProblem, lineAt } from '../fleet/encoding.ts';
import { OPERATION } from '../fleet/lifecycle.ts';
import type { Missing } from './add-missing.ts';
import { type Context, printJson } from './context.ts';
import { CliError, EXIT, type ExitCode } from './errors.ts';
import { follow, nextCommands, reportEnd, submit } from './follow.ts';
import type { Accepted, DeployRequest, RowView } from './master.ts';
import { DEFAULT_TIMEOUT_MS } from './options.ts';
import { countByStatus } from './rows.ts';
import { deckies } from './text.ts';

interface DeployOptions {
  readonly replace?: boolean;
  readonly addMissing?: boolean;
  readonly wait?: boolean;
  readonly timeout?: number;
  readonly maxParallel?: number;
  readonly minHealthyTime?: string;
  readonly healthyDeadline?: string;
  readonly progressDeadline?: string;
  readonly hostLostAfter?: string;
  readonly idempotencyKey?: string;
  readonly summaryFile?: string;
}

/** How long a deploy that is not waited for is sent again while the master does not answer. */
const SUBMIT_MS = 30_000;
/** With --wait, time for an API that is being restarted; without, a master that is not there is said at once. */
const RESTART_MS = 10_000;

function bodyOf(ini: string, options: DeployOptions): DeployRequest {
  return {
    ini_content: ini,
    replace_fleet: options.replace === true,
    ...(options.maxParallel !== undefined && { max_parallel: options.maxParallel }),
    ...(options.minHealthyTime !== undefined && { min_healthy_time: options.minHealthyTime }),
    ...(options.healthyDeadline !== undefined && { healthy_deadline: options.healthyDeadline }),
    ...(options.progressDeadline !== undefined && { progress_deadline: options.progressDeadline }),
    ...(options.hostLostAfter !== undefined && { host_lost_after: options.hostLostAfter }),
  };
}

/** With --replace the master itself finds out what is unchanged. */
async function toSend(context: Context, file: string, options: DeployOptions): Promise<Missing> {
  const ini = await readText(file);
  if (!options.addMissing || options.replace) return { ini, unchanged: [], underway: [], warnings: [] };
  const { selectMissing } = await import('./add-missing.ts');
  return selectMissing(ini, (await context.master.fleet()).deckies);
}

async function send(context: Context, ini: string, options: DeployOptions, deadline: number): Promise<Accepted> {
  const { io } = context;
  const key = options.idempotencyKey ?? randomUUID();
  const accepted = await submit(context.master, () => context.master.deploy(bodyOf(ini, options), key), {
    deadline,
    silentDeadline: options.wait ? Date.now() + RESTART_MS : 0,
    interrupted: io.interrupted,
    onRetry: io.err,
  });
  for (const warning of accepted.warnings ?? []) io.err(`warning: ${warning}`);
  return accepted;
}

/** Written once all have ended. `succeeded` are those that this deploy brought up, `unchanged` those that were there already. */
async function writeSummary(file: string | undefined, rows: readonly RowView[], unchanged: number): Promise<void> {
  if (file === undefined) return;
  const counts = countByStatus(rows.filter((row) => row.operation === OPERATION.deploy));
  const summary = { succeeded: counts.succeeded, failed: counts.failed, unchanged };
  await writeFile(file, `${JSON.stringify(summary)}\n`);
}

function announce(context: Context, accepted: Accepted | null, missing: Missing): void {
  const { io, json } = context;
  if (json) return;
  if (missing.unchanged.length > 0)
    io.out(`${deckies(missing.unchanged.length)} already there: ${missing.unchanged.join(', ')}`);
  if (missing.underway.length > 0) io.out(`${deckies(missing.underway.length)} already under way`);
  if (!accepted) return;
  const removed = accepted.removed_lifecycle_ids?.length ?? 0;
  const also = removed > 0 ? `, ${removed} to remove` : '';
  io.out(
    `Accepted: ${deckies(accepted.lifecycle_ids.length)}${also} (deployment ${accepted.deployment_id ?? 'unnamed'})`,
  );
}

/** For the JSON document: absent where there are none. */
function allWarnings(accepted: Accepted | null, missing: Missing): { warnings?: readonly string[] } {
  const warnings = [...missing.warnings, ...(accepted?.warnings ?? [])];
  return warnings.length > 0 ? { warnings } : {};
}

function acceptedOnly(context: Context, accepted: Accepted | null, missing: Missing): ExitCode {
  const unchanged = missing.unchanged.length;
  if (context.json) printJson(context.io, { ...accepted, ...allWarnings(accepted, missing), unchanged });
  else if (accepted?.deployment_id) context.io.out(`Follow it: deckhand status ${accepted.deployment_id} --wait`);
  return EXIT.succeeded;
}

/** Exit codes: errors.ts. Without --wait, 0 means that the deploy was accepted. */
export async function deploy(context: Context, file: string, options: DeployOptions): Promise<ExitCode> {
  const startedAt = Date.now();
  const timeoutMs = options.timeout ?? DEFAULT_TIMEOUT_MS;
  const missing = await toSend(context, file, options);
  for (const warning of missing.warnings) context.io.err(`warning: ${warning}`);
  const deadline = startedAt + (options.wait ? timeoutMs : SUBMIT_MS);
  const accepted = missing.ini === null ? null : await send(context, missing.ini, options, deadline);
  announce(context, accepted, missing);
  const nothingToFollow = accepted === null && missing.underway.length === 0;
  if (nothingToFollow && !context.json) context.io.out('Nothing to do.');
  if (!options.wait || nothingToFollow) {
    if (nothingToFollow) await writeSummary(options.summaryFile, [], missing.unchanged.length);
    return nothingToFollow && !context.json ? EXIT.succeeded : acceptedOnly(context, accepted, missing);
  }
  const id = accepted?.deployment_id ?? null;
  const others = [
    ...missing.underway,
    ...(accepted && id === null ? [...accepted.lifecycle_ids, ...(accepted.removed_lifecycle_ids ?? [])] : []),
  ];
  const result = await follow(context, { id, lifecycleIds: others, deadline: startedAt + timeoutMs });
  if (result.end === 'ended') await writeSummary(options.summaryFile, result.snapshot.rows, missing.unchanged.length);
  return reportEnd(context.io, {
    result,
    unchanged: missing.unchanged.length,
    what: 'The deploy',
    next: nextCommands(id),
    startedAt,
    json: context.json,
    extra: { ...accepted, ...allWarnings(accepted, missing) },
  });
}

// Reading what the operator names: a file, or `-` for standard input. Only UTF-8 goes to the master.

async function bytesOf(file: string): Promise<Uint8Array> {
  try {
    return file === '-' ? await readAll(process.stdin) : await readFile(file);
  } catch (cause) {
    throw new CliError(EXIT.couldNotAsk, `${file} can’t be read: ${(cause as Error).message}`, { cause });
  }
}

const nameOf = (file: string): string => (file === '-' ? 'Standard input' : file);

function refusal(file: string, bytes: Uint8Array): CliError | null {
  const problem = encodingProblem(bytes);
  if (problem === null) return null;
  const { encoding, offset, byte } = problem;
  const what =
    byte === null
      ? `${nameOf(file)} is ${encoding}.`
      : `${nameOf(file)} is not UTF-8: line ${lineAt(bytes, offset)} holds ${byteName(byte)}, as ${encoding} has it.`;
  return new CliError(EXIT.couldNotAsk, `${what} Save the file as UTF-8.`);
}

/** A byte order mark of UTF-8 is taken off: editors put it there, and it means nothing. Throws CliError. */
export async function readText(file: string): Promise<string> {
  const bytes = await bytesOf(file);
  const refused = refusal(file, bytes);
  if (refused !== null) throw refused;
  return new TextDecoder().decode(bytes);
}
