import assert from 'node:assert/strict';
import { hostStates, readHostObservation } from '../../fleet/host-observation.ts';

const decky = (name: string, more: object = {}): object => ({
  name,
  ip: '10.0.0.2',
  services: ['ssh', 'http'],
  distro: 'debian',
  base_image: 'x',
  hostname: 'h',
  ...more,
});
const read = (status: object) => hostStates(readHostObservation(status));

describe('the status in a heartbeat', () => {
  it('running is what the runtime says; what it does not say was not seen', () => {
    const { deckies } = read({
      deployed: true,
      deckies: [decky('a'), decky('b'), decky('c')],
      runtime: { a: { running: true }, b: { running: false, services: { ssh: 'running', http: 'exited' } } },
    });
    assert.deepEqual(
      deckies.map(({ config, reportedState, seen, sentence }) => [config.name, reportedState, seen, sentence]),
      [
        ['a', 'running', 'running', null],
        ['b', 'degraded', 'degraded', 'Its host says: http is exited.'],
        ['c', 'degraded', null, null],
      ],
    );
  });

  it('words of an agent that are none of a container are not passed on', () => {
    const { deckies } = read({
      deployed: true,
      deckies: [decky('a')],
      runtime: { a: { running: false, services: { ssh: 'password=hunter2' } } },
    });
    assert.equal(deckies[0]?.sentence, 'Its host says: ssh is not running.');
  });

  it('an entry that is no DeckyConfig counts as present and as nothing else', () => {
    const entries = [
      { name: 'half' },
      decky('odd', { surprise: 1 }),
      decky('text', { mutate_interval: '5' }),
      decky('fraction', { mutate_interval: 1.5 }),
      decky('empty', { services: [] }),
      decky('nul', { hostname: 'a\0b' }),
      decky('half-a-pair', { hostname: '\ud800' }),
      7,
      null,
      decky('good', { last_mutated: 5 }),
    ];
    const report = read({ deployed: true, deckies: entries });
    assert.deepEqual(
      report.deckies.map((one) => one.config.name),
      ['good'],
    );
    assert.deepEqual(report.present, ['half', 'odd', 'text', 'fraction', 'empty', 'nul', 'half-a-pair', 'good']);
  });

  it('of two entries with one name the last counts', () => {
    const report = read({ deployed: true, deckies: [decky('a'), decky('a', { ip: '10.0.0.9' })] });
    assert.deepEqual(
      report.deckies.map((one) => one.config.ip),
      ['10.0.0.9'],
    );
  });

  it('what is not in it is gone, where that can be concluded (B16)', () => {
    assert.equal(read({ deployed: true, deckies: [] }).complete, true);
    assert.equal(read({ deployed: true }).complete, false, 'no list');
    assert.equal(read({ deployed: false, deckies: [] }).complete, false, 'DECNET says it also before it knows');
    assert.equal(read({ deployed: false, deckies: [], deckhand: {} }).complete, true);
    assert.equal(read({ deckhand: {} }).complete, false);
  });
});
