import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Connection } from '@temporalio/client';
import { msNumberToTs } from '@temporalio/common/lib/time.js';
import { diagnoseTemporal } from '../../stack/doctor.ts';
import { testServers } from '../support/stack/stack.ts';

const DAY_MS = 86_400_000;

describe('the diagnosis of Temporal', () => {
  let connection: Connection;
  before(async () => {
    connection = await Connection.connect({ address: testServers.temporalAddress });
  });
  after(() => connection.close());

  async function namespaceThatKeeps(days: number): Promise<string> {
    const namespace = `doctor-${randomBytes(4).toString('hex')}`;
    await connection.workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: msNumberToTs(days * DAY_MS),
    });
    return namespace;
  }
  const findings = (namespace: string) => diagnoseTemporal({}, { address: testServers.temporalAddress, namespace });

  it('says how long closed workflows are kept, and how to keep them for 30 days', async () => {
    const short = await namespaceThatKeeps(3);
    const kept = (await findings(short)).find((finding) => finding.part === 'closed workflows');
    assert.equal(kept?.status, 'warn');
    assert.match(kept?.found ?? '', /3 days/);
    assert.match(kept?.advice ?? '', new RegExp(`namespace update .*--namespace ${short} --retention 30d`));
  });

  it('is content with 30 days', async () => {
    const found = await findings(await namespaceThatKeeps(30));
    assert.deepEqual(
      found.map((finding) => finding.status),
      ['ok', 'ok'],
    );
  });

  it('says that the stack’s own does not answer', async () => {
    const [found] = await diagnoseTemporal({}, { address: '127.0.0.1:1', namespace: 'default' });
    assert.equal(found?.status, 'missing');
  });
});
