/** The OpenAPI document is whole, and true: the harnesses hold every answer that any integration test sees against it. */
import assert from 'node:assert/strict';
import { describe as describeApi } from '../../api/routes/docs.ts';
import { LONGEST_INTERVAL_MINUTES } from '../../fleet/durations.ts';
import { ADMIN_PASSWORD, createApiHarness } from '../support/master/api-harness.ts';
import {
  type Checker,
  createChecker,
  type Description,
  descriptionOf,
  type Operation,
} from '../support/master/document.ts';
import { createSwarmHarness, type SwarmHarness } from '../support/master/swarm-harness.ts';

interface Named extends Operation {
  readonly route: string;
}

describe('the OpenAPI document', () => {
  let swarm: SwarmHarness;
  let description: Description;
  let operations: Named[];
  let checker: Checker;

  before(async () => {
    swarm = await createSwarmHarness();
    description = descriptionOf(describeApi(swarm.api.app));
    checker = createChecker(description);
    operations = Object.entries(description.paths).flatMap(([path, item]) =>
      Object.entries(item).map(([method, operation]) => ({ ...operation, route: `${method.toUpperCase()} ${path}` })),
    );
  });
  after(() => swarm?.close());

  const lacking = (what: (operation: Named) => boolean): string[] =>
    operations.filter((operation) => !what(operation)).map(({ route }) => route);

  // proof: openapi
  it('has every route', () => {
    const routes = swarm.api.app.routes.filter(({ method }) => method !== 'ALL');
    const wanted = routes.map(({ method, path }) => `${method} ${path.replace(/:(\w+)(\{.*\})?/g, '{$1}')}`);
    assert.deepEqual(operations.map(({ route }) => route).sort(), [...new Set(wanted)].sort());
  });

  it('names each operation once, with a summary and tags', () => {
    assert.deepEqual(
      lacking(({ summary, tags }) => Boolean(summary) && tags?.length === 1),
      [],
    );
    const ids = operations.map(({ operationId }) => operationId);
    assert.equal(new Set(ids).size, ids.length);
    assert.deepEqual(
      lacking(({ operationId }) => /^[a-z][\w.]+$/.test(operationId ?? '')),
      [],
    );
  });

  // proof: openapi
  it('has an example of every body, and each fits its schema', () => {
    const wrong = operations.flatMap(({ route, requestBody, responses }) => {
      const bodies = [{ of: 'its body', content: requestBody?.content }].concat(
        Object.entries(responses).map(([status, { content }]) => ({ of: status, content })),
      );
      return bodies.flatMap(({ of, content }) =>
        Object.entries(content ?? {}).flatMap(([type, media]) => {
          if (media.example === undefined) return [`${route}, ${of}, ${type}: no example`];
          const problem = checker.exampleProblem(media);
          return problem === null ? [] : [`${route}, ${of}, ${type}: ${problem}`];
        }),
      );
    });
    assert.deepEqual(wrong, []);
  });

  // proof: schemathesis, openapi
  it('says of every operation how it can be refused', () => {
    const has = ({ responses }: Operation, ...statuses: number[]): boolean =>
      statuses.every((status) => responses[status] !== undefined);
    assert.deepEqual(
      lacking((one) => !one.security || has(one, 401, 503)),
      [],
      'a token',
    );
    assert.deepEqual(
      lacking((one) => !one.requestBody || has(one, 400, 415, 422)),
      [],
      'a body',
    );
    assert.deepEqual(
      lacking((one) => !one.parameters?.some((parameter) => parameter.in === 'query') || has(one, 400, 422)),
      [],
      'a query',
    );
    // Schemathesis got it for 200 long ids: an address may be larger than Node takes.
    assert.deepEqual(
      lacking((one) => (!one.security && !one.parameters?.length) || has(one, 431)),
      [],
      'an address and headers without end',
    );
    const described = operations.flatMap(({ route, responses }) =>
      Object.entries(responses).flatMap(([status, { description: text }]) => (text ? [] : [`${route}, ${status}`])),
    );
    assert.deepEqual(described, []);
  });

  const describes = (schema: object | undefined, value: unknown): boolean =>
    checker.exampleProblem({ schema: schema ?? {}, example: value }) === null;

  it('describes which intervals are taken', async () => {
    const route = '/api/v1/deckies/{decky_name}/mutate-interval';
    const schema = description.paths[route]?.put?.requestBody?.content['application/json']?.schema;
    const token = await swarm.api.login('admin', ADMIN_PASSWORD);
    const taken = ['30m', '1Y', 1, LONGEST_INTERVAL_MINUTES, null];
    for (const value of [...taken, 0, -1, 1.5, LONGEST_INTERVAL_MINUTES + 1, '', '0m', '30', '30h', true, ['30m']]) {
      const body = { mutate_interval: value };
      const { status } = await swarm.api.call('PUT', route.replace('{decky_name}', 'nobody'), { token, body });
      assert.ok((taken.includes(value as string) ? [404] : [400, 422]).includes(status), `${value}: ${status}`);
      assert.equal(describes(schema, body), status === 404, String(value));
    }
  });

  it('describes which idempotency keys are taken', async () => {
    const token = await swarm.api.login('admin', ADMIN_PASSWORD);
    const taken = ['a', 'a b', '~'.repeat(255)];
    for (const route of ['/api/v1/deckies/deploy', '/api/v1/deckies/{decky_name}/mutate']) {
      const parameters = description.paths[route]?.post?.parameters ?? [];
      const { schema } = parameters.find(({ name }) => name === 'idempotency-key') ?? {};
      for (const key of [...taken, '', '~'.repeat(256), 'a\tb', 'é']) {
        const call = { token, headers: { 'idempotency-key': key }, body: { ini_content: '[x]\nservices=nosuch\n' } };
        const { text } = await swarm.api.call('POST', route.replace('{decky_name}', 'nobody'), call);
        assert.equal(!text.includes('Idempotency-Key: 1 to 255'), taken.includes(key), key);
        assert.equal(describes(schema, key), taken.includes(key), key);
      }
    }
  });

  it('is what answers are held against: another status, type or body is seen', () => {
    const seen = (status: number, text: string, contentType = 'application/json') =>
      checker.problem('GET', '/api/v1/deckies?x=1', { status, text, contentType }) ?? 'nothing';
    assert.equal(seen(200, '[]'), 'nothing');
    assert.match(seen(418, '{"detail":"x"}'), /^GET \/api\/v1\/deckies answered 418, which its description/);
    assert.match(seen(200, '[]', 'text/plain'), /as text\/plain/);
    assert.match(seen(200, '[{"name":"web-01"}]'), /another body than described/);
    assert.match(
      checker.problem('GET', '/api/v1/nowhere', { status: 200, text: '', contentType: null }) ?? 'nothing',
      /no such operation/,
    );
  });

  // proof: openapi
  it('is held against what the API answers in every test', async () => {
    const api = await createApiHarness({ deps: () => ({ simulated: 'perhaps' as unknown as boolean }) });
    const token = await api.login('admin', ADMIN_PASSWORD);
    await assert.rejects(api.call('GET', '/api/v1/fleet', { token }), /another body than described.*simulated/);
    await api.close();
  });
});
