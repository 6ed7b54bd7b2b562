import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { planDeploy } from '../../fleet/plan-deploy.ts';

const FOLDER = new URL('../../examples/', import.meta.url);
const CONTEXT = {
  driver: 'bridge',
  host_ip: null,
  interfaces: ['eth0'],
  detected: null,
  bridge_pool: '10.200.0.0/24',
} as const;

describe('examples', () => {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith('.ini'));

  it('are there', () => assert.ok(files.includes('office.ini') && files.includes('lan.ini')));

  for (const file of files)
    it(`${file} can be deployed to an empty fleet`, () => {
      const request = { ini_content: readFileSync(new URL(file, FOLDER), 'utf8'), replace_fleet: false };
      const plan = planDeploy(request, { network: null, members: [], limit: 100 }, CONTEXT, 'seed');
      assert.ok(plan.deckies.length > 0);
    });

  it('the fleet of README.md can be deployed, and makes the deckies that it names', () => {
    const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
    const ini = /```ini\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
    const plan = planDeploy(
      { ini_content: ini, replace_fleet: false },
      { network: null, members: [], limit: 100 },
      CONTEXT,
      'seed',
    );
    assert.deepEqual(
      plan.deckies.map(({ config }) => config.name),
      ['web-01', 'web-02', 'web-03', 'files'],
    );
  });
});
