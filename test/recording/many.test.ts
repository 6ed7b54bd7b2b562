/** Records histories of what is done by more children where a request names very much, with less of it. */

import { deployWorkflowId, groupWorkflowId, leaveWorkflowId, localWorkflowId } from '../../fleet/housekeeping.ts';
import { acceptRequest } from '../../operations/acceptance.ts';
import { scriptedAgent } from '../support/agents/scripted-agent.ts';
import { storeDeploy } from '../support/master/requests.ts';
import { historyRecording } from '../support/temporal/history-recording.ts';

const THREE = '[a]\namount=3\nservices=ssh\n';

describe('recording histories of large requests', () => {
  const on = historyRecording();

  async function execute(type: string, workflowId: string, input: object): Promise<void> {
    const { id: taskQueue, temporal } = on.world;
    await temporal.client.workflow.execute(type, { workflowId, taskQueue, args: [input] });
  }

  it('hosts in groups, and deckies that leave a host by a child', async () => {
    const { world } = on;
    await world.startWorker();
    const agents = await Promise.all(['h1', 'h2', 'h3'].map((name) => scriptedAgent(world, name)));
    for (const agent of agents) agent.onDeploy = () => agent.report('succeeded');
    const operationId = await storeDeploy(world.database.sql, THREE);
    const workflowId = deployWorkflowId(operationId);
    await execute('deployFleet', workflowId, { operationId, searchAttributes: true, resume: true, hostsPerGroup: 2 });
    await on.save('swarm-groups', { 'deploy-fleet': workflowId, 'deploy-shards': groupWorkflowId(operationId, 1) });
    const hostUuid = agents[0]?.hostUuid ?? '';
    const leaving = leaveWorkflowId(operationId, 1);
    const names = ['a-01', 'a-02'];
    const host = { hostUuid, hostName: 'h1', reachable: true, hostLostAfterMs: 60_000 };
    await execute('takeDownLeaving', leaving, { operationId, searchAttributes: true, ...host, names });
    await on.save('move-many', { 'take-down-leaving': leaving });
    await Promise.all(agents.map((agent) => agent.close()));
  });

  it('a part of many local deckies is kept', async () => {
    const { world } = on;
    await world.startWorker();
    const operationId = await storeDeploy(world.database.sql, THREE);
    await acceptRequest(world.database.sql, operationId);
    const workflowId = localWorkflowId(operationId, 1);
    const part = { workflowId, names: ['a-01', 'a-02', 'a-03'], removals: false, hostUuid: null, hostName: null };
    await execute('keepPart', workflowId, { part, error: 'NetworkConflict: there is no such interface.' });
    await on.save('network-refused-many', { 'keep-part': workflowId });
  });
});
