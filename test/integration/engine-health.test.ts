import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import type { Health } from '../../engine/engine.ts';
import type { ComposeService, DeckySpec } from '../../fleet/compose.ts';
import { isDeckhandError } from '../../fleet/errors.ts';
import { dockerScene } from '../support/docker/docker-fixture.ts';

/** Node, so that it runs in any image of ours. */
const script = (code: string): Partial<ComposeService> => ({ command: ['node', '-e', code] });

describe('the health of a running decky', () => {
  const on = dockerScene();

  /** Looks until it is decided. */
  async function settled(spec: DeckySpec, minHealthyMs: number): Promise<{ health: Health; waited: boolean }> {
    for (let waited = false; ; waited = true) {
      const health = await on.stage.engine.health(spec, minHealthyMs);
      if (health.status !== 'waiting') return { health, waited };
      await pause(Math.min(health.remainingMs, 200));
    }
  }

  const sentenceOf = (health: Health): string => (health.status === 'failed' ? health.sentence : health.status);

  // proof: promise-8
  it('is healthy when all stayed up, not before', async () => {
    const spec = on.stage.spec('well', 1);
    await on.stage.engine.up(spec, on.stage.network);
    assert.deepEqual(await on.stage.engine.health(spec, 0), { status: 'healthy' });
    assert.equal((await on.stage.engine.health(spec, 600_000)).status, 'waiting');
    assert.deepEqual((await settled(spec, 1_000)).health, { status: 'healthy' });
  });

  // proof: promise-8, promise-9, gap-c6
  it('C6, C8: a service that exits at once has failed, with exit code and last log lines; its neighbour has not', async () => {
    const restart = 'no';
    const bad = on.stage.spec('exits', 2, {
      http: { ...script("console.error('\\u001b[31mboom 17'); process.exit(17)"), restart },
    });
    const good = on.stage.spec('stays', 3);
    await Promise.all([bad, good].map((spec) => on.stage.engine.up(spec, on.stage.network)));
    const sentence = sentenceOf((await settled(bad, 2_000)).health);
    assert.match(sentence, new RegExp(`container ${bad.decky}-http is exited, exit code 17`));
    assert.match(sentence, /Last lines of its log:\nboom 17$/);
    assert.equal((await settled(good, 500)).health.status, 'healthy');
  });

  // proof: promise-8
  it('C6: a service that restarts over and over has failed', async () => {
    const spec = on.stage.spec('loops', 4, { http: script("console.log('again'); process.exit(4)") });
    await on.stage.engine.up(spec, on.stage.network);
    const { health } = await settled(spec, 3_000);
    assert.match(sentenceOf(health), /exit code 4.*restarted \d+ times[\s\S]*again/);
  });

  it('a base that exits at once ends as ContainerExited or failed, with its last words', async () => {
    const spec = on.stage.spec('basedies', 5, { http: {} });
    const base = spec.services[spec.decky];
    assert.ok(base);
    Object.assign(base, script("console.log('base is gone'); process.exit(9)"), { restart: 'no' });
    // The base may die between the engine's look at it and the joining of its namespace: transient, and tried again, as activities do.
    const up = async (tries = 5): Promise<unknown> =>
      on.stage.engine.up(spec, on.stage.network).catch((error: unknown) => {
        if (tries > 1 && isDeckhandError(error) && error.retryable) return up(tries - 1);
        throw error;
      });
    const sentence = await up().then(
      async () => sentenceOf((await settled(spec, 2_000)).health),
      (error: unknown) => {
        assert.ok(isDeckhandError(error), String(error));
        assert.equal(error.code, 'ContainerExited');
        return error.message;
      },
    );
    assert.match(sentence, /exit code 9[\s\S]*base is gone/);
  });

  it('a container that is gone has failed', async () => {
    const spec = on.stage.spec('gone', 6);
    await on.stage.engine.up(spec, on.stage.network);
    await on.docker.client.getContainer(`${spec.decky}-ssh`).remove({ force: true });
    assert.equal(sentenceOf(await on.stage.engine.health(spec, 0)), `container ${spec.decky}-ssh is not there`);
  });

  // proof: one-bad-decky
  it('deploying again, mended, needs no cleaning by hand', async () => {
    const bad = on.stage.spec('mend', 7, { http: script('process.exit(1)') });
    await on.stage.engine.up(bad, on.stage.network);
    await settled(bad, 3_000);
    const mended = on.stage.spec('mend', 7, { http: {} });
    await on.stage.engine.up(mended, on.stage.network);
    assert.equal((await settled(mended, 500)).health.status, 'healthy');
  });
});
