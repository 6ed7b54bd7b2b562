/** The real workflows on activities of a test, for what no real system does on demand. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import { agentTaskQueue, composeTaskQueue } from '../../../fleet/housekeeping.ts';
import { workflowBundle } from '../../../worker/bundle.ts';
import { readWorkerConfig } from '../../../worker/config.ts';
import { testServers } from '../stack/stack.ts';
import { quietRuntime } from './quiet-runtime.ts';

export interface Stubs {
  readonly store: object;
  readonly engine?: object;
  readonly agents?: object;
}

export interface StubbedWorker {
  readonly client: Client;
  readonly taskQueue: string;
  close(): Promise<void>;
}

export async function stubbedWorker({ store, engine, agents }: Stubs): Promise<StubbedWorker> {
  quietRuntime();
  const taskQueue = `t${randomUUID()}`;
  const { cache } = readWorkerConfig({ DATABASE_URL: 'postgres://nobody' });
  const codePath = await workflowBundle(join(cache, 'bundles'));
  const native = await NativeConnection.connect({ address: testServers.temporalAddress });
  const connection = await Connection.connect({ address: testServers.temporalAddress });
  const workers = [
    await Worker.create({ connection: native, taskQueue, workflowBundle: codePath, activities: store }),
    ...(engine
      ? [await Worker.create({ connection: native, taskQueue: composeTaskQueue(taskQueue), activities: engine })]
      : []),
    ...(agents
      ? [await Worker.create({ connection: native, taskQueue: agentTaskQueue(taskQueue), activities: agents })]
      : []),
  ];
  const runs = Promise.all(workers.map((worker) => worker.run()));
  return {
    client: new Client({ connection }),
    taskQueue,
    close: async () => {
      for (const worker of workers) worker.shutdown();
      await runs;
      await native.close();
      await connection.close();
    },
  };
}
