import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { agentNumbers, inGroups } from '../../stack/agents.ts';
import { agentCandidates, agentNet, cidrRange, firstFree, PortBook } from '../../stack/claims.ts';
import { StackHome } from '../../stack/home.ts';

describe('agents of the stack', () => {
  let directory: string;
  let home: StackHome;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'deckhand-agents-'));
    home = new StackHome(directory);
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('are as many as asked for, and those that earlier starts enrolled', () => {
    for (const name of ['2', '7', '9']) mkdirSync(home.path('agents', name), { recursive: true });
    for (const name of ['2', '7']) writeFileSync(home.path('agents', name, 'agent.json'), '{}');
    assert.deepEqual(agentNumbers(home, 0), [2, 7]);
    assert.deepEqual(agentNumbers(home, 3), [1, 2, 3, 7]);
  });

  it('are none where none were asked for, ever', () => assert.deepEqual(agentNumbers(home, 0), []));

  it('start a few at a time, in order', async () => {
    let atWork = 0;
    let most = 0;
    const done = await inGroups([1, 2, 3, 4, 5, 6], async (number) => {
      atWork += 1;
      most = Math.max(most, atWork);
      await new Promise((resolve) => setImmediate(resolve));
      atWork -= 1;
      return number * 10;
    });
    assert.deepEqual(done, [10, 20, 30, 40, 50, 60]);
    assert.equal(most, 4);
  });
});

describe('the network of an agent', () => {
  const BASE = '10.201.0.0/24';

  it('is 10.201.N.0/24, or another with the same N where that is taken', () => {
    const candidates = agentCandidates(BASE, 3);
    assert.deepEqual(candidates.slice(0, 2), ['10.201.3.0/24', '10.202.3.0/24']);
    assert.equal(firstFree(candidates, [cidrRange('10.201.0.0/16')]), '10.202.3.0/24');
  });

  it('is kept for a home as long as it is there, and free again when another is made in its place', () => {
    const base = `10.${100 + (process.pid % 50)}.${process.pid % 150}.0/24`;
    const parent = mkdtempSync(join(tmpdir(), 'deckhand-agent-nets-'));
    const [first, second] = ['a', 'b'].map((name) => new StackHome(join(parent, name)));
    try {
      const taken = agentNet(first ?? assert.fail(), 1, base);
      assert.equal(agentNet(first ?? assert.fail(), 1, base), taken);
      assert.notEqual(agentNet(second ?? assert.fail(), 1, base), taken);
      rmSync(join(parent, 'a'), { recursive: true });
      assert.equal(agentNet(new StackHome(join(parent, 'a')), 1, base), taken);
    } finally {
      rmSync(parent, { recursive: true });
    }
  });

  it('follows the base that is given, and stays an address', () => {
    assert.equal(agentCandidates('10.80.4.0/24', 2)[0], '10.80.6.0/24');
    for (const cidr of agentCandidates('192.250.200.0/24', 100)) assert.fail(cidr);
  });

  it('differs between agents, and is never the fleet’s own', () => {
    const all = Array.from({ length: 100 }, (_, index) => agentCandidates(BASE, index + 1)).flat();
    assert.equal(new Set(all).size, all.length);
    for (let second = 200; second < 220; second += 1) assert.ok(!all.includes(`10.${second}.0.0/24`));
  });
});

describe('the port of an agent', () => {
  it('belongs to its home also while nobody listens there', async () => {
    const parent = mkdtempSync(join(tmpdir(), 'deckhand-agent-ports-'));
    try {
      const [one, other] = ['a', 'b'].map((name) => new PortBook(new StackHome(join(parent, name)), true));
      const first = await one?.choose('agent-1', false);
      const second = await one?.choose('agent-2', false);
      const foreign = await other?.choose('agent-1', false);
      assert.equal(new Set([first, second, foreign]).size, 3);
      assert.ok([first, second, foreign].every((port) => port !== undefined && port >= 8765 && port !== 8770));
    } finally {
      rmSync(parent, { recursive: true });
    }
  });
});
