import assert from 'node:assert/strict';
import { lifecycleMessageId, lifecycleSubject, mutationSubject, subjectToken } from '../../fleet/lifecycle.ts';
import { GENERAL, plan } from '../support/fixtures/planning.ts';

describe('subjects', () => {
  // proof: gap-a9
  it('gap A9: a decky with a dot in its name is planned, and has a subject of three tokens', () => {
    const [decky] = plan(`${GENERAL}[web.example.lan]\nservices=ftp\n`).deckies;
    assert.equal(decky?.config.name, 'web.example.lan');
    assert.equal(lifecycleSubject('web.example.lan'), 'decky.web_example_lan.lifecycle');
    assert.equal(mutationSubject('web.example.lan'), 'decky.web_example_lan.mutation');
  });

  it('holds nothing that NATS forbids in a token', () => {
    for (const name of ['a b', 'a*', '>', 'a\tb', '', '.'])
      assert.match(subjectToken(name), /^[^.\s*>]+$/, JSON.stringify(name));
  });

  it('names a message by row and status, so that JetStream drops the repeat', () => {
    assert.equal(lifecycleMessageId('1f', 'running'), '1f:running');
  });
});
