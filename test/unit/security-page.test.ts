/** docs/security.md against the code: its tests exist, and its numbers and headers are those that count. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { READER_LIMIT } from '../../adapters/nats/event-stream.ts';
import { TICKET_SECONDS } from '../../adapters/postgres/users.ts';
import {
  ANSWER_DEADLINES,
  BODY_LIMIT_BYTES,
  HSTS,
  SECURE_HEADERS,
  STRANGER_BODY_LIMIT_BYTES,
} from '../../api/middleware.ts';
import { MAX_CONNECTIONS, SERVER_LIMITS } from '../../api/server.ts';
import * as swarm from '../../api/swarm/app.ts';
import { LIMITS } from '../../fleet/limits.ts';

const root = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const english = (count: number): string => count.toLocaleString('en');

describe('docs/security.md', () => {
  const page = readFileSync(root('docs/security.md'), 'utf8');
  const rowOf = (name: string): string =>
    page.split('\n').find((line) => line.startsWith(`| ${name} |`)) ?? assert.fail(`no row “${name}”`);

  it('names tests that exist, by words of their titles', () => {
    let compared = 0;
    for (const [, file = '', quoted = ''] of page.matchAll(/`(test\/[\w/.-]+)`((?:,?\s“[^”]+”)*)/g)) {
      assert.ok(existsSync(root(file)), `${file} does not exist`);
      const text = readFileSync(root(file), 'utf8').replaceAll("\\'", "'");
      for (const [, words = ''] of quoted.matchAll(/“([^”]+)”/g)) {
        assert.ok(text.includes(words), `${file} has no “${words}”`);
        compared += 1;
      }
    }
    assert.ok(compared >= 30, `${compared} references`);
  });

  // proof: security-page
  it('has the limits that count', () => {
    const seconds = (ms: number): string => `${ms / 1_000} s`;
    const expected = [
      ['body', `${english(BODY_LIMIT_BYTES)} bytes`],
      ['body', `${english(swarm.BODY_LIMIT_BYTES)} bytes`],
      [
        'body of a stranger: no token that was issued, no certificate',
        `${english(STRANGER_BODY_LIMIT_BYTES)} bytes (422)`,
      ],
      [
        'body of a stranger: no token that was issued, no certificate',
        `${english(swarm.STRANGER_BODY_LIMIT_BYTES)} bytes (413)`,
      ],
      ['headers, by time', seconds(SERVER_LIMITS.headersMs)],
      ['whole request', seconds(SERVER_LIMITS.requestMs)],
      ['TLS handshake', seconds(SERVER_LIMITS.handshakeMs)],
      ['silence on a connection', seconds(SERVER_LIMITS.silenceMs)],
      ['connections', english(MAX_CONNECTIONS)],
      ['answer', seconds(ANSWER_DEADLINES.answerMs)],
      ['answer', seconds(ANSWER_DEADLINES.operationMs)],
      ['streams of events and figures', `${english(READER_LIMIT)} events`],
      ['ticket for a stream', `${TICKET_SECONDS} s`],
      ['INI', `${english(LIMITS.iniCharacters)} characters`],
      ['INI', `${english(LIMITS.amountPerSection)} deckies`],
      ['INI', english(LIMITS.deploymentLimitMax)],
      ['ids in a query of rows', `| ${LIMITS.lifecycleIdsPerQuery} |`],
    ] as const;
    for (const [row, text] of expected) assert.ok(rowOf(row).includes(text), `${row}: ${text}`);
  });

  // proof: security-page
  it('has the headers that are sent', () => {
    for (const [name, value] of Object.entries({ ...SECURE_HEADERS, 'Strict-Transport-Security': HSTS }))
      assert.ok(page.includes(`\`${name}: ${value}\``), name);
  });
});
