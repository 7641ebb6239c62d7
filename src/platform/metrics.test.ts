import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openMetrics } from './metrics.ts';

test('what cannot be read is missing from a scrape, and everything else is told', async () => {
  const metrics = openMetrics();
  let isAway = false;
  const read = async <T>(value: T): Promise<T> => {
    if (isAway) throw new Error('the database is away');
    return value;
  };
  metrics.gauge('depth', 'Of the queue', () => 3);
  metrics.gauge('lag', 'Of the relay', () => read(7));
  metrics.gauges('lags', 'Of consumers', 'consumer', () => read({ a: 1 }));
  const lines = async () =>
    (await metrics.registry.metrics()).split('\n').filter((line) => /^[a-z]/.test(line));
  assert.deepEqual(await lines(), ['depth 3', 'lag 7', 'lags{consumer="a"} 1']);
  isAway = true;
  assert.deepEqual(await lines(), ['depth 3', 'lag Nan']);
});
