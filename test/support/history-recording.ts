/** What recording histories needs: a world for each test, and a folder of the release that is recorded. */
import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { deployWorkflowId, localWorkflowId, mutateWorkflowId } from '../../fleet/workflow-ids.ts';
import packageJson from '../../package.json' with { type: 'json' };
import { createWorld, type World } from './world.ts';

const FOLDER = new URL(`../replay/histories/${packageJson.version}/`, import.meta.url);

/** Stack traces name the folder of the machine that recorded; a history must not. */
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const withoutPaths = (text: string): string => text.replaceAll(ROOT, '');

/** For a `describe`: the world is made anew for each of its tests, without a worker. */
export function historyRecording() {
  let world: World;
  beforeEach(async () => {
    world = await createWorld({ worker: false });
  });
  afterEach(() => world.close());

  async function save(scenario: string, workflows: Record<string, string>): Promise<void> {
    await mkdir(new URL(`${scenario}/`, FOLDER), { recursive: true });
    for (const [name, workflowId] of Object.entries(workflows)) {
      const history = await world.temporal.client.workflow.getHandle(workflowId).fetchHistory();
      await writeFile(new URL(`${scenario}/${name}.json`, FOLDER), `${withoutPaths(historyToJSON(history))}\n`);
    }
  }

  return {
    get world() {
      return world;
    },
    /** Workflow ids by the name of the file that each becomes. */
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
