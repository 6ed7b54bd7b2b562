/** The worker of the bare update: a process and a task queue of its own. Prints `ready`, drains on SIGTERM. */
import { fileURLToPath } from 'node:url';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { NativeConnection, Worker } from '@temporalio/worker';
import { openDatabase } from '../../adapters/postgres/connect.ts';
import { BARE_TASK_QUEUE, type BareActivities, TABLE } from './messages.ts';

const { connectionOptions, namespace = 'default' } = loadClientConnectConfig();
const sql = openDatabase(process.env.DATABASE_URL ?? '', { applicationName: 'deckhand-bench' });
await sql`create table if not exists ${sql(TABLE)} (id text primary key, accepted_at timestamptz not null default now())`;
const connection = await NativeConnection.connect(connectionOptions);
const activities: BareActivities = {
  insert: async ({ id }) => {
    await sql`insert into ${sql(TABLE)} (id) values (${id}) on conflict do nothing`;
  },
};
const worker = await Worker.create({
  connection,
  namespace,
  taskQueue: BARE_TASK_QUEUE,
  workflowsPath: fileURLToPath(new URL('./workflows.ts', import.meta.url)),
  activities: { ...activities },
});
const run = worker.run();
process.stdout.write('ready\n');
await run;
await connection.close();
await sql.end({ timeout: 2 });
