import assert from 'node:assert/strict';
import { inTheWay } from '../../fleet/make-room.ts';

const at = (decky: string, address: string) => ({ decky, address });

describe('making room for addresses', () => {
  it('is nobody’s business while each keeps its own', () => {
    assert.deepEqual(inTheWay([at('a', '1'), at('b', '2')], [at('a', '1'), at('b', '2')]), []);
  });

  it('names those that hold what another needs: both of a swap, one of a move', () => {
    assert.deepEqual(inTheWay([at('a', '2'), at('b', '1')], [at('a', '1'), at('b', '2')]), ['a', 'b']);
    assert.deepEqual(inTheWay([at('a', '2'), at('b', '3')], [at('a', '1'), at('b', '2')]), ['b']);
  });

  it('leaves alone who merely moves away, and addresses that nobody wants', () => {
    assert.deepEqual(inTheWay([at('a', '9')], [at('a', '1'), at('x', '7')]), []);
  });
});
