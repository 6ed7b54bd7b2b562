/** A swarm with hosts whose agents answer, and the administrator who asks for them: one anew for each test of the `describe` that asks for it. */
import { type AnsweringAgent, answeringAgent } from '../agents/answering-agent.ts';
import type { Answer } from './api-harness.ts';
import { createSwarmHarness, type SwarmHarness } from './swarm-harness.ts';

export function swarmOperator() {
  let swarm: SwarmHarness;
  const agents: AnsweringAgent[] = [];
  beforeEach(async () => {
    swarm = await createSwarmHarness();
  });
  afterEach(async () => {
    await swarm.close();
    for (const agent of agents.splice(0)) await agent.close();
  });

  const api = (method: string, path: string, body?: object): Promise<Answer> =>
    swarm.api.call(method, `/api/v1${path}`, { token: swarm.admin, ...(body === undefined ? {} : { body }) });

  return {
    get swarm() {
      return swarm;
    },
    /** Asks the operators' API as administrator. */
    api,
    /** An enrolled host whose agent answers, and keeps the orders that it got. */
    hostWithAgent: async (name: string) => {
      const identity = await swarm.authority.issue({ name, sans: ['127.0.0.1'] });
      const agent = await answeringAgent(identity);
      agents.push(agent);
      const enrolled = await swarm.enroll(name, { agentPort: agent.port });
      await swarm.hosts.certificateIssued(enrolled.host.uuid, identity.fingerprint, identity.notAfter);
      await swarm.hosts.adoptCertificate(enrolled.host.uuid, identity.fingerprint);
      return { uuid: enrolled.host.uuid, agent, identity };
    },
    shards: async () => (await api('GET', '/swarm/deckies')).json,
  };
}
