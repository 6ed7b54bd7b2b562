import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { selectMissing, writeIni } from '../../cli/add-missing.ts';
import { expandSections } from '../../fleet/deckies.ts';
import { isDeckhandError } from '../../fleet/errors.ts';
import { type IniConfig, parseIni } from '../../fleet/ini.ts';
import { decky } from '../support/clients/cli-rows.ts';

const INI = `[general]
net = 10.77.0.0/24

[web]
archetype = web-server
amount = 3

[web.http]
server_header = nginx/1.24.0
custom_body = 100%% <b>
  second line

[db-01]
services = mysql
`;

/** What an INI asks for, group or not: name, wishes, service configuration. */
const wishes = (ini: IniConfig) =>
  expandSections(ini).deckies.map(({ name, section, service_config }) => {
    const { ip, services, archetype, nmap_os, mutate_interval } = section;
    return { name, ip, services, archetype, nmap_os, mutate_interval, service_config };
  });

describe('cli --add-missing', () => {
  it('sends the file as it is when nothing of it is there', () => {
    assert.deepEqual(selectMissing(INI, []), { ini: INI, unchanged: [], underway: [], warnings: [] });
  });

  it('sends nothing when all of it is there', () => {
    const fleet = ['web-01', 'web-02', 'web-03', 'db-01', 'other'].map((name) => decky(name));
    assert.deepEqual(selectMissing(INI, fleet), {
      ini: null,
      unchanged: ['web-01', 'web-02', 'web-03', 'db-01'],
      underway: [],
      warnings: [],
    });
  });

  // proof: field-2.7-1
  it('warns of typing mistakes itself where it writes the rest anew', () => {
    const text = '[a]\nservices=ssh\n[b]\nservice=ssh\n';
    const { ini, warnings } = selectMissing(text, [decky('a')]);
    assert.match(warnings.join(), /^\[b\] service= \(line 4\) is not known here/);
    assert.deepEqual(parseIni(ini ?? '').warnings.texts, []);
  });

  it('sends the rest of a group by name, with the group’s configuration', () => {
    const { ini, unchanged } = selectMissing(INI, [decky('web-01'), decky('web-03'), decky('db-01')]);
    assert.deepEqual(unchanged, ['web-01', 'web-03', 'db-01']);
    const sent = parseIni(ini ?? '');
    assert.equal(sent.general.subnet, '10.77.0.0/24');
    assert.deepEqual(wishes(sent), [
      {
        name: 'web-02',
        ip: null,
        services: null,
        archetype: 'web-server',
        nmap_os: null,
        mutate_interval: null,
        service_config: { http: { server_header: 'nginx/1.24.0', custom_body: '100% <b>\nsecond line' } },
      },
    ]);
  });

  it('sends a decky that never came up again, and follows one that is on its way', () => {
    const open = { lifecycle_id: 'row-7', operation: 'deploy', status: 'running', step: null } as const;
    const fleet = [
      decky('web-01', { established: false, state: 'failed' }),
      decky('web-02', { established: false, open }),
    ];
    const { ini, unchanged, underway } = selectMissing(INI, fleet);
    assert.deepEqual(unchanged, []);
    assert.deepEqual(underway, ['row-7']);
    assert.deepEqual(
      wishes(parseIni(ini ?? '')).map(({ name }) => name),
      ['web-01', 'web-03', 'db-01'],
    );
  });

  it('leaves an INI that can’t be read to the master', () => {
    assert.equal(selectMissing('services=ssh\n', [decky('a')]).ini, 'services=ssh\n');
  });

  it('writes every golden INI so that it asks for the same again', () => {
    const folder = new URL('../fixtures/golden/', import.meta.url);
    let compared = 0;
    for (const file of readdirSync(folder).filter((name) => name.endsWith('.ini'))) {
      const text = readFileSync(new URL(file, folder), 'utf8');
      let ini: IniConfig;
      try {
        ini = parseIni(text);
        expandSections(ini);
      } catch (error) {
        assert.ok(isDeckhandError(error), file);
        continue;
      }
      const again = parseIni(writeIni(ini, expandSections(ini).deckies));
      assert.deepEqual(wishes(again), wishes(ini), file);
      assert.deepEqual([again.general, again.custom_services], [ini.general, ini.custom_services], file);
      compared += 1;
    }
    assert.ok(compared >= 10, `${compared} files`);
  });
});
