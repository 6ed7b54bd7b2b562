import assert from 'node:assert/strict';
import { Agent } from 'node:http';
import { inspect } from 'node:util';
import { connectDocker, opaque } from '../../engine/docker/transport.ts';

describe('what docker-modem inspects at every request', () => {
  it('is a label, however much hangs on it', () => {
    const agent = opaque(Object.assign(new Agent(), { heap: Array.from({ length: 1000 }, () => ({})) }), 'agent');
    assert.equal(inspect({ agent }, { showHidden: true, depth: null }), '{ agent: <agent> }');
  });

  it('holds for the agent of every connection', () => {
    const modem = connectDocker('unix:///nowhere.sock').modem as unknown as { agent: Agent };
    assert.equal(inspect(modem.agent, { showHidden: true, depth: null }), '<agent>');
  });
});
