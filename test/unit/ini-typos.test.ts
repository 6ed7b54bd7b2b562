/** Typing mistakes are accepted, as the original does, and each earns a warning. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { SELECTABLE_SERVICES, SERVICES } from '../../fleet/catalog.ts';
import { parseIni } from '../../fleet/ini.ts';
import { nearWord } from '../../fleet/typos.ts';
import { GENERAL, plan } from '../support/fixtures/planning.ts';

const warningsOf = (text: string): readonly string[] => parseIni(text).warnings.texts;

describe('Typos in an INI', () => {
  const cases: readonly (readonly [what: string, text: string, ...warnings: string[]])[] = [
    [
      'a key of a decky',
      '[web]\nservices=ssh\nnmap_oss=linux',
      '[web] nmap_oss= (line 3) is not known here and was ignored. Did you mean nmap_os=?',
    ],
    ['amout', '[web]\namout=3', '[web] amout= (line 2) is not known here and was ignored. Did you mean amount=?'],
    [
      'service',
      '[web]\nservice=ssh',
      '[web] service= (line 2) is not known here and was ignored. Did you mean services=?',
    ],
    [
      'a section of a service',
      '[web]\nservices=http\n[web.htpp]\nservices=ssh',
      "[web.htpp] (line 3) makes a decky of the name 'web.htpp': there is no service 'htpp'. Did you mean [web.http]?",
    ],
    [
      'a service in capitals',
      '[web]\n[web.HTTP]',
      "[web.HTTP] (line 2) makes a decky of the name 'web.HTTP': there is no service 'HTTP'. Did you mean [web.http]?",
    ],
    [
      'a section of no service',
      '[web]\nservices=http\n[web.shell]\npassword=x',
      "[web.shell] (line 3) makes a decky of the name 'web.shell': there is no service 'shell'. A section [web.…] ends with the name of a service.",
      '[web.shell] password= (line 4) is not known here and was ignored. It belongs into [web.ssh] or [web.telnet].',
    ],
    [
      'a section below that of a service',
      '[web]\nservices=ssh\n[web.ssh.x]',
      "[web.ssh.x] (line 3) makes a decky of the name 'web.ssh.x': there is no service 'x'. A section [web.…] ends with the name of a service.",
    ],
    [
      'a section of no service of a decky of a group',
      '[web]\namount=2\n[web-02.shell]',
      "[web-02.shell] (line 3) makes a decky of the name 'web-02.shell': there is no service 'shell'. A section [web-02.…] ends with the name of a service.",
    ],
    [
      'a section of a custom service',
      '[web]\n[costum-x]\nbinary=x',
      "[costum-x] (line 2) makes a decky of the name 'costum-x'. Did you mean [custom-x]?",
      '[costum-x] binary= (line 3) is not known here and was ignored. It belongs into a [custom-…] section.',
    ],
    [
      'a port of a custom service',
      '[web]\n[custom-x]\nbinary=x\nports=80,8o',
      "[custom-x] ports= (line 4): '8o' is no port and was left out.",
    ],
    [
      'a setting of a service',
      '[web]\nservices=http\n[web.http]\nserver_heder=secret-words',
      '[web.http] server_heder= (line 4) is no setting of http and has no effect. Did you mean server_header=?',
    ],
    [
      'a setting of a service that has none',
      '[web]\n[web.ftp]\nroot=/',
      '[web.ftp] root= (line 3) is no setting of ftp and has no effect. It has none.',
    ],
    [
      'a key of [general]',
      '[general]\nlog_target=x\n[web]',
      '[general] log_target= (line 2) is not known here and was ignored. Known here: net, gw, interface, mutate_interval.',
    ],
    [
      '[general] in capitals',
      '[web]\n[General]\n',
      "[General] (line 2) makes a decky of the name 'General'. Did you mean [general]?",
    ],
    [
      'a key of another section',
      '[web]\nnet=10.0.0.0/24',
      '[web] net= (line 2) is not known here and was ignored. It belongs into [general].',
    ],
    [
      'a setting in the section of its decky',
      '[web]\nserver_header=x',
      '[web] server_header= (line 2) is not known here and was ignored. It belongs into [web.http] or [web.https].',
    ],
    [
      'a key of a custom service',
      '[web]\n[custom-x]\nbinary=x\nport=1',
      '[custom-x] port= (line 4) is not known here and was ignored. Did you mean ports=?',
    ],
    [
      'a key of [DEFAULT]',
      '[DEFAULT]\narchtype=x\n[web]',
      '[DEFAULT] archtype= (line 2) is not known in any section and was ignored. Did you mean archetype=?',
    ],
    [
      'a key that stands twice',
      '[web]\nservices=ssh\nservices=http',
      '[web] services= (line 2) is written over by a later line of the same section.',
    ],
    [
      'a character that was lost before',
      '[web]\n[web.http]\nserver_header=caf\uFFFD',
      'Line 3 holds U+FFFD, which stands for a character that could not be read. Save the INI as UTF-8 unless it is meant.',
    ],
  ];
  // proof: field-2.7-1
  for (const [what, text, ...warnings] of cases)
    it(`earn a warning: ${what}`, () => assert.deepEqual(warningsOf(text), warnings));

  // proof: field-2.7-2
  it('earn a warning where a command was written for a shell, wherever it stands', () => {
    const custom = '[a]\nservices=x\n[custom-x]\nbinary=x\n';
    const quoted = /^\[custom-x\] exec= \(line 5\) has quotes, and they do not hold arguments together/;
    const cases: readonly (readonly [text: string, warning: RegExp])[] = [
      [`${custom}exec = sh -c "a; b"\n`, quoted],
      [`${custom}exec = sh -c “a b”\n`, quoted],
      [`${custom}exec = %(run)s\nrun = sh -c 'a b'\n`, quoted],
      [`${custom}exec = echo \`id\`\n`, quoted],
      [`[DEFAULT]\nexec = sh -c "a b"\n${custom}`, /^\[custom-x\] exec= \(line 2\) has quotes/],
      [`${custom}exec = /bin/a\\ b\n`, /exec= \(line 5\) has a backslash before white space/],
      ...['a; b', 'a && b', 'a | b', 'a > /dev/null', 'a 2>&1', 'a &'].map(
        (command) => [`${custom}exec = ${command}\n`, /exec= \(line 5\) has operators of a shell/] as const,
      ),
    ];
    for (const [text, warning] of cases) {
      const [told = '', ...more] = warningsOf(text);
      assert.match(told, warning);
      assert.deepEqual(more, [], text);
    }
    for (const command of ['/bin/honey -p 8080', '/bin/x --of=a|b --then=a;b C:\\x', ''])
      assert.deepEqual(warningsOf(`${custom}exec = ${command}\n`), [], command);
  });

  // proof: field-2.7-2
  it('are none for a decky whose name has dots, or begins like that of a custom service', () => {
    assert.deepEqual(warningsOf('[web]\n[db.corp.example]\n[web-2.corp.example]\n[customer-x]\n'), []);
  });

  it('are none where all is known, or a key is referred to', () => {
    const settings = SERVICES.map(
      ({ name, service_cfg_keys }) => `[web.${name}]\n${service_cfg_keys.map(({ key }) => `${key}=\n`).join('')}`,
    );
    const decky = 'ip=\nservices=\narchetype=\namount=1\nnmap_os=\nnmap-os=\nmutate_interval=\nmutate-interval=\n';
    assert.deepEqual(
      warningsOf(`[general]\nnet=\ngw=\ninterface=\nmutate_interval=5\n[web]\n${decky}${settings.join('')}`),
      [],
    );
    assert.deepEqual(warningsOf('[DEFAULT]\nwho=root\n[a]\n[a.ssh]\nuser=%(who)s\npassword=%(mine)s\nmine=x'), []);
  });

  // proof: field-2.7-1
  it('never repeat a value', () => {
    const word = fc.stringMatching(/^[a-z_]{1,12}$/);
    const kind = fc.constantFrom('general', 'web', 'web.http', 'custom-x', 'DEFAULT', 'web.htpp');
    fc.assert(
      fc.property(fc.array(fc.tuple(kind, word), { maxLength: 20 }), (keys) => {
        const text = keys.map(([section, key]) => `[${section}]\nx${key}=hunter2\n`).join('');
        const known = '[custom-x]\nbinary=hunter2\nexec=hunter2 "hunter2"\n';
        assert.doesNotMatch(warningsOf(`[web]\n${text}${known}`).join('\n'), /hunter2/);
      }),
    );
  });

  // proof: field-2.7-1
  it('are told fifty at most, each in a line, and the rest is counted', () => {
    const keys = Array.from({ length: 80 }, (_, index) => `strange${index}${'x'.repeat(1_000)}=\n`).join('');
    const { warnings } = plan(`${GENERAL}[web]\nservices=http,https\n${keys}`);
    assert.equal(warnings.length, 51);
    assert.equal(warnings.at(-1), 'There are 31 more warnings.');
    for (const warning of warnings) assert.ok(warning.length < 600, warning);
  });

  it('stand in the plan, each with the decky that it is about', () => {
    const { told } = plan(`${GENERAL}[a]\nservices=ssh\n[g]\namount=2\nservice=ssh\n[g.http]\nbaner=x\n[general]\nx=1`);
    assert.deepEqual(
      told.map(({ decky, warning }) => [decky, /^\S+ \S+/.exec(warning)?.[0]]),
      [
        ['a', '[general] x='],
        ['g-01', '[g] service='],
        ['g-01', '[g.http] baner='],
      ],
    );
  });

  it('find the word that was meant, with one letter wrong, left out, added or swapped', () => {
    const word = fc.constantFrom(...SELECTABLE_SERVICES.filter((name) => name.length > 3));
    fc.assert(
      fc.property(word, fc.nat(), fc.constantFrom('q', ''), fc.boolean(), (name, at, letter, swap) => {
        const place = at % (name.length - 1);
        const swapped = name.slice(0, place) + name[place + 1] + name[place] + name.slice(place + 2);
        const typed = swap ? swapped : name.slice(0, place) + letter + name.slice(place + 1);
        const found = nearWord(typed, SELECTABLE_SERVICES);
        // Another service may be as near: smtp and sftp, https and http.
        assert.notEqual(found, null, typed);
      }),
    );
    assert.equal(nearWord('x'.repeat(10_000), SELECTABLE_SERVICES), null);
    assert.equal(nearWord('mutate-intervall', ['mutate_interval']), 'mutate_interval');
  });
});
