/** Texts that make a reader of INIs work hard: fragments of every kind of token, repeated up to a size. */

export type Nasty = (size: number) => string;

const upTo =
  (fragment: string, before = '[a]\n[a.ssh]\nuser=') =>
  (size: number): string =>
    before + fragment.repeat(Math.max(0, Math.floor((size - before.length) / fragment.length)));

/** `make` is given the number of the line. */
const lines =
  (make: (index: number) => string, before = '') =>
  (size: number): string => {
    const parts = [before];
    for (let length = before.length, index = 0; ; index += 1) {
      const line = make(index);
      length += line.length;
      if (length > size) return parts.join('');
      parts.push(line);
    }
  };

const chain =
  (levels: number) =>
  (size: number): string => {
    const width = Math.floor(size / levels);
    const level = (index: number): string => {
      const reference = `%(k${index + 1})s`;
      return `k${index}=${reference.repeat(Math.max(1, Math.floor(width / reference.length) - 1))}\n`;
    };
    return `[a]\n[a.ssh]\n${Array.from({ length: levels }, (_, index) => level(index)).join('')}k${levels}=\n`;
  };

export const NASTY: Readonly<Record<string, Nasty>> = {
  'one line of letters': upTo('x'),
  'open references': upTo('%('),
  'open references in a read key': upTo('%(', '[a]\narchetype='),
  'percent signs': upTo('%%'),
  'a lone percent sign at the end': (size) => `${upTo('%%')(size - 1)}%`,
  'references to nothing': upTo('%(k)s', '[a]\n[a.ssh]\nk=\nuser='),
  'references to a long value': (size) =>
    `[a]\n[a.ssh]\nk=${'x'.repeat(size / 2)}\nuser=${'%(k)s'.repeat(Math.floor(size / 10) - 20)}`,
  'references of one key each': lines((index) => `k${index}=%(k${index + 1})s\n`, '[a]\n[a.ssh]\n'),
  'references that go round': lines((index) => `k${index}=%(k${(index * 7) % 1000})s\n`, '[a]\n[a.ssh]\n'),
  'references three levels deep': chain(3),
  'references ten levels deep': chain(10),
  'long names of references': (size) => `[a]\n[a.ssh]\nuser=%(${'A'.repeat(size - 40)})s`,
  'brackets in a reference': upTo('%()s'),
  'line ends': upTo('\n'),
  'carriage returns': upTo('\r'),
  'both line ends': upTo('\r\n'),
  blanks: upTo(' '),
  'blank lines in a value': upTo(' \n'),
  'continued lines': upTo('x\n '),
  'continued lines of a read key': upTo(',\n ', '[a]\nservices='),
  comments: upTo('#\n'),
  'comments in a value': upTo('\n # x', '[a]\n[a.ssh]\nuser=x'),
  'open sections': upTo('[\n', '[a]\n'),
  'opening brackets': upTo('[', ''),
  'closing brackets': upTo(']', '[a]\n['),
  'one section again and again': upTo('[a]\n', ''),
  'sections of their own': lines((index) => `[${index.toString(36)}]\n`),
  'sections of services': lines((index) => `[${index.toString(36)}.ssh]\n`, '[a]\n'),
  'sections of one owner': lines((index) => `[a.ssh]\nk${index}=\n`, '[a]\n'),
  'services of many owners': lines((index) => `[o${index % 97}.ssh]\nk${index}=\n`, '[a]\n'),
  'sections of owners that are nearly there': (size) => {
    const owner = 'o'.repeat(35);
    const deckies = Array.from({ length: 90 }, (_, index) => `[${owner}${index}]\n`).join('');
    return deckies + lines((index) => `[${owner}${String(index).padStart(5, '0')}.ssh]\n`)(size - deckies.length);
  },
  'settings nobody knows': lines((index) => `server_heder${index}=\n`, '[a]\n[a.http]\n'),
  'keys nobody knows': lines((index) => `nmap_os${index}=\n`, '[a]\n'),
  'keys nobody knows in [general]': lines((index) => `interfac${index}=\n`, '[a]\n[general]\n'),
  'keys nobody knows in [DEFAULT]': lines((index) => `service${index}=\n`, '[a]\n[DEFAULT]\n'),
  'keys of one letter': lines((index) => `${String.fromCharCode(97 + (index % 26))}=\n`, '[a]\n'),
  'long keys nobody knows': (size) => `[a]\n${'s'.repeat(size - 10)}=1`,
  'long sections nobody knows': (size) => `[a]\n[${'s'.repeat(size - 20)}.htpp]`,
  'sections near a service': lines((index) => `[${index.toString(36)}.htpp]\n`),
  'custom services': lines((index) => `[custom-${index}]\nbinary=x\n`, '[a]\n'),
  'custom services of a decky': (size) => {
    const custom = lines((index) => `[custom-c${index}]\nbinary=x\n`)(size * 0.6);
    const names = [...custom.matchAll(/custom-(\w+)/g)].map(([, name]) => name);
    return `${custom}[a]\nservices=${names.join(',')}\n`;
  },
  'custom services again as sections': lines((index) => `[custom-${index}]\nbinary=x\n[a.${index}]\n`),
  ports: upTo('1,', '[a]\n[custom-x]\nbinary=x\nports='),
  'ports that are none': upTo('x,', '[a]\n[custom-x]\nbinary=x\nports='),
  'a command of quotes': upTo('" ', '[a]\n[custom-x]\nbinary=x\nexec='),
  'services that are known': upTo('ssh,', '[a]\nservices=ssh,'),
  'services that are none': upTo(',', '[a]\nservices='),
  'services that nobody knows': lines((index) => `s${index},`, '[a]\nservices='),
  'a long archetype': upTo("'", '[a]\narchetype='),
  'a long amount': upTo('1', '[a]\namount='),
  'a long interval': upTo(' ', '[a]\nmutate_interval=1'),
  'a long address': upTo('1.', '[a]\nip='),
  'a long net': upTo('1/', '[a]\n[general]\nnet='),
  'a long image': upTo('a/', '[a]\nservices=x\n[custom-x]\nbinary='),
  'an image of colons': upTo(':', '[a]\nservices=x\n[custom-x]\nbinary='),
  'an image of dashes': upTo('-', '[a]\nservices=x\n[custom-x]\nbinary=a'),
  'a default that all inherit': (size) =>
    `[DEFAULT]\nip=${'x'.repeat(size / 2)}\n${lines((index) => `[d${index}]\n`)(size / 2)}`,
  'a default that all overwrite': (size) =>
    `[DEFAULT]\nx=${'x'.repeat(size / 2)}\n${lines((index) => `[d${index}]\nservices=%(x)s\n`)(size / 2)}`,
  'services of a group': upTo('ssh,', '[a]\namount=100\nservices=ssh,'),
  'ports of a group': (size) =>
    `[a]\namount=100\nservices=x,y\n${['x', 'y'].map((name) => `[custom-${name}]\nbinary=x\nports=${'1,'.repeat(size / 5)}\n`).join('')}`,
  'settings of a group and its deckies': (size) =>
    `[g]\namount=100\n${lines((index) => `k${index}=\n`, '[g.http]\n')(size - 4_000)}${Array.from({ length: 99 }, (_, index) => `[g-${String(index + 1).padStart(2, '0')}.http]\nx=\n`).join('')}`,
  'a textarea of a group': upTo('QUJD', '[a]\namount=100\nservices=http\n[a.http]\ncustom_body=b64:'),
  'textareas of the deckies of a group': (size) =>
    `[g]\namount=100\nservices=http\n[g.http]\ncustom_body=b64:${'QUJD'.repeat(size / 4 - 1_000)}\n${Array.from({ length: 99 }, (_, index) => `[g-${String(index + 1).padStart(2, '0')}.http]\nx=\n`).join('')}`,
  groups: lines((index) => `[g${index}]\namount=100\n`),
  'keys of groups': lines((index) => `[g${index}]\namount=100\nx${index}=\n`),
  'a textarea of Base64': upTo('QUJD', '[a]\nservices=http\n[a.http]\ncustom_body=b64:'),
  'a list of versions': upTo('h1,', '[a]\nservices=http\n[a.http]\nhttp_versions='),
  'a list that opens': upTo('[', '[a]\nservices=http\n[a.http]\nhttp_versions='),
  'a long number': upTo('1', '[a]\nservices=http\n[a.http]\nresponse_code='),
  'astral letters': upTo('\u{1F41D}'),
  'halves of pairs': upTo('\uD800'),
  'replacement characters': upTo('\uFFFD\n '),
  NULs: upTo('\0'),
};
