import assert from 'node:assert/strict';
import { auditVerdict } from '../../stack/audit.ts';

const found = (...severities: string[]): string =>
  JSON.stringify({
    auditReportVersion: 2,
    vulnerabilities: Object.fromEntries(
      severities.map((severity, at) => [`p${at}`, { name: `p${at}`, severity, range: '<1.2.3' }]),
    ),
  });

describe('npm run audit', () => {
  it('fails for what is high or critical, and names it', () => {
    const { exitCode, lines } = auditVerdict(found('high', 'low'));
    assert.equal(exitCode, 1);
    assert.deepEqual(lines, [
      'high: p0 <1.2.3',
      'low: p1 <1.2.3',
      'Audited package-lock.json: 2 packages with known flaws, 1 of them high or critical.',
    ]);
  });

  it('passes with what is less, and with nothing', () => {
    assert.equal(auditVerdict(found('moderate')).exitCode, 0);
    assert.match(auditVerdict(found()).lines.join(), /^Audited package-lock.json: 0 packages/);
  });

  // proof: security-page
  it('says aloud that nothing was audited where the registry does not answer, without its address', () => {
    const refused = { message: '405 Method Not Allowed - POST https://registry.example/audit', statusCode: 405 };
    for (const [stdout, sentence] of [
      [JSON.stringify(refused), 'has no audit endpoint (it answered 405 Method Not Allowed).'],
      ['', 'did not answer the audit (no answer that can be read).'],
      ['null', 'did not answer the audit (no answer that can be read).'],
    ] as const) {
      const { exitCode, lines } = auditVerdict(stdout);
      assert.equal(exitCode, 0);
      assert.equal(lines[0], `NOT AUDITED: the npm registry of this machine ${sentence}`);
      assert.doesNotMatch(lines.join(), /registry\.example/);
    }
  });
});
