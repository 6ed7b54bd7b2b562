import assert from 'node:assert/strict';
import { DEFAULT_FLEET, parseOptions, refusedEnvironment } from '../../stack/options.ts';

const start = (...args: string[]) => {
  const parsed = parseOptions(args);
  assert.equal(parsed.kind, 'start', JSON.stringify(parsed));
  return parsed.kind === 'start' ? parsed.options : assert.fail();
};
const sentence = (...args: string[]) => {
  const parsed = parseOptions(args);
  return parsed.kind === 'wrong' ? parsed.sentence : assert.fail(`${args.join(' ')} was accepted`);
};

describe('options of npm start', () => {
  it('deploys the quickstart fleet unless told otherwise', () => {
    assert.deepEqual(start(), { fleet: DEFAULT_FLEET, once: false, replace: false, yes: false, agents: 0 });
  });

  it('takes a fleet of one’s own, or none', () => {
    assert.equal(start('--fleet', 'mine.ini').fleet, 'mine.ini');
    assert.equal(start('--fleet', 'none').fleet, null);
  });

  it('takes --once, --replace and --yes', () => {
    assert.deepEqual(start('--once', '--replace', '--yes', '--agents', '3'), {
      fleet: DEFAULT_FLEET,
      once: true,
      replace: true,
      yes: true,
      agents: 3,
    });
  });

  it('wants a number of agents that one machine can have', () => {
    assert.equal(start().agents, 0);
    for (const given of ['many', '-1', '1.5', '101'])
      assert.match(sentence(`--agents=${given}`), /wants a number up to 100/);
  });

  it('refuses --once without a fleet, and options that it does not know', () => {
    assert.match(sentence('--once', '--fleet', 'none'), /nothing to do/);
    assert.match(sentence('--fleeet', 'x'), /--fleeet/);
    assert.match(sentence('stray'), /stray/);
  });

  it('refuses a certificate for the API rather than leaving TLS out', () => {
    assert.equal(refusedEnvironment({ DECKHAND_TLS_CERT: '' }), null);
    for (const name of ['DECKHAND_TLS_CERT', 'DECKHAND_TLS_KEY'])
      assert.match(refusedEnvironment({ [name]: 'x.pem' }) ?? '', /Unset DECKHAND_TLS_CERT/);
  });
});
