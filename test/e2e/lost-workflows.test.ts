/** Workflows that are gone: terminated by an operator, or lost with Temporal's database. The sweep brings their rows to an end. */
import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { deployWorkflowId } from '../../fleet/housekeeping.ts';
import { deploy, deployRows, fleetOf, takeDown, untilEnded } from '../drills/deploy.ts';
import { DrillStack } from '../drills/drill-stack.ts';
import { judgeContainers, judgeRows, judgeStored } from '../drills/judge.ts';
import { testDirectory } from '../support/stack/stack.ts';

/** Keeps a deploy in its middle long enough to be hit there. */
const LONG_HEALTH = '15s';
/** The promise of the issue. */
const NOTHING_OPEN_MS = 180_000;

describe('a deploy whose workflow is gone', function () {
  this.timeout(300_000);
  let stack: DrillStack;
  let spawned: DrillStack | null = null;
  before(async () => {
    stack = await DrillStack.start(testDirectory('lost'), (one) => {
      spawned = one;
    });
  });
  after(async () => {
    assert.deepEqual((await spawned?.stop()) ?? [], []);
  });

  // proof: lost-workflows
  it('ends as failed: WorkflowLost when an operator terminated it, and can be deployed again', async () => {
    const fleet = fleetOf(stack, 'ended');
    const { ids } = await deploy(stack, fleet, LONG_HEALTH);
    await terminate(stack, await workflowInTheMiddle(stack, ids));
    await untilEnded(stack, fleet.names, NOTHING_OPEN_MS);
    const rows = await deployRows(stack, fleet.names);
    assert.equal(rows.length, ids.length);
    for (const row of rows) {
      assert.equal(row.status, 'failed', row.decky_name);
      assert.match(row.error ?? '', /^WorkflowLost: deploy\/\S+ ended without ending this row; .+ Deploy it again/);
    }

    const again = await deploy(stack, fleet, '0s');
    await untilEnded(stack, fleet.names);
    const second = (await deployRows(stack, fleet.names)).filter((row) => !ids.includes(row.id));
    assert.deepEqual(judgeRows(again.ids, fleet.names, second), []);
    if (stack.hasEngine) assert.deepEqual(judgeContainers(fleet.containers, await stack.containers()), []);
    await takeDown(stack, fleet.names);
  });

  // proof: lost-workflows
  it('is done after all when Temporal’s database was lost and everything restarted (gap A3)', async () => {
    const fleet = fleetOf(stack, 'lost');
    const { ids } = await deploy(stack, fleet, LONG_HEALTH);
    await workflowInTheMiddle(stack, ids);
    killAllButDocker(stack);
    await stack.process.ended();
    const files = readdirSync(stack.home).filter((name) => name.startsWith('temporal.db'));
    assert.ok(files.includes('temporal.db'), files.join(', '));
    for (const file of files) rmSync(join(stack.home, file));

    await stack.restart();
    await untilEnded(stack, fleet.names, NOTHING_OPEN_MS);
    const rows = await deployRows(stack, fleet.names);
    assert.deepEqual(judgeRows(ids, fleet.names, rows), []);
    if (stack.hasEngine) assert.deepEqual(judgeContainers(fleet.containers, await stack.containers()), []);
    assert.deepEqual(await storedInTime(stack, rows), []);
    await takeDown(stack, fleet.names);
  });
});

/** Waits until all rows run; the id of their deployFleet. */
async function workflowInTheMiddle(stack: DrillStack, ids: readonly string[]): Promise<string> {
  for (;;) {
    const rows = await stack.sql<{ status: string; deployment_id: string }[]>`
      select status, deployment_id from decky_lifecycle where id = any(${[...ids]})`;
    const statuses = rows.map(({ status }) => status);
    assert.ok(!statuses.some((status) => status === 'succeeded' || status === 'failed'), statuses.join(', '));
    if (statuses.every((status) => status === 'running')) return deployWorkflowId(rows[0]?.deployment_id ?? '');
    await pause(50);
  }
}

/** As the button of the Web UI does. */
async function terminate(stack: DrillStack, workflowId: string): Promise<void> {
  const { temporal_address: address, temporal_namespace: namespace } = stack.process.stackFile();
  const connection = await Connection.connect({ address });
  try {
    await new Client({ connection, namespace }).workflow.getHandle(workflowId).terminate('a drill');
  } finally {
    await connection.close();
  }
}

/** The supervisor first, so that nothing comes back before the database is gone. */
function killAllButDocker(stack: DrillStack): void {
  const { processes } = stack.process.stackFile();
  stack.process.signal('SIGKILL');
  for (const { name, pid } of processes) if (name !== 'docker') process.kill(pid, 'SIGKILL');
}

/** What is missing in JetStream once the sweep had its time. */
async function storedInTime(stack: DrillStack, rows: Parameters<typeof judgeStored>[0]): Promise<string[]> {
  const names = rows.map((row) => row.decky_name);
  for (const until = Date.now() + 100_000; ; await pause(500)) {
    const problems = judgeStored(rows, await stack.events.stored(names));
    if (problems.length === 0 || Date.now() > until) return problems;
  }
}
