import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { parseReference } from '../../engine/docker/images.ts';
import { toDeckhandError } from '../../engine/docker/transport.ts';
import { DeckhandError, ERRORS, isErrorCode } from '../../fleet/errors.ts';

interface Answer {
  readonly what: string;
  readonly status: number;
  readonly message: string;
  readonly code: string;
}

const { answers } = JSON.parse(
  readFileSync(new URL('../fixtures/engine/engine-answers.json', import.meta.url), 'utf8'),
) as { answers: Answer[] };

/** As dockerode throws it. */
const engineError = ({ status, message }: Pick<Answer, 'status' | 'message'>): Error =>
  Object.assign(new Error(`(HTTP code ${status}) unexpected - ${message} `), { statusCode: status, json: { message } });

describe('errors of the Docker Engine', () => {
  for (const answer of answers) {
    it(`C9: "${answer.what}" (${answer.status}) is ${answer.code}`, () => {
      const error = toDeckhandError(engineError(answer), 'start of container web1');
      assert.equal(error.code, answer.code);
      assert.ok(isErrorCode(answer.code));
      assert.equal(error.retryable, ERRORS[error.code].retryable);
    });
  }

  it("C8: the sentence says what was tried and the engine's own words", () => {
    const error = toDeckhandError(
      engineError({ status: 400, message: 'No command specified' }),
      'creation of container web1',
    );
    assert.equal(error.message, 'creation of container web1: the engine says (400) No command specified');
  });

  // proof: field-3.14-3
  it('a full disk is temporary, whoever says so, with whatever status', () => {
    const words = [
      'no space left on device',
      'write /var/lib/docker/tmp/x: no space left on device',
      'disk quota exceeded',
    ];
    const statuses = [400, 403, 409, 500, 503];
    for (const message of words) {
      const said = statuses.map((status): Error => engineError({ status, message }));
      for (const error of [...said, new Error(`ENOSPC: ${message}, write`)]) {
        const known = toDeckhandError(error, 'start of container web1');
        assert.equal(known.code, 'DiskFull', String(error));
        assert.equal(known.retryable, true);
      }
    }
  });

  // proof: gap-c9
  it('C9: words alone never make an error permanent', () => {
    const error = toDeckhandError(engineError({ status: 500, message: 'layer not found, try later' }), 'x');
    assert.equal(error.retryable, true);
  });

  for (const code of ['ECONNREFUSED', 'ENOENT', 'ECONNRESET', 'EPIPE'])
    it(`a connection that ends with ${code} is EngineUnreachable, which is tried again`, () => {
      const error = toDeckhandError(Object.assign(new Error(`connect ${code} /x.sock`), { code }), 'ping');
      assert.equal(error.code, 'EngineUnreachable');
      assert.equal(error.retryable, true);
    });

  it('an error of ours passes through unchanged', () => {
    const own = new DeckhandError('BuildFailed', 'no');
    assert.equal(toDeckhandError(own, 'x'), own);
  });
});

const DIGEST = `sha256:${'f9c6'.repeat(16)}`;

describe('image references', () => {
  for (const [image, fromImage, tag] of [
    ['nginx', 'nginx', 'latest'],
    ['nginx:1.27', 'nginx', '1.27'],
    ['localhost:5000/a/b', 'localhost:5000/a/b', 'latest'],
    ['localhost:5000/a/b:2', 'localhost:5000/a/b', '2'],
    [`debian:bookworm-slim@${DIGEST}`, 'debian', DIGEST],
  ] as const)
    it(`${image} is ${fromImage} and ${tag}`, () => {
      assert.deepEqual(parseReference(image), { fromImage, tag });
    });
});
