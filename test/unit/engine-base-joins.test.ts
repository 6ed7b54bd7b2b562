import assert from 'node:assert/strict';
import { BaseJoins, type CurrentContainer, type Inspection } from '../../engine/docker/observe.ts';

const listed = (key: string, change: Partial<CurrentContainer> = {}): CurrentContainer => ({
  id: `id-${key}`,
  name: key,
  decky: 'web1',
  key,
  image: 'deckhand/http:1',
  state: 'running',
  configHash: '',
  networkId: 'net1',
  ip: null,
  endpointId: key === 'web1' ? 'endpoint1' : null,
  ...change,
});

/** An engine on which containers were started at these times, and how often it was asked. */
function engine(starts: Record<string, number>) {
  const asked: string[] = [];
  const joins = new BaseJoins(async (id): Promise<Inspection | null> => {
    asked.push(id);
    const startedAt = starts[id];
    if (startedAt === undefined) return null;
    const inspection = { id, name: id, state: 'running', exitCode: 0, oomKilled: false, error: '', restarts: 0 };
    return { ...inspection, startedAt, policy: 'unless-stopped' };
  });
  const cutOff = async (current: readonly CurrentContainer[]): Promise<string[]> =>
    (await joins.mark(current)).filter((one) => one.cutOff).map(({ key }) => key);
  return { asked, cutOff };
}

describe('which services have joined their base', () => {
  const starts = { 'id-web1': 10, 'id-web1-http': 11, 'id-web1-ssh': 9 };
  const all = [listed('web1'), listed('web1-http'), listed('web1-ssh')];

  // proof: field-3.1-1
  it('tells those that were started before their base', async () => {
    assert.deepEqual(await engine(starts).cutOff(all), ['web1-ssh']);
  });

  // proof: field-3.1-1
  it('inspects nothing of a fleet that stands still, and a base with its services when it starts anew', async () => {
    const times = { ...starts, 'id-web1-ssh': 12 };
    const { asked, cutOff } = engine(times);
    assert.deepEqual(await cutOff(all), []);
    assert.equal(asked.length, 3);
    assert.deepEqual(await cutOff(all), []);
    assert.equal(asked.length, 3);
    times['id-web1'] = 20;
    const restarted = [listed('web1', { endpointId: 'endpoint2' }), ...all.slice(1)];
    assert.deepEqual(await cutOff(restarted), ['web1-http', 'web1-ssh']);
    assert.equal(asked.length, 6);
    times['id-web1-http'] = 21;
    assert.deepEqual(await cutOff(restarted), ['web1-ssh']);
  });

  it('says nothing of what does not run, is alone, or is gone when it is looked at', async () => {
    const { asked, cutOff } = engine(starts);
    assert.deepEqual(await cutOff([listed('web1', { state: 'exited' }), ...all.slice(1)]), []);
    assert.deepEqual(await cutOff(all.slice(1)), []);
    assert.deepEqual(await cutOff([listed('web1'), listed('web1-ssh', { state: 'exited' })]), []);
    assert.deepEqual(asked, []);
    assert.deepEqual(await cutOff([listed('web1'), listed('web1-gone')]), []);
  });
});
