/** One deploy, followed by its id through the logs of API, worker and agent. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { testDirectory } from '../support/stack/stack.ts';
import { StackProcess } from '../support/stack/stack-process.ts';
import { until } from '../support/until.ts';

const REQUEST_ID = 'followed-by-a-test';
const DECKY = 'followed';

type Line = Readonly<Record<string, unknown>>;

describe('logs', function () {
  this.timeout(200_000);
  let home = '';
  let stack: StackProcess;

  before(async () => {
    home = testDirectory('log-ids');
    const env = { DECKHAND_PROJECT: `s${randomBytes(3).toString('hex')}`, DECKHAND_ENGINE: 'simulated' };
    stack = await new StackProcess({ home, args: ['--agents', '1', '--fleet', 'none'], env }).up();
  });
  after(async () => {
    stack?.signal('SIGINT');
    await stack?.ended();
    rmSync(home, { recursive: true, force: true });
  });

  function lines(program: string): Line[] {
    const text = readFileSync(join(home, 'logs', `${program}.log`), 'utf8');
    return text.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as Line] : []));
  }

  // proof: log-ids
  it('of API, worker and agent name a deploy by the same id, with request, decky and host', async () => {
    const { api_url: url, admin } = stack.stackFile();
    const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
      fetch(`${url}/api/v1${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      });
    const { access_token } = z
      .object({ access_token: z.string() })
      .parse(await (await post('/auth/login', admin)).json());
    const ini = { ini_content: `[${DECKY}]\nservices = redis\n`, min_healthy_time: 0 };
    const answer = await post('/deckies/deploy', ini, {
      authorization: `Bearer ${access_token}`,
      'x-request-id': REQUEST_ID,
    });
    assert.equal(answer.status, 202, await answer.text());
    const id = answer.headers.get('deckhand-deployment-id');
    const of = (program: string): Line[] => lines(program).filter((line) => line.deployment_id === id);
    await until("the end in the worker's log", async () => of('worker').some(({ msg }) => msg === 'ended'));

    const [request] = of('api');
    assert.deepEqual([request?.request_id, request?.status], [REQUEST_ID, 202]);
    const accepted = of('worker').find(({ msg }) => msg === 'accepted');
    assert.equal(accepted?.request_id, REQUEST_ID);
    const sent = of('worker').find(({ msg }) => msg === 'sent to the host');
    const outcome = of('agent-1').find(({ status }) => status === 'succeeded');
    assert.equal(outcome?.decky, DECKY);
    assert.equal(typeof sent?.host, 'string');
    assert.equal(outcome?.host, sent?.host);
  });
});
