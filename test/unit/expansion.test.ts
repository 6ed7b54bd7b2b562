import assert from 'node:assert/strict';
import fc from 'fast-check';
import { expandSections, requestedCount } from '../../fleet/deckies.ts';
import { parseIni } from '../../fleet/ini.ts';
import { assertRefused } from '../support/fixtures/planning.ts';

const expand = (text: string) => expandSections(parseIni(text));
const configs = (text: string) =>
  Object.fromEntries(expand(text).deckies.map(({ name, service_config }) => [name, service_config]));

describe('expansion', () => {
  it('numbers a group with at least two digits', () => {
    const names = expand('[g]\namount=100').deckies.map(({ name }) => name);
    assert.deepEqual([names[0], names[8], names[99]], ['g-01', 'g-09', 'g-100']);
    assert.deepEqual(
      expand('[g]\namount=1').deckies.map(({ name }) => name),
      ['g'],
    );
  });

  // proof: gap-a11
  it('gap A11: refuses a name that is made twice, whichever section comes first', () => {
    const sentence = /'g-01' is made twice, by \[g\] amount=2 and by \[g-01\]/;
    assertRefused(() => expand('[g]\namount=2\n[g-01]\n'), 'InvalidDecky', sentence);
    assertRefused(() => expand('[g-01]\n[g]\namount=2'), 'InvalidDecky', /by \[g-01\] and by \[g\] amount=2/);
  });

  it('takes names that differ in case only for two', () => {
    assert.equal(expand('[a]\n[A]\n').deckies.length, 2);
  });

  it('refuses a group whose numbered names grow too long', () => {
    assertRefused(() => expand(`[${'n'.repeat(126)}]\namount=2`), 'InvalidDecky', /129 characters/);
  });

  it('configures the decky itself, one of a group, or the group and no other of that prefix', () => {
    const text = `[web]\namount=2\n[web-extra]\n[web.ssh]\npassword=p\nuser=u\n[web-02.ssh]\nuser=own\n`;
    assert.deepEqual(configs(text), {
      'web-01': { ssh: { password: 'p', user: 'u' } },
      'web-02': { ssh: { password: 'p', user: 'own' } },
      'web-extra': {},
    });
    assert.deepEqual(configs('[web-1]\n[web.ssh]\nuser=u'), { 'web-1': {} });
  });

  it('lets the decky of a group win over the group, in either order of the sections', () => {
    const text = '[web-01.ssh]\nuser=own\n[web.ssh]\nuser=group\n[web]\namount=2';
    assert.deepEqual(configs(text), { 'web-01': { ssh: { user: 'own' } }, 'web-02': { ssh: { user: 'group' } } });
  });

  // proof: field-2.7-2
  it('warns of a sub-section for a service that its decky does not have', () => {
    const lacks = (owner: string, section: string, line: number) =>
      `[${owner}.https] (line ${line}) configures a service that [${section}] does not have. It takes effect only if a mutation brings https.`;
    const warningsOf = (text: string) => expand(text).warnings.texts;
    assert.deepEqual(warningsOf('[web]\nservices=http\n[web.https]\n'), [lacks('web', 'web', 3)]);
    assert.deepEqual(warningsOf('[g]\nservices=http\namount=2\n[g-01.https]\n'), [lacks('g-01', 'g', 4)]);
    assert.deepEqual(warningsOf('[web]\narchetype=printer\n[web.https]\n'), [lacks('web', 'web', 3)]);
    assert.deepEqual(warningsOf('[web]\nservices=http\n[web.http]\n[drawn]\n[drawn.https]\n'), []);
  });

  it('warns of a sub-section that reaches nobody', () => {
    assert.deepEqual(expand('[a]\n[nobody.ssh]\nuser=u').warnings.texts, [
      '[nobody.ssh] (line 2) configures no decky of this INI and was ignored.',
    ]);
    assert.deepEqual(expand('[web]\namount=2\n[wbe.ssh]\nuser=u').warnings.texts, [
      '[wbe.ssh] (line 3) configures no decky of this INI and was ignored. Did you mean [web.ssh]?',
    ]);
  });

  it('property: as many distinct names as amounts ask for, in INI order, each led by its section', () => {
    const sections = fc.uniqueArray(
      fc.record({ name: fc.stringMatching(/^[a-z]{1,6}$/), amount: fc.integer({ min: 1, max: 100 }) }),
      { selector: ({ name }) => name, minLength: 1, maxLength: 6 },
    );
    fc.assert(
      fc.property(sections, (list) => {
        // `general` is no decky, and a name of letters alone never ends in a number of another group.
        fc.pre(list.every(({ name }) => name !== 'general'));
        const ini = parseIni(list.map(({ name, amount }) => `[${name}]\namount=${amount}\n`).join(''));
        const { deckies } = expandSections(ini);
        assert.equal(deckies.length, requestedCount(ini));
        assert.equal(new Set(deckies.map(({ name }) => name)).size, deckies.length);
        const order = list.flatMap(({ name, amount }) => Array.from({ length: amount }, () => name));
        assert.deepEqual(
          deckies.map(({ section }) => section.name),
          order,
        );
        assert.ok(deckies.every(({ name, section }) => name.startsWith(section.name)));
      }),
    );
  });
});
