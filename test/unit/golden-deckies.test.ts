/** The recordings of DECNET 1.0.0's parser and builder: every file of test/fixtures/golden has its test here. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { buildDeckies } from '../../fleet/deckies.ts';
import { seededRandom } from '../../fleet/draw.ts';
import { type ErrorCode, isDeckhandError } from '../../fleet/errors.ts';
import { parseIni } from '../../fleet/ini.ts';

const FOLDER = new URL('../fixtures/golden/', import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, FOLDER), 'utf8');

interface Recording {
  readonly subnet: string;
  readonly gateway: string;
  readonly host_ip: string;
  readonly reserved_ips: readonly string[];
  readonly general?: Readonly<Record<string, unknown>>;
  readonly custom_services?: readonly unknown[];
  readonly ok: boolean;
  readonly deckies?: readonly Readonly<Record<string, unknown>>[];
  readonly error?: string;
}

const NAMES = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.ini'))
  .map((file) => file.slice(0, -'.ini'.length));
const recording = (name: string): Recording => JSON.parse(read(`${name}.json`)) as Recording;

function build(name: string) {
  const { subnet, gateway, host_ip, reserved_ips } = recording(name);
  const ini = parseIni(read(`${name}.ini`));
  const random = seededRandom(name);
  const deckies = buildDeckies(ini, {
    subnet,
    gateway,
    hostAddresses: host_ip === null ? [] : [host_ip],
    reserved: reserved_ips,
    random,
  });
  return { ini, deckies: deckies.map(({ config }) => config) };
}

/** Hostnames are random in the original and recorded as `*`. */
const masked = (deckies: readonly object[]): object[] => deckies.map((decky) => ({ ...decky, hostname: '*' }));

function assertRefused(name: string, code: ErrorCode, sentence: string | RegExp): void {
  assert.throws(
    () => build(name),
    (error: unknown) => {
      assert.ok(isDeckhandError(error), String(error));
      assert.equal(error.code, code);
      if (typeof sentence === 'string') assert.equal(error.message, sentence);
      else assert.match(error.message, sentence);
      return true;
    },
  );
}

/** Where test/fixtures/exchanges/master-api.json or docs/differences.md has another text than the recording, it is given here. */
const REFUSED: Readonly<Record<string, readonly [ErrorCode, (string | RegExp)?]>> = {
  '19-service-spaces': ['InvalidDecky'],
  '30-empty': ['InvalidIni', 'Configuration conflict: INI content is empty.'],
  '31-blank': ['InvalidIni', 'Configuration conflict: INI content is empty.'],
  '32-no-section': ['InvalidIni', 'Configuration conflict: INI syntax or characters are invalid.'],
  '34-unknown-service': ['InvalidDecky'],
  '35-unknown-archetype': ['InvalidDecky'],
  '36-amount-zero': ['InvalidDecky'],
  '37-amount-text': ['InvalidDecky'],
  '38-amount-101': ['InvalidDecky'],
  '39-ip-with-amount': ['InvalidDecky'],
  '40-mutate-interval-text': ['InvalidDecky'],
  '41-mutate-interval-zero': ['InvalidDecky', /greater than or equal to 1/],
  '42-bad-name': ['InvalidDecky', /'we b!' should match pattern '\^\[A-Za-z0-9\\-_\.\]\+\$'/],
  '43-long-name': ['InvalidDecky', /at most 128/],
  '45-bad-ip': [
    'InvalidAddress',
    /^\[a\] ip= is no IPv4 address: Octet 999 \(> 255\) not permitted in '10\.77\.0\.999'$/,
  ],
  '48-singleton-service': ['InvalidDecky'],
};

const DIFFERENT: Readonly<Record<string, readonly [title: string, check: () => void]>> = {
  '11-mutate-interval': [
    'the interval of [general] is read, so c has 15',
    () => {
      const { ini, deckies } = build('11-mutate-interval');
      assert.equal(ini.general.mutate_interval, 15);
      const expected = recording('11-mutate-interval').deckies?.map((decky) =>
        decky.name === 'c' ? { ...decky, mutate_interval: 15 } : decky,
      );
      assert.deepEqual(masked(deckies), expected);
    },
  ],
  '33-only-general': [
    'an INI without a decky is refused',
    () => assertRefused('33-only-general', 'InvalidIni', 'Invalid INI config structure: No decky sections found.'),
  ],
  '46-ip-outside': [
    'an address outside the subnet is refused',
    () => assertRefused('46-ip-outside', 'InvalidAddress', /192\.168\.9\.9 lies outside the subnet 10\.77\.0\.0\/24/),
  ],
  '47-duplicate-ip': [
    'an address that is wanted twice is refused',
    () => assertRefused('47-duplicate-ip', 'InvalidAddress', /^\[b\] ip=10\.77\.0\.9 is wanted by \[a\] too/),
  ],
  '49-broken-line': [
    'a line without a key is a sentence about the INI, not a 500',
    () => assertRefused('49-broken-line', 'InvalidIni', /line 3, in section \[a\]/),
  ],
  '51-percent-single': [
    'a lone % is a sentence about the INI, not a 500',
    () => assertRefused('51-percent-single', 'InvalidIni', /^\[a\.http\] banner= \(line 4\): a lone "%"/),
  ],
};

describe('golden deckies', () => {
  it('has a test for every recording', () => {
    assert.ok(NAMES.length >= 30, `only ${NAMES.length} recordings found`);
  });

  for (const name of NAMES) {
    const different = DIFFERENT[name];
    const refused = REFUSED[name];
    if (different) it(`golden ${name.slice(0, 2)} differs on purpose: ${different[0]}`, different[1]);
    else if (refused)
      it(`${name} is refused`, () => {
        const [code, sentence] = refused;
        assert.equal(recording(name).ok, false);
        assertRefused(name, code, sentence ?? recording(name).error ?? '');
      });
    else
      it(`${name} is built as recorded`, () => {
        const { general, custom_services, deckies: expected } = recording(name);
        const { ini, deckies } = build(name);
        assert.deepEqual(ini.general, general);
        assert.deepEqual(ini.custom_services, custom_services);
        assert.deepEqual(masked(deckies), expected);
      });
  }
});
