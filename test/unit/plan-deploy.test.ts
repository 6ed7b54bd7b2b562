import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { FleetSnapshot } from '../../fleet/plan-deploy.ts';
import {
  assertRefused,
  BRIDGE,
  CONTEXT,
  carriedOut,
  EMPTY,
  GENERAL,
  member,
  NETWORK,
  plan,
} from '../support/fixtures/planning.ts';

interface Exchange {
  readonly name: string;
  readonly body?: { readonly ini_content: string };
  readonly answer: { readonly detail: string };
}
const EXCHANGES = JSON.parse(
  readFileSync(new URL('../fixtures/exchanges/master-api.json', import.meta.url), 'utf8'),
) as readonly Exchange[];

/** The INI and the refusal of a recorded exchange. */
function recorded(name: string): { ini: string; detail: string } {
  const exchange = EXCHANGES.find((candidate) => candidate.name === name);
  assert.ok(exchange?.body, name);
  return { ini: exchange.body.ini_content, detail: exchange.answer.detail };
}

const TWO = recorded('deploy two').ini;
const names = (list: readonly { config: { name: string } }[]): string[] => list.map(({ config }) => config.name);
const open = { lifecycle_id: 'row-1', operation: 'mutate' } as const;

describe('a deploy plan', () => {
  it('has one decky a row, in INI order, on the network of the INI', () => {
    const made = plan(TWO);
    assert.deepEqual(names(made.deckies), ['web-01', 'db-01']);
    assert.deepEqual(made.network, NETWORK);
    assert.equal(made.mode, 'unihost');
    assert.deepEqual(made.removed, []);
    assert.ok(made.deckies.every(({ config }) => config.host_uuid === null));
  });

  it('warns of two services on one port, once for a group, of a lost sub-section, and of nothing else', () => {
    const text = `${GENERAL}[g]\nservices=http,https,http\namount=5\n[h]\nservices=honey,ftp\n[x.ssh]\nuser=u\n[custom-honey]\nbinary=h\nports=21\n`;
    assert.deepEqual(plan(text).warnings, [
      '[x.ssh] (line 11) configures no decky of this INI and was ignored.',
      'http and https both listen on port 443: g-01, g-02, g-03 and 2 more.',
      'honey and ftp both listen on port 21: h.',
    ]);
    assert.deepEqual(plan(TWO).warnings, []);
  });

  it('is refused with the recorded sentences', () => {
    const fleet = carriedOut(plan(TWO));
    const cases: [exchange: string, code: Parameters<typeof assertRefused>[1], fleet?: FleetSnapshot][] = [
      ['deploy: empty', 'InvalidIni'],
      ['deploy: no section', 'InvalidIni'],
      ['deploy: unknown service', 'InvalidDecky'],
      ['deploy: unknown archetype', 'InvalidDecky'],
      ['deploy: amount', 'InvalidDecky'],
      ['deploy: mutate interval', 'InvalidDecky'],
      ['deploy: over the limit', 'DeploymentLimit', { ...EMPTY, limit: 4 }],
      ['deploy: name exists', 'DeckyExists', fleet],
      ['deploy: ip in use', 'AddressInUse', fleet],
    ];
    for (const [name, code, snapshot] of cases) {
      const { ini, detail } = recorded(name);
      assertRefused(() => plan(ini, snapshot ? { fleet: snapshot } : {}), code, detail);
    }
  });

  it('refuses millions of deckies before it makes one', () => {
    const text = Array.from({ length: 10_000 }, (_, index) => `[g${index}]\namount=100\n`).join('');
    assertRefused(() => plan(text), 'DeploymentLimit', /1000000 deckies/);
  });
});

