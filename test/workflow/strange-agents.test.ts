import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { shardWorkflowId } from '../../fleet/housekeeping.ts';
import type { ScriptedAgent } from '../support/agents/scripted-agent.ts';
import { iniOf } from '../support/fixtures/named-deckies.ts';
import { scriptedSwarm } from '../support/temporal/scripted-swarm.ts';
import { until } from '../support/until.ts';

type Strange = (response: ServerResponse) => void;

const says =
  (status: number, text: string | Buffer, headers: Record<string, string> = {}): Strange =>
  (response) =>
    void response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text);

/** What an agent may answer to everything: a proxy in its place, a later version, a broken one, a hostile one. */
const STRANGE: Readonly<Record<string, Strange>> = {
  empty: says(200, ''),
  null: says(200, 'null'),
  list: says(200, '[]'),
  text: says(200, '"yes"'),
  object: says(200, '{}'),
  html: says(200, '<html><body>Sign in</body></html>', { 'content-type': 'text/html' }),
  large: says(200, JSON.stringify({ deckies: 'x'.repeat(20_000_000) })),
  nothing: (response) => void response.writeHead(204).end(),
  redirect: says(302, '', { location: 'http://127.0.0.1:9/' }),
  teapot: says(418, '{"detail":"a\\u0000b"}'),
  error: says(500, `{"detail":${JSON.stringify('y'.repeat(100_000))}}`),
  busy: says(503, '', { 'retry-after': '86400' }),
  login: says(401, '{"detail":"who are you"}'),
  unknown: says(404, 'Not Found'),
  cut: (response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': '500' });
    response.write('{"deployed":');
    setTimeout(() => response.destroy(), 50);
  },
  hangs: () => undefined,
  drips: (response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const timer = setInterval(() => response.write(' '), 500);
    response.on('close', () => clearInterval(timer));
  },
  latin: says(200, Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d])),
  deep: says(200, `${'['.repeat(100_000)}${']'.repeat(100_000)}`),
  gzip: says(200, 'not gzip', { 'content-encoding': 'gzip' }),
  types: says(
    200,
    '{"deployed":"yes","deckies":{"a":1},"runtime":[],"deckhand":{"deckies":[null,7],"work":"all","ticket":"x"}}',
  ),
  proto: says(
    200,
    '{"deployed":true,"deckies":[],"__proto__":{"x":1},"deckhand":{"version":1e400,"deckies":{"__proto__":{"status":"succeeded"}}}}',
  ),
  headers: says(200, '{}', Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`x-${n}`, 'z'.repeat(200)]))),
};

describe('an agent that answers nonsense', function () {
  this.timeout(280_000);
  const swarm = scriptedSwarm();
  const names = Object.keys(STRANGE).sort();
  const options = {
    minHealthyTimeMs: 0,
    healthyDeadlineMs: 5_000,
    progressDeadlineMs: 12_000,
    hostLostAfterMs: 12_000,
  };

  it('ends each row with a sentence, and in few events', async () => {
    await swarm.world.database.sql`insert into settings (key, value) values ('deployment_limit', '100')
      on conflict (key) do update set value = excluded.value`;
    const agents: ScriptedAgent[] = [];
    for (const name of names) {
      const agent = await swarm.agent(`h-${name}`);
      agent.strange = STRANGE[name] ?? null;
      agents.push(agent);
    }
    const accepted = await swarm.world.deploy(iniOf(...names), { options: { ...options, maxParallel: 100 } });
    const rows = await swarm.world.ended(accepted.lifecycle_ids, 150_000);
    for (const { decky_name, status, error } of rows) {
      assert.equal(status, 'failed', decky_name);
      assert.match(error ?? '', /^[A-Z][A-Za-z]+: .{20,}/s, decky_name);
      assert.doesNotMatch(error ?? '', /^Internal|: aborted|\[object|TypeError/, decky_name);
    }
    for (const { hostUuid, name } of agents) {
      const id = shardWorkflowId(accepted.deployment_id, hostUuid);
      const { events } = await swarm.world.temporal.client.workflow.getHandle(id).fetchHistory();
      assert.ok((events?.length ?? 0) < 150, `${name}: ${events?.length} events`);
    }
  });

  it('is cancelled all the same, and deployed to and torn down once it answers well', async () => {
    const some = ['empty', 'error', 'null', 'types'];
    const agents = await Promise.all(some.map((name) => swarm.agent(`h-${name}`)));
    for (const [at, agent] of agents.entries()) agent.strange = STRANGE[some[at] ?? ''] ?? null;
    const accepted = await swarm.world.deploy(iniOf(...some));
    await until('all were asked', () => agents.every(({ asked }) => asked.length > 0));
    await swarm.world.deployments.cancel(accepted.deployment_id);
    for (const { error } of await swarm.world.ended(accepted.lifecycle_ids, 150_000))
      assert.match(error ?? '', /^Cancelled: /);
    for (const agent of agents) {
      agent.strange = null;
      agent.onDeploy = () => agent.report('succeeded');
    }
    const again = await swarm.world.deploy(iniOf(...some));
    for (const { status, error } of await swarm.world.ended(again.lifecycle_ids, 60_000))
      assert.equal(status, 'succeeded', error ?? '');
    const torn = await swarm.world.deployments.teardown({ username: 'admin', decky_name: 'empty' });
    for (const { status, error } of await swarm.world.ended([torn.lifecycle_id], 60_000))
      assert.equal(status, 'succeeded', error ?? '');
  });
});
