/** Sends an outbox as a process of its own, and waits for a line of its input before each event, so that it can be stopped there. */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { createBus } from '../../../adapters/nats/bus.ts';
import { openDatabase } from '../../../adapters/postgres/connect.ts';
import { drainOutbox } from '../../../adapters/postgres/outbox.ts';

const { DATABASE_URL = '', SCHEMA = '', NATS_URL = '', LEASE_MS } = process.env;
const sql = openDatabase(DATABASE_URL, { schema: SCHEMA, max: 1, applicationName: `${SCHEMA}-frozen` });
const bus = createBus(NATS_URL, SCHEMA);
const lines = createInterface({ input: process.stdin });
await drainOutbox(
  sql,
  async (event) => {
    const word = once(lines, 'line');
    process.stdout.write(`next ${event.messageId}\n`);
    await word;
    await bus.publish(event);
  },
  undefined,
  { leaseMs: Number(LEASE_MS) },
);
process.stdout.write('done\n');
await bus.close();
await sql.end({ timeout: 1 });
process.exit(0);
