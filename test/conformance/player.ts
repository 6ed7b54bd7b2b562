/** Plays a step against the two listeners of a real master and waits where the recording machine did not have to. */
import { readFileSync } from 'node:fs';
import { type ClientRequest, type IncomingMessage, request as plainRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Checker, createChecker, descriptionOf } from '../support/master/document.ts';
import type { MasterProgram } from '../support/master/master-program.ts';
import type { World } from '../support/temporal/workflow-fixture.ts';
import { allow } from './allowances.ts';
import { type Answer, type Names, outsideAddress, type Step } from './recording.ts';

const REPEAT_FOR_MS = 10_000;
const REPEAT_EVERY_MS = 200;
/** Bytes of an INI that is too large; the recording says `(long)`. */
const LONG = 600 * 1024;

export interface Player {
  readonly world: World;
  readonly master: MasterProgram;
  readonly names: Names;
  readonly tokens: Map<string, string>;
  readonly identities: Map<string, { readonly cert: string; readonly key: string }>;
}

const bodyOf = (step: Step): unknown =>
  step.body === '(long)' ? { ini_content: `[a]\nservices=ssh\n#${'x'.repeat(LONG)}` } : step.body;

function headersOf({ tokens }: Player, step: Step, payload: string | undefined): Record<string, string> {
  const token = step.auth === null ? undefined : tokens.get(step.auth);
  if (step.auth !== null && token === undefined) throw new Error(`no token for ${step.auth}: an earlier step failed`);
  return {
    ...(payload === undefined ? {} : { 'content-type': 'application/json' }),
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...step.headers,
  };
}

/** One request, as the step says. */
export async function ask(player: Player, step: Step): Promise<Answer> {
  const { master, names, identities, world } = player;
  const body = names.resolve({ body: bodyOf(step) }).body;
  const payload = step.raw ?? (body === undefined ? undefined : JSON.stringify(body));
  const options = {
    method: step.method,
    path: names.resolve({ path: step.path }).path,
    headers: headersOf(player, step, payload),
    agent: false as const,
  };
  if (step.path.startsWith('/api/')) {
    const { hostname: host, port } = new URL(master.apiUrl);
    return described(
      player,
      options,
      await exchange((answered) => plainRequest({ ...options, host, port }, answered), payload),
    );
  }
  const fromElsewhere = step.note?.startsWith('request from ') === true;
  const tls = {
    ...options,
    // A request to an address that is not loopback comes from one.
    host: fromElsewhere ? outsideAddress() : '127.0.0.1',
    port: master.swarmPort,
    ca: readFileSync(join(world.config.caDir, 'ca.crt')),
    ...(step.certificate === undefined ? {} : identities.get(step.certificate)),
  };
  return exchange((answered) => tlsRequest(tls, answered), payload);
}

const checkers = new WeakMap<MasterProgram, Promise<Checker>>();

async function checkerOf(master: MasterProgram): Promise<Checker> {
  const answer = await fetch(`${master.apiUrl}/openapi.json`);
  return createChecker(descriptionOf((await answer.json()) as object));
}

/** The answer, which has to stand in the master's own document. */
async function described(
  { master }: Player,
  { method, path }: { method: string; path: string },
  answer: Answer,
): Promise<Answer> {
  const checker = checkers.get(master) ?? checkerOf(master);
  checkers.set(master, checker);
  const contentType = String(answer.headers['content-type'] ?? '');
  const problem = (await checker).problem(method, path, { status: answer.status, contentType, text: answer.text });
  if (problem !== null) throw new Error(problem);
  return answer;
}

function exchange(
  send: (answered: (response: IncomingMessage) => void) => ClientRequest,
  payload: string | undefined,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = send((response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        const isJson = response.headers['content-type']?.includes('json') === true && text !== '';
        const { statusCode: status = 0, headers } = response;
        resolve({ status, headers, text, json: isJson ? JSON.parse(text) : undefined });
      });
    });
    asked.on('error', reject);
    asked.end(payload);
  });
}

const changesDeckies = ({ method, path }: Step): boolean => method !== 'GET' && path.startsWith('/api/v1/deckies');

/** Rows of earlier steps end before a step that would find their deckies busy. */
export async function waitForRows({ world }: Player, step: Step): Promise<void> {
  if (!changesDeckies(step)) return;
  const open = await world.database.sql<{ id: string }[]>`
    select id from decky_lifecycle where status in ('pending', 'running')`;
  if (open.length === 0) return;
  await world.deployments.waitForRows(
    open.map((row) => row.id),
    90_000,
  );
  allow('waited for rows');
}

/** Asks and judges; a read is repeated until it fits. */
export async function play(player: Player, step: Step): Promise<Answer> {
  await waitForRows(player, step);
  for (const end = Date.now() + REPEAT_FOR_MS; ; await pause(REPEAT_EVERY_MS)) {
    const answer = await ask(player, step);
    try {
      player.names.judge(step, answer);
      return answer;
    } catch (error) {
      if (step.method !== 'GET' || Date.now() > end || answer.status !== step.status) throw error;
      allow('read again');
    }
  }
}
