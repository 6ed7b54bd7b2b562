import assert from 'node:assert/strict';
import { closeTicket, currentTicket, openTicket, redrawTickets, ticketOf } from '../../adapters/postgres/tickets.ts';
import { createTestDatabase, type TestDatabase } from '../support/servers/database.ts';

describe('the tickets of a host’s lane', () => {
  let database: TestDatabase;
  before(async () => {
    database = await createTestDatabase();
  });
  after(() => database?.drop());
  const draw = (hostUuid: string, operationId: string): Promise<number> =>
    database.sql.begin((tx) => openTicket(tx, { hostUuid, operationId, workflowId: `deploy/${operationId}` }));

  // proof: field-3.10-3
  it('get numbers beyond the agent’s, in their order, where this database did not send that one', async () => {
    const { sql } = database;
    await draw('h', 'ended');
    await closeTicket(sql, 'h', 'ended');
    for (const operation of ['first', 'second', 'third']) await draw('h', operation);
    await draw('other', 'first');
    assert.equal(await redrawTickets(sql, { hostUuid: 'h', operationId: 'first', seen: 3 }), 5);
    assert.deepEqual(
      await Promise.all(['ended', 'first', 'second', 'third'].map((operation) => ticketOf(sql, 'h', operation))),
      [1, 5, 6, 7],
    );
    assert.equal((await currentTicket(sql, 'h'))?.operationId, 'first');
    assert.equal(await ticketOf(sql, 'other', 'first'), 1);
    assert.equal(await redrawTickets(sql, { hostUuid: 'h', operationId: 'first', seen: 500 }), 501);
    assert.equal(await draw('h', 'fourth'), 504);
  });

  it('keep their numbers where the operation was overtaken, or has none', async () => {
    const { sql } = database;
    for (const operation of ['a', 'b']) await draw('h2', operation);
    assert.equal(await redrawTickets(sql, { hostUuid: 'h2', operationId: 'b', seen: 9 }), null, 'it is not its turn');
    await closeTicket(sql, 'h2', 'a');
    assert.equal(await redrawTickets(sql, { hostUuid: 'h2', operationId: 'a', seen: 9 }), null, 'its turn is over');
    assert.equal(await redrawTickets(sql, { hostUuid: 'h2', operationId: 'none', seen: 9 }), null);
    assert.deepEqual(await Promise.all(['a', 'b'].map((operation) => ticketOf(sql, 'h2', operation))), [1, 2]);
  });
});
