import assert from 'node:assert/strict';
import { cutSecrets, secretValues } from '../../fleet/secrets.ts';
import { GENERAL, plan } from '../support/fixtures/planning.ts';

const secrets = (sections: string): string[] => secretValues(plan(GENERAL + sections).deckies);
const b64 = (text: string): string => Buffer.from(text).toString('base64');

describe('secrets', () => {
  it('are the values that the catalogue marks and those that are named like one, longest first', () => {
    const text = `[a]\nservices=ssh\n[a.ssh]\npassword=hunter2\nuser=visible\nuser_password=hunter2-longer\n
[a.smtp_relay]\nupstream_pass=relaypass\nupstream_host=mail.example\n[a.http]\napi_token=tok-123\n`;
    assert.deepEqual(secrets(text), ['hunter2-longer', 'relaypass', 'hunter2', 'tok-123']);
  });

  it('leave out what is shorter than four characters', () => {
    assert.deepEqual(secrets('[a]\nservices=ssh\n[a.ssh]\npassword=abc\n'), []);
  });

  it('are known as written, decoded, and line by line', () => {
    const key = 'BEGIN-KEY\nline-two-of-it\nEND-KEY';
    assert.deepEqual(secrets('[a]\nservices=https\n[a.https]\ntls_cert=marked-in-the-catalogue\n'), [
      'marked-in-the-catalogue',
    ]);
    const found = secrets(`[a]\nservices=https\n[a.https]\ntls_key=b64:${b64(key)}\n`);
    for (const form of [`b64:${b64(key)}`, key, 'line-two-of-it']) assert.ok(found.includes(form), form);
  });

  it('are found in the command of a custom service', () => {
    const custom = '[custom-h]\nbinary=h\nexec=/h --password=s3cret=1 --auth-token t0ken TOKEN=abcd --port 8080\n';
    assert.deepEqual(secrets(`[a]\nservices=h\n${custom}`), ['s3cret=1', 't0ken', 'abcd']);
  });

  // proof: promise-10
  it('are cut out of any text, the whole before its part, with characters of patterns taken as they are', () => {
    const values = ['hunter2-longer', 'hunter2', 'a.b$(c)'];
    assert.equal(cutSecrets('x hunter2-longer y hunter2; a.b$(c) aXb', values), 'x [cut] y [cut]; [cut] aXb');
    assert.equal(cutSecrets('nothing here', []), 'nothing here');
    assert.equal(cutSecrets('[cut] me', ['cut]']), '[[cut] me');
  });
});
