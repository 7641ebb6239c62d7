import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { arrayText, BUCKETS, bucketOf, percentileOf } from './histogram.ts';

const durations = fc.array(fc.double({ min: 0, max: 90_000, noNaN: true }), { minLength: 1, maxLength: 200 });

function countsOf(list: readonly number[]): number[] {
  const counts = Array.from({ length: BUCKETS }, () => 0);
  for (const duration of list) counts[bucketOf(duration)] = (counts[bucketOf(duration)] ?? 0) + 1;
  return counts;
}

test('a percentile that is told lies in the bucket of the true one, hence less than 42 % away', () => {
  fc.assert(
    fc.property(durations, fc.constantFrom(0.5, 0.9, 0.99, 1), (list, share) => {
      const sorted = list.toSorted((a, b) => a - b);
      const actual = sorted[Math.max(Math.ceil(share * list.length), 1) - 1] ?? Number.NaN;
      const told = percentileOf(countsOf(list), share) ?? Number.NaN;
      if (actual <= 0.125) assert.ok(told <= 0.125, `${told} for ${actual}`);
      else {
        assert.ok(told <= actual * 1.4143 && told >= actual / 1.4143, `${told} for ${actual}`);
      }
    }),
  );
});

test('of nothing there is no percentile; the longest and the senseless have a bucket, too', () => {
  assert.equal(percentileOf([], 0.5), undefined);
  assert.equal(percentileOf([0, 0], 0.5), undefined);
  for (const duration of [0, -1, Number.NaN]) assert.equal(bucketOf(duration), 0);
  for (const duration of [1e9, Number.POSITIVE_INFINITY]) assert.equal(bucketOf(duration), BUCKETS - 1);
});

test('what goes to the database has no zeros at its end', () => {
  assert.equal(arrayText(Uint32Array.from([0, 2, 0, 1, 0, 0])), '{0,2,0,1}');
  assert.equal(arrayText(new Uint32Array(3)), '{}');
});
