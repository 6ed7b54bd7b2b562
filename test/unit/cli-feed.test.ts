/** What `deckhand events` and `deckhand audit` print. */
import assert from 'node:assert/strict';
import pc from 'picocolors';
import { type AuditEntry, parseBlock } from '../../cli/event-stream.ts';
import { renderAudit, renderEvent } from '../../cli/feed.ts';

const plain = pc.createColors(false);
const entry: AuditEntry = {
  id: '1',
  at: '2026-11-23T19:00:37.601031Z',
  listener: 'operators',
  username: 'admin',
  peer: '127.0.0.1',
  request_id: 'r-1',
  method: 'PUT',
  path: '/api/v1/config/deployment-limit',
  subject: null,
  request: { deployment_limit: 20 },
  before: { key: 'deployment_limit', value: 10 },
  after: { key: 'deployment_limit', value: 20 },
  status: 200,
  error_code: null,
};

describe('deckhand events', () => {
  it('reads blocks, also those that tell an id alone, and no comments', () => {
    assert.deepEqual(parseBlock('id: 7\nevent: end\ndata: {"detail":"a: b"}'), {
      id: '7',
      event: 'end',
      data: { detail: 'a: b' },
    });
    assert.deepEqual(parseBlock('retry: 2000\nid: 9'), { id: '9', event: 'position', data: {} });
    assert.equal(parseBlock(': still here'), null);
  });

  it('a failure comes with its error on one line, without escape sequences', () => {
    const payload = { operation: 'deploy', status: 'failed', error: 'ContainerExited: \u001b[31mboom\nagain' };
    const line = renderEvent({ id: '1', event: 'lifecycle', data: { ts: 0, decky_name: 'web-01', payload } }, plain);
    assert.match(line, /^\d\d:\d\d:\d\d {2}web-01 {2}deploy {2}failed {2}ContainerExited: boom again$/);
  });

  it('a mutation comes with the services before and after', () => {
    const payload = { old_services: ['ssh'], new_services: ['http', 'ftp'] };
    const line = renderEvent({ id: '1', event: 'mutation', data: { ts: 0, decky_name: 'a', payload } }, plain);
    assert.match(line, /a {2}mutated {2}ssh → http,ftp$/);
  });
});

describe('deckhand audit', () => {
  it('shows what changed, what was asked for where nothing did, and what was never answered', () => {
    const refused = { ...entry, username: null, after: null, status: 403, error_code: 'Forbidden' };
    const [, changed, asked, unanswered] = renderAudit(
      [entry, refused, { ...entry, status: null, after: null }],
      plain,
    ).split('\n');
    assert.match(
      changed ?? '',
      /^2026-11-23 19:00:37 +admin +127\.0\.0\.1 +PUT \/config\/deployment-limit +200 +value: 10 → 20$/,
    );
    assert.match(asked ?? '', /– .*403 Forbidden +deployment_limit=20$/);
    assert.match(unanswered ?? '', /no answer/);
  });
});
