/** The Docker Engine is ended and comes back while deckies come up, at moments that a seed gives (DECKHAND_TEST_SEED). */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Health } from '../../engine/engine.ts';
import type { DeckySpec } from '../../fleet/compose.ts';
import { isDeckhandError } from '../../fleet/errors.ts';
import { findDockerd } from '../../stack/docker.ts';
import { type Scene, scene } from '../support/docker/docker.ts';
import { type OwnDockerd, ownDockerd } from '../support/docker/own-dockerd.ts';

const DECKIES = 6;
const ROUNDS = 2;
const DEADLINE_MS = 90_000;
const MIN_HEALTHY_MS = 2_000;
/** Within this time after the first call the engine is ended. */
const WITHIN_MS = 2_500;
const SEED = Number(process.env.DECKHAND_TEST_SEED ?? 20_261_201);

const LISTENER =
  "process.on('SIGTERM',()=>process.exit(0));require('net').createServer(s=>{s.on('error',()=>{});s.end('hi')}).listen(22)";

/** From 0 to 1; the same numbers for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

for (const liveRestore of [true, false])
  describe(`deckies that come up while Docker restarts, ${liveRestore ? 'with' : 'without'} live restore`, () => {
    let dockerd: OwnDockerd;
    let stage: Scene;
    before(async function () {
      if (process.getuid?.() !== 0 || !findDockerd()) this.skip();
      dockerd = await ownDockerd({ liveRestore });
      stage = await scene({ host: dockerd.host, client: dockerd.client, stop: () => Promise.resolve() });
      // The image is built here.
      const first = stage.spec('first', 100, {});
      await stage.engine.up(first, stage.network);
      await stage.engine.down(first.decky);
    });
    after(() => dockerd?.stop());

    /** As an activity does it: what may pass is tried again until the deadline. */
    async function tried<T>(deadline: number, work: () => Promise<T>): Promise<T> {
      for (let pauseMs = 500; ; pauseMs = Math.min(pauseMs * 2, 5_000)) {
        try {
          return await work();
        } catch (error) {
          if (!isDeckhandError(error) || !error.retryable || Date.now() > deadline) throw error;
          await pause(pauseMs);
        }
      }
    }

    async function deploy(spec: DeckySpec): Promise<string> {
      const deadline = Date.now() + DEADLINE_MS;
      try {
        await tried(deadline, () => stage.engine.up(spec, stage.network));
        for (;;) {
          const health: Health = await tried(deadline, () => stage.engine.health(spec, MIN_HEALTHY_MS));
          if (health.status === 'healthy') return 'healthy';
          if (health.status === 'failed' || Date.now() > deadline) return health.sentence;
          await pause(Math.min(1_000, Math.max(50, health.remainingMs)));
        }
      } catch (error) {
        return String(error);
      }
    }

    const random = randomOf(SEED);
    for (const signal of ['SIGKILL', 'SIGTERM'] as const)
      for (let round = 1; round <= ROUNDS; round += 1) {
        const moment = Math.round(random() * WITHIN_MS);
        // proof: field-3.2-1
        it(`all come up and answer: ${signal} after ${moment} ms (seed ${SEED})`, async function () {
          this.timeout(DEADLINE_MS * 2);
          const name = `${signal.slice(3).toLowerCase()}${round}`;
          const ssh = { command: ['node', '-e', LISTENER] };
          const specs = Array.from({ length: DECKIES }, (_, n) => stage.spec(`${name}d${n}`, n + 1, { ssh, two: {} }));
          const deploys = specs.map(deploy);
          await pause(moment);
          await dockerd.end(signal);
          await dockerd.start();
          assert.deepEqual(
            await Promise.all(deploys),
            specs.map(() => 'healthy'),
          );
          assert.deepEqual(
            await Promise.all(specs.map((_, n) => greets(stage.ip(n + 1)))),
            specs.map(() => true),
          );
          await Promise.all(specs.map(({ decky }) => stage.engine.down(decky)));
        });
      }

    // proof: field-3.2-2
    it('leaves no shim of containerd behind when the engine has ended for good', async () => {
      const { execRoot } = dockerd;
      await stage.clean();
      await dockerd.stop();
      assert.deepEqual(processesNaming(execRoot), []);
    });
  });

function processesNaming(text: string): string[] {
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid && existsSync(`/proc/${pid}/cmdline`))
    .map((pid) => commandOf(pid))
    .filter((command) => command.includes(text));
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

async function greets(host: string): Promise<boolean> {
  const socket = connect({ host, port: 22 });
  socket.setTimeout(3_000, () => socket.destroy(new Error('silent')));
  try {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    return chunk.toString() === 'hi';
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