describe('an additive deploy', () => {
  const fleet = carriedOut(plan(TWO));

  it('keeps clear of the addresses and container names of the fleet', () => {
    const made = plan('[x]\nservices=ftp\namount=2\n', { fleet });
    assert.deepEqual(
      made.deckies.map(({ config }) => config.ip),
      ['10.77.0.4', '10.77.0.5'],
    );
    assertRefused(() => plan('[web-01-ssh]\nservices=ftp\n', { fleet }), 'InvalidDecky', /would both make/);
  });

  it('counts the fleet towards the limit, and a name that is replaced once', () => {
    assertRefused(() => plan('[x]\nservices=ftp\n', { fleet: { ...fleet, limit: 2 } }), 'DeploymentLimit', /3 deckies/);
    const failed = { ...fleet, limit: 2, members: fleet.members.map((one) => ({ ...one, established: false })) };
    assert.equal(plan(TWO, { fleet: failed }).deckies.length, 2);
  });

  it('replaces a member that never came up, its address included', () => {
    const [web, db] = fleet.members;
    assert.ok(web && db);
    const half = { ...fleet, members: [member(web.desired, { established: false }), db] };
    const made = plan(`${GENERAL}[web-01]\nservices=ftp\nip=10.77.0.20\n`, { fleet: half });
    assert.deepEqual(made.deckies[0]?.config.services, ['ftp']);
    assert.deepEqual(made.removed, []);
  });

  it('names the open row of a decky that it asks for, before it says that the name exists', () => {
    const busy = { ...fleet, members: fleet.members.map((one) => ({ ...one, open })) };
    assertRefused(() => plan(TWO, { fleet: busy }), 'DeckyBusy', /'web-01' is busy: its mutate .* row-1/);
    assert.equal(plan('[x]\nservices=ftp\n', { fleet: busy }).deckies.length, 1);
  });

  // proof: gap-b13
  it('gap B13: refuses another net, gateway or interface, and takes the same in another spelling', () => {
    const refused = (general: string, sentence: RegExp): void =>
      assertRefused(() => plan(`[general]\n${general}\n[x]\nservices=ftp\n`, { fleet }), 'NetworkConflict', sentence);
    refused('net=10.78.0.0/24', /^Network configuration conflict: \[general\] net=10\.78\.0\.0\/24 differs/);
    refused('gw=10.77.0.9', /gw=10\.77\.0\.9 differs from the fleet's 10\.77\.0\.1/);
    refused('interface=eth1', /interface=eth1 differs from the fleet's eth0/);
    const same = '[general]\nnet=10.77.0.99/255.255.255.0\ngw=10.77.0.1\n[x]\nservices=ftp\n';
    assert.deepEqual(plan(same, { fleet }).network, NETWORK);
  });

  // proof: gap-b13
  it('gap B13: stays on the network of the fleet whatever the machine says now', () => {
    assert.deepEqual(plan('[x]\nservices=ftp\n', { fleet, context: BRIDGE }).network, NETWORK);
  });

  it('takes another network while nothing of the fleet ever came up', () => {
    const failed = { ...fleet, members: fleet.members.map((one) => ({ ...one, established: false })) };
    const text = '[general]\nnet=10.78.0.0/24\ngw=10.78.0.1\n[x]\nservices=ftp\n';
    assert.equal(plan(text, { fleet: failed }).network.subnet, '10.78.0.0/24');
    const busy = { ...failed, members: failed.members.map((one) => ({ ...one, open })) };
    assertRefused(() => plan(text, { fleet: busy }), 'NetworkConflict');
  });
});

describe('replace_fleet', () => {
  const text = `${GENERAL}[web]\nservices=http\n[drawn]\n[box]\narchetype=file-server\n[last]\n`;
  const first = plan(text, { seed: 'first' });
  const fleet = carriedOut(first);
  const again = (ini: string) => plan(ini, { fleet, replace: true, seed: 'second' });

  // proof: same-again
  it('changes nothing when the same INI comes again, drawn hostnames and services included', () => {
    const second = again(text);
    assert.deepEqual(second.deckies, first.deckies);
    assert.deepEqual(second.removed, []);
  });

  // proof: same-again
  it('changes one when one is left out, and one when one is changed', () => {
    const without = again(text.replace('[web]\nservices=http\n', ''));
    assert.deepEqual(without.deckies, first.deckies.slice(1));
    assert.deepEqual(names(without.removed.map(({ desired }) => desired)), ['web']);
    const changed = again(text.replace('services=http', 'services=ftp'));
    assert.deepEqual(changed.deckies.slice(1), first.deckies.slice(1));
    assert.deepEqual(changed.deckies[0], {
      ...first.deckies[0],
      config: { ...first.deckies[0]?.config, services: ['ftp'] },
    });
  });

  it('gives a newcomer no address that another keeps', () => {
    const made = again(`${GENERAL}[new]\nservices=ftp\n${text.slice(GENERAL.length)}`);
    assert.equal(made.deckies[0]?.config.ip, '10.77.0.7');
    assert.deepEqual(made.deckies.slice(1), first.deckies);
  });

  it('gives way when an address is named, is given to another, or left the subnet', () => {
    const taken = again(`${GENERAL}[web]\nservices=http\n[new]\nservices=ftp\nip=10.77.0.3\n`);
    assert.deepEqual(
      taken.deckies.map(({ config }) => config.ip),
      ['10.77.0.4', '10.77.0.3'],
    );
    const moved = again('[general]\nnet=10.78.0.0/24\ngw=10.78.0.1\n[web]\nservices=http\n');
    assert.equal(moved.deckies[0]?.config.ip, '10.78.0.2');
  });

  it('draws anew what an archetype decided, and leaves a distro that the new archetype does not have', () => {
    const box = again(`${GENERAL}[box]\narchetype=iot-device\n`).deckies[0]?.config;
    assert.deepEqual([box?.distro, box?.services.join()], ['alpine', 'mqtt,snmp,telnet']);
    const bare = again(`${GENERAL}[box]\n`).deckies[0]?.config;
    assert.equal(bare?.archetype, null);
    assert.notDeepEqual(bare?.services, ['smb', 'ftp', 'ssh']);
  });

  it('keeps nothing of a member that never came up', () => {
    const failed = { ...fleet, members: fleet.members.map((one) => ({ ...one, established: false })) };
    const hostnames = plan(text, { fleet: failed, replace: true, seed: 'second' }).deckies.map(
      ({ config }) => config.hostname,
    );
    assert.notDeepEqual(
      hostnames,
      first.deckies.map(({ config }) => config.hostname),
    );
  });

  it('is refused while any old or new decky has an open row', () => {
    const [, ...rest] = fleet.members;
    const busy = { ...fleet, members: [...rest.map((one) => ({ ...one, open }))] };
    assertRefused(() => plan(`${GENERAL}[new]\nservices=ftp\n`, { fleet: busy, replace: true }), 'DeckyBusy', /row-1/);
  });

  it('takes the network of the INI, keeps the present where it names none, and the new driver', () => {
    const context = { ...CONTEXT, detected: null };
    const kept = plan('[web]\nservices=http\n', { fleet, replace: true, context });
    assert.deepEqual(kept.network, NETWORK);
    const moved = plan('[general]\nnet=10.78.0.0/24\ngw=10.78.0.1\n[a]\nservices=ftp\n', {
      fleet,
      replace: true,
      context,
    });
    assert.deepEqual(moved.network, { ...NETWORK, subnet: '10.78.0.0/24', gateway: '10.78.0.1' });
    const bridged = plan('[web]\nservices=http\n', { fleet, replace: true, context: BRIDGE });
    assert.deepEqual(bridged.network, {
      driver: 'bridge',
      interface: '',
      subnet: '10.200.0.0/24',
      gateway: '10.200.0.1',
    });
  });

  it('counts the new fleet only', () => {
    assert.equal(
      plan(`${GENERAL}[n]\nservices=ftp\namount=4\n`, { fleet: { ...fleet, limit: 4 }, replace: true }).deckies.length,
      4,
    );
  });
});

describe('the network of a first deploy', () => {
  const bare = '[a]\nservices=ftp\n';
  const general = (lines: string): string => `[general]\n${lines}\n${bare}`;

  it('is what was detected, or what the INI says instead', () => {
    assert.deepEqual(plan(bare).network, NETWORK);
    assert.equal(plan(general('interface=eth1')).network.interface, 'eth1');
    assert.equal(plan(general('gw=10.77.0.254')).network.gateway, '10.77.0.254');
  });

  it('is refused where it can’t be detected, saying which key to name', () => {
    const context = { ...CONTEXT, detected: null };
    assertRefused(
      () => plan(bare, { context }),
      'NetworkConflict',
      /^Network configuration conflict: .*\[general\] net=/,
    );
    assertRefused(() => plan(general('net=10.1.0.0/24'), { context }), 'NetworkConflict', /gw=/);
    assertRefused(() => plan(general('net=10.1.0.0/24\ngw=10.1.0.1'), { context }), 'NetworkConflict', /interface=/);
    assertRefused(() => plan(general('net=10.1.0.0/24')), 'NetworkConflict', /gateway of 10\.1\.0\.0\/24/);
  });

  it('is the pool of the bridge, whose gateway is the first address', () => {
    const { network, deckies } = plan(bare, { context: BRIDGE });
    assert.deepEqual(network, { driver: 'bridge', interface: '', subnet: '10.200.0.0/24', gateway: '10.200.0.1' });
    assert.equal(deckies[0]?.config.ip, '10.200.0.2');
    assert.equal(plan(general('net=10.5.0.7/24'), { context: BRIDGE }).network.gateway, '10.5.0.1');
  });

  it('notes an interface that bridge does not use, and refuses one that does not exist', () => {
    const made = plan(general('interface=eth0'), { context: BRIDGE });
    assert.deepEqual(made.warnings, ['[general] interface=eth0 is unused by the network driver bridge.']);
    for (const context of [BRIDGE, CONTEXT])
      assertRefused(
        () => plan(general('interface=nope0'), { context }),
        'NetworkConflict',
        /^Network configuration conflict: \[general\] interface=nope0 does not exist/,
      );
  });

  it('has its gateway inside, and texts that can be read', () => {
    for (const lines of ['gw=10.78.0.1', 'gw=10.77.0.255', 'gw=x', 'net=10.0.0.0/99'])
      assertRefused(() => plan(general(lines)), 'InvalidAddress', /^\[general\] (gw|net)=/);
  });
});
