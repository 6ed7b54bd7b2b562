/** Our client of the Docker Engine against an engine that misbehaves, and against names that try to lead it elsewhere. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Containers } from '../../engine/docker/containers.ts';
import { createDockerEngine } from '../../engine/docker/docker-engine.ts';
import { ImageStore } from '../../engine/docker/images.ts';
import { NetworkKeeper } from '../../engine/docker/network.ts';
import { inspectContainer, lastLogLines } from '../../engine/docker/observe.ts';
import { connectDocker } from '../../engine/docker/transport.ts';
import type { ComposeEngine } from '../../engine/engine.ts';
import type { DeckySpec } from '../../fleet/compose.ts';
import type { FleetNetwork } from '../../fleet/config.ts';
import { isDeckhandError } from '../../fleet/errors.ts';
import { Semaphore } from '../../lib/concurrency.ts';
import { createLogger } from '../../lib/logger.ts';
import { type Answer, type HostileEngine, hostileEngine } from '../support/docker/hostile-engine.ts';

const SCOPE = { instance: 'i1', project: 'p1' };
const NETWORK: FleetNetwork = { driver: 'bridge', interface: '', subnet: '10.9.0.0/24', gateway: '10.9.0.1' };
const NO_CONTEXTS = { context: () => undefined };
const soon = (): AbortSignal => AbortSignal.timeout(3_000);

const specOf = (name: string, image: string): DeckySpec => ({
  decky: 'web',
  keys: ['web'],
  services: { web: { image, container_name: name, networks: { decnet_lan: { ipv4_address: '10.9.0.2' } } } },
});

/** Every call that our engine makes, by name: `name` is a container's, a network's, or an id; `image` a reference. */
function calls(host: string): Record<string, (name: string, image: string) => Promise<unknown>> {
  const docker = connectDocker(host);
  const containers = new Containers(docker, SCOPE, new Semaphore(8));
  const engine: ComposeEngine = createDockerEngine({
    dockerHost: host,
    scope: SCOPE,
    images: NO_CONTEXTS,
    composeDir: '/nonexistent',
    logger: createLogger('test'),
  });
  return {
    ping: () => engine.ping(soon()),
    listing: () => engine.deckies(soon()),
    observe: (name, image) => engine.observe([specOf(name, image)], soon()),
    up: (name, image) => engine.up(specOf(name, image), NETWORK, { signal: soon() }),
    health: (name, image) => engine.health(specOf(name, image), 1_000, soon()),
    down: (name) => engine.down(name, { signal: soon() }),
    purge: () => engine.purge({ signal: soon() }),
    'look at an image, pull': (_, image) =>
      new ImageStore(docker, NO_CONTEXTS).ensure(image, undefined, { signal: soon() }),
    build: (_, image) =>
      new ImageStore(docker, NO_CONTEXTS).ensure(image, { context: import.meta.dirname }, { signal: soon() }),
    'look at a network': (name) => new NetworkKeeper(docker, SCOPE, name).plan(NETWORK, soon()),
    'make a network': (name) => new NetworkKeeper(docker, SCOPE, name).ensure(NETWORK, { signal: soon() }),
    'remove a network': (name) => new NetworkKeeper(docker, SCOPE, name).removeIfUnused(soon()),
    'look at a container': (name) => inspectContainer(docker, SCOPE, name, soon()),
    log: (name) => lastLogLines(docker, name, soon()),
    create: (name, image) => containers.create(name, { Image: image }, soon()),
    start: (name) => containers.start(name, name, soon()),
    stop: (name) => containers.stop(name, name, soon()),
    remove: (name) => containers.remove(name, name, soon()),
  };
}

const NAMES = Object.keys(calls('unix:///nowhere.sock'));
const NEVER_RETRIED = ['ping', 'listing', 'look at a network', 'look at a container', 'start', 'stop'];

