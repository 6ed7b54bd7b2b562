/** The INI dialect (docs/configuration.md#the-text), checked once against Python's own ConfigParser by 24,000 random texts. */
import assert from 'node:assert/strict';
import { parseIni } from '../../fleet/ini.ts';
import { assertRefused } from '../support/fixtures/planning.ts';

const INVALID = /^Configuration conflict: INI syntax or characters are invalid/;
const first = (text: string) => {
  const [decky] = parseIni(text).deckies;
  assert.ok(decky);
  return decky;
};
const settings = (text: string) => parseIni(text).service_sections[0]?.values;

describe('INI text', () => {
  it('takes = and :, trims around them, and lowers keys but not values', () => {
    assert.deepEqual(first('[a]\nSERVICES : ssh ,http\nArchetype=\tprinter').services, ['ssh', 'http']);
    assert.deepEqual(settings('[a]\n[a.ssh]\nUser = Root:Admin=x'), { user: 'Root:Admin=x' });
  });

  it('has no inline comments', () => {
    assert.deepEqual(first('[a]\nservices=ssh ; x').services, ['ssh ; x']);
  });

  it('joins indented lines to the value above, comments and blank lines between', () => {
    assert.deepEqual(first('[a]\nservices=ssh,\n  # more\n  http').services, ['ssh', 'http']);
    assert.deepEqual(settings('[a]\n[a.http]\ncustom_body=one\n  two\n\n  three\n\nuser=x'), {
      custom_body: 'one\ntwo\n\nthree',
      user: 'x',
    });
  });

  it('takes keys that are all indented alike for keys', () => {
    assert.deepEqual(settings('[a]\n  [a.ssh]\n  user=u\n  hostname=h\n    more'), { user: 'u', hostname: 'h\nmore' });
  });

  it('reads CR and CRLF as line ends', () => {
    assert.deepEqual(first('[a]\rservices=ssh\r\nip=10.0.0.9\r').ip, '10.0.0.9');
  });

  it('merges a section that appears twice, and lets the last of two keys win', () => {
    const { deckies } = parseIni('[a]\nservices=ssh\n[b]\nservices=ftp\n[a]\nservices=http\nip=10.0.0.9\nip=10.0.0.8');
    assert.deepEqual(
      deckies.map(({ name, services, ip }) => [name, services, ip]),
      [
        ['a', ['http'], '10.0.0.8'],
        ['b', ['ftp'], null],
      ],
    );
  });

  it('inherits [DEFAULT] in deckies, but never in a service', () => {
    const ini = parseIni('[DEFAULT]\nservices=ssh\nx=1\n[a]\n[b]\nservices=ftp\n[a.ssh]\nuser=u');
    assert.deepEqual(
      ini.deckies.map(({ services }) => services),
      [['ssh'], ['ftp']],
    );
    assert.deepEqual(ini.service_sections[0]?.values, { user: 'u' });
  });

  it('interpolates %% and %(key)s, from [DEFAULT] too', () => {
    assert.deepEqual(settings('[DEFAULT]\nd=D\n[a]\n[a.ssh]\nuser=100%% %(D)s %(other)s\nother=<%(d)s>'), {
      user: '100% D <D>',
      other: '<D>',
    });
  });

  it('never reads unknown keys of a decky, so a % there does no harm', () => {
    assert.equal(first('[a]\nnote=50% off\nservices=ssh').name, 'a');
  });

  // proof: gap-c19
  it('gap C19: answers a lone % with a sentence that names section, key and line, and not the value', () => {
    assertRefused(
      () => parseIni('[a]\n[a.ssh]\npassword=top%secret'),
      'InvalidIni',
      /^\[a\.ssh\] password= \(line 3\): a lone "%"/,
    );
    assertRefused(() => parseIni('[a]\n[a.ssh]\npassword=top%secret'), 'InvalidIni', /^(?!.*secret)/);
    assertRefused(() => parseIni('[a]\nip=%(nobody)s'), 'InvalidIni', /%\(nobody\)s refers to a key/);
    assertRefused(() => parseIni('[a]\nip=%(ip)s'), 'InvalidIni', /deeper than 10/);
  });

  // proof: gap-c19
  it('gap C19: answers a key without = with its line', () => {
    assertRefused(() => parseIni('[a]\nservices=ssh\nnonsense'), 'InvalidIni', /line 3, in section \[a\]/);
    assertRefused(() => parseIni('[a]\n= x'), 'InvalidIni', /line 2/);
    assertRefused(() => parseIni('[a]\n[b\n'), 'InvalidIni', /line 2/);
  });

  it('bounds what references can grow to', () => {
    const wide = (name: string, next: string): string => `${name}=${`%(${next})s`.repeat(300)}\n`;
    const text = `[a]\n[a.ssh]\n${wide('a', 'b')}${wide('b', 'c')}${wide('c', 'd')}${wide('d', 'e')}e=x`;
    assertRefused(() => parseIni(text), 'InvalidIni', /out of bounds/);
  });

  it('refuses a byte order mark, NUL and half a surrogate pair', () => {
    assertRefused(() => parseIni('\uFEFF[a]\nservices=ssh'), 'InvalidIni', INVALID);
    assertRefused(() => parseIni('[a]\nservices=ssh\0'), 'InvalidIni', /line 2/);
    assertRefused(() => parseIni('[a]\r\nx=\uD800'), 'InvalidIni', /line 2/);
    assert.equal(settings('[a]\n[a.ssh]\nuser=\u{1F980}')?.user, '\u{1F980}');
  });

  it('refuses more than 524,288 characters, counted as code points', () => {
    const head = '[a]\nservices=ssh\n#';
    const fill = 524_288 - head.length;
    assert.equal(first(head + '\u{1F980}'.repeat(fill)).name, 'a');
    assertRefused(() => parseIni(`${head}${'\u{1F980}'.repeat(fill + 1)}`), 'IniTooLarge', 'Invalid INI config');
    assertRefused(() => parseIni('x'.repeat(600_000)), 'IniTooLarge');
  });

  it('says that there is no decky where there is none', () => {
    const sentence = 'Invalid INI config structure: No decky sections found.';
    for (const text of ['# only a comment', '[DEFAULT]\nx=1', '[general]\nnet=10.0.0.0/24', '[x.ssh]\nuser=u'])
      assertRefused(() => parseIni(text), 'InvalidIni', sentence);
  });
});

