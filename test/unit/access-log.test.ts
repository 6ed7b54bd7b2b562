import assert from 'node:assert/strict';
import { Hono } from 'hono';
import { pino } from 'pino';
import type { ApiEnv } from '../../api/environment.ts';
import { accessLog } from '../../api/middleware.ts';

describe('the access log', () => {
  it('has neither queries nor the tokens that are part of an address', async () => {
    const lines: string[] = [];
    const app = new Hono<ApiEnv>();
    app.use(accessLog(pino({ level: 'info' }, { write: (line: string) => lines.push(line) })));
    app.get('*', (c) => c.text(''));
    for (const path of ['/api/v1/events?ticket=SECRET', '/api/v1/swarm/enroll-bundle/SECRET.sh'])
      await app.request(path);
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).path),
      ['/api/v1/events', '/api/v1/swarm/enroll-bundle/[cut]'],
    );
    assert.ok(!lines.join().includes('SECRET'));
  });
});