const ANSWERS: Record<string, (engine: HostileEngine) => Answer> = {
  'a redirect to a stranger':
    ({ stranger }) =>
    (response) =>
      response.writeHead(301, { location: `${stranger}/secret` }).end(),
  'a redirect by 307 to another path': () => (response) => response.writeHead(307, { location: '/secret' }).end(),
  'a redirect to a scheme that nobody knows': () => (response) =>
    response.writeHead(302, { location: 'gopher://x/' }).end(),
  'a redirect to nonsense': () => (response) => response.writeHead(308, { location: 'http://[' }).end(),
  'a web page': () => (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>hello</html>'),
  null: () => (response) => response.end('null'),
  'a number': () => (response) => response.end('5'),
  'an empty object': () => (response) => response.end('{}'),
  'a list of nonsense': () => (response) => response.end('[null, 5, {"Names": 3, "Labels": null}]'),
  'nothing at all': () => (response) => response.end(),
  'lines that are no objects': () => (response) =>
    response.end('null\n5\n"x"\n{"errorDetail": 7, "error": {"a": 1}}\n'),
  'half an answer': () => (response, socket) => {
    response.writeHead(200, { 'content-length': '1000' });
    response.write('{"a":');
    setTimeout(() => socket.destroy(), 20);
  },
  'half an error': () => (response, socket) => {
    response.writeHead(500, { 'content-length': '1000' });
    response.write('{"message":');
    setTimeout(() => socket.destroy(), 20);
  },
  'no HTTP': () => (_, socket) => void socket.end('\u0000\u0001 garbage\r\n\r\n'),
  'a reset': () => (_, socket) => void socket.destroy(),
  'a teapot': () => (response) => response.writeHead(418).end('{"message": 5}'),
};

describe('the client of an engine that misbehaves', () => {
  let engine: HostileEngine;
  const uncaught: unknown[] = [];
  const note = (error: unknown): void => void uncaught.push(error);
  before(async () => {
    engine = await hostileEngine();
  });
  after(() => engine.close());
  // mocha ends a test at the first uncaught error: here they are counted, beside mocha's own listeners.
  beforeEach(() => {
    uncaught.length = 0;
    engine.requests.length = 0;
    engine.strangersRequests.length = 0;
    process.prependListener('uncaughtException', note);
    process.prependListener('unhandledRejection', note);
  });
  afterEach(() => {
    process.removeListener('uncaughtException', note);
    process.removeListener('unhandledRejection', note);
  });

  // proof: field-2.1-3
  for (const [what, answerOf] of Object.entries(ANSWERS))
    it(`survives ${what} at every call, asks nobody else, and ends each call`, async () => {
      engine.answer = answerOf(engine);
      const all = calls(engine.host);
      const ends = await Promise.all(
        NAMES.map(async (name) => {
          try {
            await all[name]?.('web', 'example/web:1');
            return [name, null] as const;
          } catch (error) {
            return [name, error] as const;
          }
        }),
      );
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.deepEqual(uncaught, []);
      assert.deepEqual(engine.strangersRequests, []);
      for (const [name, error] of ends) {
        if (error === null) continue;
        // A call that tries again by itself may be cut off by its caller.
        if ((error as Error).name === 'TimeoutError' && !NEVER_RETRIED.includes(name)) continue;
        assert.ok(isDeckhandError(error), `${name}: ${String(error)}`);
        assert.notEqual(error.code, 'Internal', `${name}: ${error.message}`);
      }
    });

  it('takes a redirect for a refusal that no retry cures', async () => {
    engine.answer = (response) => response.writeHead(301, { location: `${engine.stranger}/x` }).end();
    await assert.rejects(
      async () => calls(engine.host)['look at a network']?.('n', ''),
      (error) => isDeckhandError(error) && error.code === 'EngineRefused' && /redirect/.test(error.message),
    );
  });

  it('never sends an image that is no reference', async () => {
    for (const image of [
      'registry.example/honey/',
      'https://ghcr.io/foo/bar:1',
      'a/../../127.0.0.1:9099/secret',
      'bb : 1',
    ])
      for (const name of ['look at an image, pull', 'build'])
        await assert.rejects(
          async () => calls(engine.host)[name]?.('', image),
          (error) => isDeckhandError(error) && error.code === 'InvalidImage' && !error.retryable,
        );
    assert.deepEqual(engine.requests, []);
  });

  // proof: field-2.1-4
  it('asks for nothing but what was meant, whatever a name or an image holds', async function () {
    this.timeout(120_000);
    const MEANT: readonly RegExp[] = [
      /^GET \/(?:version|info)\??$/,
      /^GET \/containers\/json\?(?:all|filters)=[^/#]*$/,
      /^(?:POST|GET) \/containers\/[A-Za-z0-9][\w.-]*\/(?:json|start|stop|logs)(?:\?[^/#?]*)?$/,
      /^DELETE \/containers\/[A-Za-z0-9][\w.-]*\?[^/#?]*$/,
      /^POST \/containers\/create\?name=[^/#?]*$/,
      /^GET \/images\/(?:[A-Za-z0-9][\w.-]*(?::\d+)?\/|\[[\da-fA-F:]+\](?::\d+)?\/)?[a-z0-9][a-z0-9._/-]*(?::[\w.-]+)?(?:@[\w:]+)?\/json$/,
      /^POST \/images\/create\?fromImage=[^/#?]*$/,
      /^POST \/build\?t=[^/#?]*$/,
      /^(?:GET|DELETE) \/networks(?:\/[A-Za-z0-9][\w.-]*)?(?:\?[^/#?]*)?$/,
      /^POST \/networks\/create\?[^/#?]*$/,
    ];
    engine.answer = (response) =>
      response.writeHead(404, { 'content-type': 'application/json' }).end('{"message":"no"}');
    const piece = fc.constantFrom(
      'a',
      'B1',
      '..',
      '.',
      '/',
      '//',
      '?',
      '#',
      '&',
      '%2e%2e',
      '%2F',
      ':',
      '@',
      ' ',
      '\n',
      'é',
      '\\',
      ';',
    );
    const wild = fc.oneof(
      fc.string(),
      fc.array(piece, { maxLength: 8 }).map((all) => all.join('')),
      fc.constantFrom(
        'a/../../127.0.0.1:9099/secret',
        '//127.0.0.1:9099/x',
        'http://127.0.0.1:9099/x',
        'x/json?a=b',
        '../images/json',
        'x/start',
      ),
    );
    const all = calls(engine.host);
    await fc.assert(
      fc.asyncProperty(wild, wild, async (name, image) => {
        engine.requests.length = 0;
        await Promise.allSettled(NAMES.map((call) => all[call]?.(name, image)));
        for (const request of engine.requests)
          assert.ok(
            MEANT.some((meant) => meant.test(request)),
            request,
          );
      }),
      { numRuns: 150 },
    );
    assert.deepEqual(uncaught, []);
    assert.deepEqual(engine.strangersRequests, []);
  });
});
