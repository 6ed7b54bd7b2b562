import assert from 'node:assert/strict';
import { run } from '../../cli/run.ts';
import { type CapturedIo, capturedIo } from '../support/clients/captured-io.ts';
import { deployment, row } from '../support/clients/cli-rows.ts';
import { ScriptedMaster } from '../support/master/scripted-master.ts';

describe('cli: cancel', () => {
  let master: ScriptedMaster;
  let io: CapturedIo;
  const CANCELLED = { status: 202, body: { message: 'm', deployment_id: 'd-1', lifecycle_ids: ['row-web-01'] } };

  beforeEach(async () => {
    master = await new ScriptedMaster(() => ({ status: 404, body: { detail: 'There is no deployment d-2' } })).start();
    io = capturedIo(master.environment);
    master.script = ({ method, path }) => {
      if (method === 'POST' && path === '/api/v1/deployments/d-1/cancel') return CANCELLED;
      if (path === '/api/v1/deployments/d-1')
        return { status: 200, body: deployment([row('web-01', 'failed'), row('web-02', 'succeeded')]) };
      return { status: 404, body: { detail: 'There is no deployment d-2' } };
    };
  });
  afterEach(() => master.stop());

  it('asks, and says how many are to end and how to follow them', async () => {
    assert.equal(await run(['cancel', 'd-1'], io), 0);
    assert.equal(io.lines.join('\n'), 'Cancelled: 1 decky to end. Follow it: deckhand status d-1 --wait');
  });

  it('with --wait stays until every row has ended, which is what was asked for', async () => {
    assert.equal(await run(['cancel', 'd-1', '--wait'], io), 0);
    assert.match(io.lines.join('\n'), /1 succeeded, 1 failed/);
  });

  it('refuses what there is not, with exit code 1', async () => {
    assert.equal(await run(['cancel', 'd-2'], io), 1);
    assert.match(io.errors.join('\n'), /There is no deployment d-2/);
  });
});