describe('INI sections', () => {
  it('tells general, services, custom services and deckies apart', () => {
    const ini = parseIni('[General]\n[decky.webmail]\n[x.sniffer]\n[custom-honey]\nbinary=h:1\n[custom-y.ssh]\nuser=u');
    assert.deepEqual(
      ini.deckies.map(({ name }) => name),
      ['General', 'decky.webmail'],
    );
    assert.deepEqual(
      ini.service_sections.map(({ owner, service }) => [owner, service]),
      [
        ['x', 'sniffer'],
        ['custom-y', 'ssh'],
      ],
    );
    assert.deepEqual(
      ini.custom_services.map(({ name }) => name),
      ['honey'],
    );
  });

  it('reads the aliases with a dash, and takes an empty value for none', () => {
    const decky = first('[a]\nip=\nservices=\narchetype=\nnmap-os=bsd\nmutate-interval=9');
    assert.deepEqual(decky, {
      name: 'a',
      ip: null,
      services: null,
      archetype: null,
      amount: 1,
      nmap_os: 'bsd',
      mutate_interval: 9,
    });
  });

  it('reads amount as an integer, leading zeros included', () => {
    assert.equal(first('[a]\namount=03').amount, 3);
    assertRefused(() => parseIni('[a]\namount='), 'InvalidDecky', "[a] amount= must be a positive integer, got ''");
    assertRefused(
      () => parseIni('[a]\namount=1.5'),
      'InvalidDecky',
      "[a] amount= must be a positive integer, got '1.5'",
    );
  });

  it('keeps intervals within what the column holds', () => {
    assertRefused(() => parseIni('[a]\nmutate_interval=99999999999'), 'InvalidDecky', /at most 52560000/);
    assertRefused(() => parseIni('[general]\nmutate_interval=0\n[a]\n'), 'InvalidDecky', /^\[general\]/);
  });

  it('refuses names that no path could carry', () => {
    for (const name of ['.', '..', '__proto__', ' a', 'a/b', 'ä'])
      assertRefused(() => parseIni(`[${name}]\nservices=ssh`), 'InvalidDecky');
  });

  // proof: gap-c22
  it('gap C22: takes upper case, underscore, dot and 128 characters, the pattern of every path', () => {
    for (const name of ['Web_1.lan', '-x', '_y', 'n'.repeat(128)]) assert.equal(first(`[${name}]\n`).name, name);
  });

  it('warns of a custom port that is none, and refuses a custom service without an image', () => {
    const ini = parseIni('[a]\n[custom-h]\nbinary=h:1\nports=1, 70000, x');
    assert.deepEqual(ini.custom_services[0]?.ports, [1]);
    assert.equal(ini.warnings.texts.length, 2);
    assertRefused(() => parseIni('[a]\n[custom-h]\nports=1'), 'InvalidDecky', /no binary=/);
    assertRefused(() => parseIni('[a]\n[custom-]\nbinary=x'), 'InvalidDecky');
  });

  // proof: field-4-1
  it('passes over a custom service with the name of a built-in one, which stays', () => {
    const ini = parseIni('[a]\nservices=ssh\n[custom-ssh]\nbinary=x');
    assert.deepEqual(ini.custom_services, []);
    assert.deepEqual(ini.deckies[0]?.services, ['ssh']);
    assert.match(ini.warnings.texts.join(), /^\[custom-ssh\] \(line 3\) was ignored: 'ssh' is a built-in service/);
  });

  // proof: field-4-1
  it('takes [box.myapp] for a decky beside [custom-myapp], with a warning', () => {
    const ini = parseIni('[box]\nservices=myapp\n[custom-myapp]\nbinary=x\n[box.myapp]\nservices=ssh');
    assert.deepEqual(
      ini.deckies.map(({ name }) => name),
      ['box', 'box.myapp'],
    );
    assert.match(ini.warnings.texts.join(), /^\[box\.myapp\] \(line 5\) makes a decky .*takes no settings/);
  });

  // proof: field-4-1
  it('takes a blank value for none, and the other spelling of its key', () => {
    for (const text of ['mutate_interval=', 'mutate-interval =  ', 'mutate_interval=%(x)s\nx='])
      assert.equal(first(`[a]\n${text}`).mutate_interval, null, text);
    assert.equal(parseIni('[general]\nmutate_interval=\n[a]').general.mutate_interval, null);
    assert.equal(first('[a]\nmutate_interval=\nmutate-interval=5').mutate_interval, 5);
    assert.equal(first('[a]\nnmap_os=\nnmap-os=windows').nmap_os, 'windows');
    assertRefused(() => parseIni('[a]\namount='), 'InvalidDecky', /positive integer, got ''/);
  });

  // proof: field-1.8-1
  it('bounds what one section may ask for', () => {
    const keys = Array.from({ length: 101 }, (_, index) => `k${index}=\n`).join('');
    assertRefused(() => parseIni(`[a]\n[a.ssh]\n${keys}`), 'InvalidIni', /^\[a\.ssh\] \(line 2\) has 101 keys/);
    assertRefused(() => parseIni(`[a]\nservices=${'ssh,'.repeat(100)}ssh`), 'InvalidDecky', /names 101 services/);
    const ports = Array.from({ length: 1_001 }, (_, index) => index + 1).join();
    assertRefused(() => parseIni(`[a]\n[custom-x]\nbinary=x\nports=${ports}`), 'InvalidDecky', /1001 ports/);
    const custom = Array.from({ length: 1_001 }, (_, index) => `[custom-c${index}]\nbinary=x\n`).join('');
    assertRefused(() => parseIni(`[a]\n${custom}`), 'InvalidIni', /1001 custom services/);
  });
});
