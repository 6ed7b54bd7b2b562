/** An agent for the tests of the `describe` that asks: started before them, without a decky after each. */
import { type AgentHost, agentHost } from './agent-host.ts';

/** `given` is called once it is there. */
export function startedAgent(given: (host: AgentHost) => void): void {
  let host: AgentHost;
  before(async () => {
    host = await agentHost();
    given(host);
    await host.start();
  });
  after(() => host?.clean());
  afterEach(async () => {
    await host.call('POST', '/teardown', { decky_id: null });
  });
}
