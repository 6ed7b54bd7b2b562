/** Starts the worker of the bare update, and asks it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Client, Connection, WithStartWorkflowOperation } from '@temporalio/client';
import type { StackFile } from '../../stack/home.ts';
import { ROOT } from '../../stack/root.ts';
import { BARE_TASK_QUEUE, type BareInput, bareAcceptUpdate, WORKFLOW_TYPE } from './messages.ts';

type BareWorkflow = (input: BareInput) => Promise<void>;

export class BareAccept {
  readonly #worker: ChildProcess;
  readonly #connection: Connection;
  readonly #client: Client;

  private constructor(worker: ChildProcess, connection: Connection, client: Client) {
    this.#worker = worker;
    this.#connection = connection;
    this.#client = client;
  }

  static async start(stack: StackFile): Promise<BareAccept> {
    const { temporal_address: address, temporal_namespace: namespace, database_url } = stack;
    const worker = spawn(
      process.execPath,
      ['--import', 'tsx', fileURLToPath(new URL('./worker.ts', import.meta.url))],
      {
        cwd: ROOT,
        env: {
          ...process.env,
          DATABASE_URL: database_url,
          TEMPORAL_ADDRESS: address,
          TEMPORAL_NAMESPACE: namespace,
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    await ready(worker);
    const connection = await Connection.connect({ address });
    return new BareAccept(worker, connection, new Client({ connection, namespace }));
  }

  get pid(): number {
    return this.#worker.pid ?? 0;
  }

  async accept(local: boolean): Promise<void> {
    const id = randomUUID();
    await this.#client.workflow.executeUpdateWithStart(bareAcceptUpdate, {
      updateId: id,
      startWorkflowOperation: new WithStartWorkflowOperation<BareWorkflow>(WORKFLOW_TYPE, {
        workflowId: `bench/${id}`,
        workflowIdConflictPolicy: 'USE_EXISTING',
        taskQueue: BARE_TASK_QUEUE,
        args: [{ id, local }],
      }),
    });
  }

  async stop(): Promise<void> {
    await this.#connection.close();
    if (this.#worker.exitCode !== null) return;
    const closed = new Promise((resolve) => this.#worker.once('close', resolve));
    this.#worker.kill('SIGTERM');
    await closed;
  }
}

/** Rejects with the output when the worker ends before it is ready. */
function ready(worker: ChildProcess): Promise<void> {
  let output = '';
  return new Promise((resolve, reject) => {
    for (const stream of [worker.stdout, worker.stderr])
      stream?.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        if (/^ready$/m.test(output)) resolve();
      });
    worker.once('error', reject);
    worker.once('close', () => reject(new Error(`the worker of the bare update ended:\n${output}`)));
  });
}
