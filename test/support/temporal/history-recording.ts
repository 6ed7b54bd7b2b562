/** What recording histories needs: a world for each test, and a folder of the release that is recorded. */

import { hostname, tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { deployWorkflowId, localWorkflowId, mutateWorkflowId } from '../../../fleet/housekeeping.ts';
import packageJson from '../../../package.json' with { type: 'json' };
import { writeHistory } from './histories.ts';
import { type Machine, withoutMachine } from './nameless-history.ts';
import { createWorld, type World } from './workflow-fixture.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const OWN = process.env.DECKHAND_TEST_TMP;
const MACHINE: Machine = {
  hostName: hostname(),
  folders: [[ROOT, ''], ...(OWN ? [[dirname(OWN), '(servers)'] as const] : []), [tmpdir(), '(temporary)']],
};

/** One run of a workflow; without `runId` the last one. */
export interface RunOf {
  readonly workflowId: string;
  readonly runId?: string;
}

/** For a `describe`: the world is made anew for each of its tests, without a worker. */
export function historyRecording() {
  let world: World;
  beforeEach(async () => {
    world = await createWorld({ worker: false });
  });
  afterEach(() => world.close());

  async function save(scenario: string, workflows: Record<string, string | RunOf>): Promise<void> {
    for (const [name, one] of Object.entries(workflows)) {
      const { workflowId, runId } = typeof one === 'string' ? { workflowId: one } : one;
      const history = await world.temporal.client.workflow.getHandle(workflowId, runId).fetchHistory();
      const nameless = withoutMachine(JSON.parse(historyToJSON(history)), MACHINE);
      writeHistory(`${packageJson.version}/${scenario}/${name}`, JSON.stringify(nameless));
    }
  }

  return {
    get world() {
      return world;
    },
    /** Workflow ids, or runs, by the name of the file that each becomes. */
    save,
    both: (id: string) => ({ 'deploy-fleet': deployWorkflowId(id), 'deploy-local': localWorkflowId(id, 1) }),
    closed: (id: string) => world.temporal.client.workflow.getHandle(deployWorkflowId(id)).result(),
    /** Of decky a, recorded as the scenario. */
    async mutate(scenario: string, services: string[], options = {}): Promise<void> {
      const mutation = { username: 'admin', decky_name: 'a', idempotency: null, services };
      const { deployment_id: id } = await world.deployments.mutate({
        ...mutation,
        options: { minHealthyTimeMs: 1_000, ...options },
      });
      await world.temporal.client.workflow.getHandle(mutateWorkflowId(id)).result();
      await save(scenario, { 'mutate-decky': mutateWorkflowId(id) });
    },
  };
}
