import assert from 'node:assert/strict';
import { type Judgement, judgeHealth, withEvidence } from '../../engine/docker/health.ts';
import type { Inspection } from '../../engine/docker/observe.ts';
import type { DeckySpec } from '../../fleet/compose.ts';

const NOW = Date.parse('2026-11-24T12:00:00Z');

const SPEC: DeckySpec = {
  decky: 'web1',
  keys: ['web1', 'web1-http'],
  services: { web1: { container_name: 'web1' }, 'web1-http': { container_name: 'web1-http' } },
};

const inspection = (name: string, change: Partial<Inspection> = {}): Inspection => ({
  id: `id-${name}`,
  name,
  state: 'running',
  exitCode: 0,
  oomKilled: false,
  error: '',
  startedAt: NOW - 10_000,
  restarts: 0,
  policy: 'no',
  ...change,
});

const judge = (http: Inspection | null, minHealthyMs = 3_000) =>
  judgeHealth(SPEC, [inspection('web1'), http], minHealthyMs, ({ startedAt }) => NOW - startedAt) as Exclude<
    Judgement,
    { status: 'stopped' }
  >;

describe('the health of a decky', () => {
  it('is healthy when all its containers ran long enough', () => {
    assert.deepEqual(judge(inspection('web1-http')), { status: 'healthy' });
  });

  it('waits for the container that started last', () => {
    const judgement = judge(inspection('web1-http', { startedAt: NOW - 1_000 }));
    assert.deepEqual(judgement, {
      status: 'waiting',
      sentence: 'container web1-http has run 1.0 of 3 s',
      remainingMs: 2_000,
    });
  });

  it('C6: fails as soon as a container exited, with exit code and what the engine says', () => {
    const judgement = judge(inspection('web1-http', { state: 'exited', exitCode: 137, oomKilled: true, error: 'no' }));
    assert.equal(judgement.status, 'failed');
    assert.equal(
      judgement.status === 'failed' && judgement.sentence,
      'container web1-http is exited, exit code 137, killed for want of memory; the engine says: no',
    );
  });

  it('fails when a container is missing', () => {
    const judgement = judge(null);
    assert.deepEqual(judgement, { status: 'failed', sentence: 'container web1-http is not there', container: null });
  });

  it('gives a container that restarts once or twice another chance', () => {
    assert.equal(judge(inspection('web1-http', { state: 'restarting', restarts: 2 })).status, 'waiting');
  });

  it('C6: a third restart is a crash loop', () => {
    assert.equal(judge(inspection('web1-http', { state: 'restarting', restarts: 3 })).status, 'failed');
    const young = inspection('web1-http', { restarts: 3, startedAt: NOW - 100 });
    assert.equal(judge(young).status, 'failed');
  });

  it('forgives restarts of long ago', () => {
    assert.equal(judge(inspection('web1-http', { restarts: 40 })).status, 'healthy');
  });

  it('with no time to stay up, running is enough, and not running is not', () => {
    assert.equal(judge(inspection('web1-http', { startedAt: NOW }), 0).status, 'healthy');
    assert.equal(judge(inspection('web1-http', { state: 'exited' }), 0).status, 'failed');
  });
});

describe('the evidence', () => {
  it('C8: stands last in the sentence', () => {
    const health = withEvidence(judge(inspection('web1-http', { state: 'exited', exitCode: 3 })), 'boom');
    assert.deepEqual(health, {
      status: 'failed',
      sentence: 'container web1-http is exited, exit code 3. Last lines of its log:\nboom',
    });
  });

  it('says when there was no log', () => {
    const health = withEvidence(judge(inspection('web1-http', { state: 'exited', exitCode: 3 })), '');
    assert.match(health.status === 'failed' ? health.sentence : '', /It wrote no log\.$/);
  });
});
