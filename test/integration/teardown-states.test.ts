/** What clients see right after a 202, before any worker has done a thing. */
import assert from 'node:assert/strict';
import { GENERAL } from '../support/master/api-harness.ts';
import { createSwarmHarness, type SwarmHarness } from '../support/master/swarm-harness.ts';

const GOING = 'tearing_down';

describe('states right after a teardown was accepted', function () {
  this.timeout(60_000);
  let swarm: SwarmHarness;
  let host: Awaited<ReturnType<SwarmHarness['enroll']>>;
  beforeEach(async () => {
    swarm = await createSwarmHarness();
    host = await swarm.enroll('h1', { fenced: true });
    await swarm.deploy(['a', 'b', 'c']);
    await swarm.api.settle();
    await report();
  });
  afterEach(() => swarm.close());

  const api = (method: string, path: string, body?: unknown) =>
    swarm.api.call(method, `/api/v1${path}`, { token: swarm.admin, ...(body === undefined ? {} : { body }) });
  /** The host says that all three run. */
  async function report(): Promise<void> {
    const deckies = (await api('GET', '/deckies')).json;
    const up = { running: true, services: { ssh: 'running' } };
    const runtime = Object.fromEntries(['a', 'b', 'c'].map((name) => [name, up]));
    assert.equal((await swarm.heartbeat(host, { status: { deployed: true, deckies, runtime } })).status, 204);
  }
  const statesOf = (found: readonly Record<string, string>[], key: string): Record<string, string> =>
    Object.fromEntries(found.map((one) => [one[key], one.state]));
  const seen = async () => ({
    fleet: statesOf((await api('GET', '/fleet')).json.deckies, 'name'),
    shards: statesOf((await api('GET', '/swarm/deckies')).json, 'decky_name'),
  });
  const both = (states: Record<string, string>) => ({ fleet: states, shards: states });

  // proof: field-3.12-1
  it('are `tearing_down` at once, of one decky, and a heartbeat does not take it back', async () => {
    assert.deepEqual(await seen(), both({ a: 'running', b: 'running', c: 'running' }));
    assert.equal((await api('DELETE', '/deckies/a')).status, 202);
    const states = both({ a: GOING, b: 'running', c: 'running' });
    assert.deepEqual(await seen(), states);
    await report();
    assert.deepEqual(await seen(), states);
  });

  it('are `tearing_down` at once, of a host’s and of all deckies', async () => {
    assert.equal((await api('POST', `/swarm/hosts/${host.host.uuid}/teardown`, { decky_id: 'b' })).status, 202);
    assert.deepEqual(await seen(), both({ a: 'running', b: GOING, c: 'running' }));
    const answer = await api('DELETE', '/deckies');
    assert.equal(answer.status, 202);
    assert.deepEqual(await seen(), both({ a: GOING, b: GOING, c: GOING }));
    const { counts } = (await api('GET', `/deployments/${answer.headers.get('deckhand-deployment-id')}`)).json;
    assert.equal(counts.pending, 2);
  });

  // proof: field-3.12-1
  it('are `tearing_down` at once, of what replace_fleet removes', async () => {
    const ini = `${GENERAL}[a]\nservices=ssh\n`;
    const answer = await api('POST', '/deckies/deploy', { ini_content: ini, replace_fleet: true });
    assert.equal(answer.status, 202, answer.text);
    assert.deepEqual(await seen(), both({ a: 'running', b: GOING, c: GOING }));
  });

  it('are `teardown_failed` where it is cancelled before it began, until the host is asked again', async () => {
    await api('DELETE', '/deckies/a');
    await swarm.api.settle('failed');
    assert.deepEqual(await seen(), both({ a: 'teardown_failed', b: 'running', c: 'running' }));
  });
});
