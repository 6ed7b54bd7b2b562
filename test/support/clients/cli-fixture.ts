/** The command run in this process against a master that answers from a script: one anew for each test of the `describe` that asks for it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Script, type ScriptedAnswer, ScriptedMaster } from '../master/scripted-master.ts';
import { type CapturedIo, capturedIo } from './captured-io.ts';

/** Of a deploy of `web-01`; what it asks about is the deployment `d-1`. */
export const ACCEPTED: ScriptedAnswer = {
  status: 202,
  body: {
    message: 'Deploy accepted',
    mode: 'unihost',
    lifecycle_ids: ['row-web-01'],
    warnings: ['http and https over one port'],
  },
  headers: { 'deckhand-deployment-id': 'd-1' },
};
export const UNKNOWN: ScriptedAnswer = { status: 404, body: { detail: 'Not Found' } };
export const found = (body: unknown): ScriptedAnswer => ({ status: 200, body });

export const scripted =
  (answers: Record<string, ScriptedAnswer | (() => ScriptedAnswer)>): Script =>
  (request) => {
    const answer = answers[`${request.method} ${request.path.replace('/api/v1', '')}`] ?? UNKNOWN;
    return typeof answer === 'function' ? answer() : answer;
  };

/** Answers one after the other; the last one again and again. */
export const inTurn =
  (...answers: ScriptedAnswer[]) =>
  () =>
    (answers.length > 1 ? answers.shift() : answers[0]) ?? UNKNOWN;

export function cliScene() {
  let master: ScriptedMaster;
  let io: CapturedIo;
  let folder: string;
  let file: string;
  beforeEach(async () => {
    master = await new ScriptedMaster(() => UNKNOWN).start();
    io = capturedIo(master.environment);
    folder = mkdtempSync(join(tmpdir(), 'deckhand-cli-'));
    file = join(folder, 'fleet.ini');
    writeFileSync(file, '[web-01]\nservices = http\n');
  });
  afterEach(async () => {
    await master.stop();
    rmSync(folder, { recursive: true });
  });

  return {
    get master() {
      return master;
    },
    get io() {
      return io;
    },
    /** A directory that goes with the test. */
    get folder() {
      return folder;
    },
    /** A fleet of one decky, `web-01`. */
    get file() {
      return file;
    },
    /** What the command printed. */
    text: () => io.lines.join('\n'),
  };
}
