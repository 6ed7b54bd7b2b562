import assert from 'node:assert/strict';
import {
  candidateHosts,
  type FleetSnapshot,
  type Placed,
  type PlacementHost,
  placeDeckies,
} from '../../fleet/plan-deploy.ts';
import { carriedOut, EMPTY, GENERAL, member, plan } from '../support/fixtures/planning.ts';

const host = (name: string, more: Partial<PlacementHost> = {}): PlacementHost => ({
  uuid: `uuid-${name}`,
  name,
  address: '10.0.0.1',
  status: 'active',
  draining: false,
  ...more,
});
const at = (host_uuid: string | null, established = true): Placed => ({ host_uuid, established });
const places = (names: string[], placed: Record<string, Placed>, hosts: PlacementHost[]) =>
  Object.fromEntries(placeDeckies(names, new Map(Object.entries(placed)), hosts));

describe('placement over hosts', () => {
  it('deals new deckies out over the candidates, by name, from the first', () => {
    assert.deepEqual(places(['a', 'b', 'c'], {}, [host('h2'), host('h1')]), {
      a: 'uuid-h1',
      b: 'uuid-h2',
      c: 'uuid-h1',
    });
  });

  it('takes no host that is unreachable, draining or without an address', () => {
    const hosts = [
      host('a', { status: 'unreachable' }),
      host('b', { draining: true }),
      host('c', { address: '' }),
      host('d', { status: 'enrolled' }),
    ];
    assert.deepEqual(
      candidateHosts(hosts).map((one) => one.name),
      ['d'],
    );
  });

  // proof: first-host, gap-b9
  it('B9: enrolling the first host moves no local decky', () => {
    assert.deepEqual(places(['old', 'new'], { old: at(null) }, [host('h1')]), { old: null, new: 'uuid-h1' });
  });

  // proof: first-host, gap-b9
  it('B10: an unreachable or draining host keeps what came up on it', () => {
    const hosts = [host('h1', { status: 'unreachable' }), host('h2', { draining: true }), host('h3')];
    const placed = { a: at('uuid-h1'), b: at('uuid-h2') };
    assert.deepEqual(places(['a', 'b', 'c'], placed, hosts), { a: 'uuid-h1', b: 'uuid-h2', c: 'uuid-h3' });
  });

  it('places anew what never came up where its host is none any more, and what was on a removed host', () => {
    const hosts = [host('h1', { status: 'unreachable' }), host('h2')];
    const placed = { a: at('uuid-h1', false), b: at('uuid-h2', false), c: at('uuid-gone') };
    assert.deepEqual(places(['a', 'b', 'c'], placed, hosts), { a: 'uuid-h2', b: 'uuid-h2', c: 'uuid-h2' });
  });

  it('leaves deckies to the master’s own engine where there is no candidate', () => {
    assert.deepEqual(places(['a'], {}, [host('h1', { status: 'unreachable' })]), { a: null });
  });
});

describe('a deploy plan over hosts', () => {
  const fleet = (more: Partial<FleetSnapshot>): FleetSnapshot => ({ ...EMPTY, ...more });

  it('puts the host into the decky’s configuration and says that it is a swarm', () => {
    const made = plan(`${GENERAL}[a]\nservices=ssh\n`, { fleet: fleet({ hosts: [host('h1')] }) });
    assert.equal(made.mode, 'swarm');
    assert.equal(made.deckies[0]?.config.host_uuid, 'uuid-h1');
  });

  it('keeps the host of each decky that a replacement names again', () => {
    const hosts = [host('h1'), host('h2')];
    const first = plan(`${GENERAL}[a]\nservices=ssh\n[b]\nservices=ssh\n`, { fleet: fleet({ hosts }) });
    const members = first.deckies.map((desired) => member(desired, { host_uuid: desired.config.host_uuid }));
    const again = plan(`${GENERAL}[b]\nservices=ssh\n[a]\nservices=ssh\n`, {
      fleet: { ...carriedOut(first), members, hosts },
      replace: true,
    });
    assert.deepEqual(
      again.deckies.map(({ config }) => [config.name, config.host_uuid]),
      [
        ['b', 'uuid-h2'],
        ['a', 'uuid-h1'],
      ],
    );
  });
});
