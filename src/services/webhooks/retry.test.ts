import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ATTEMPTS, retryAfterOf, waitAfter, waitBound } from './retry.ts';

const HOUR_MS = 3_600_000;

test('the bounds of the waits are those of the guide, and come to three days on average', () => {
  const bounds_s = Array.from({ length: ATTEMPTS - 1 }, (_, index) => waitBound(index + 1) / 1_000);
  assert.deepEqual(bounds_s, [10, 60, 360, 2_160, 12_960, 77_760, 86_400, 86_400, 86_400, 86_400, 86_400]);
  const average_h = bounds_s.reduce((sum, bound) => sum + bound / 2, 0) / 3_600;
  assert.ok(average_h > 71 && average_h < 75, `${average_h} hours`);
});

test('a wait lies anywhere up to its bound, and is no shorter than what was asked for, within a day', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.option(fc.integer({ min: 0, max: 100 * 24 * HOUR_MS }), { nil: undefined }),
      (failures, chance, asked_ms) => {
        const wait_ms = waitAfter(failures, chance, asked_ms);
        const least_ms = Math.min(asked_ms ?? 0, 24 * HOUR_MS);
        assert.ok(wait_ms >= least_ms && wait_ms <= Math.max(waitBound(failures), least_ms));
      },
    ),
  );
  assert.deepEqual([waitAfter(1, 0, undefined), waitAfter(1, 1, undefined)], [0, 10_000]);
});

test('Retry-After is seconds or a date, and nothing else', () => {
  const now = Date.parse('2026-01-31T12:00:00Z');
  for (const [header, wait_ms] of [
    ['120', 120_000],
    ['0', 0],
    ['Sat, 31 Jan 2026 12:01:00 GMT', 60_000],
    ['Sat, 31 Jan 2026 11:00:00 GMT', 0],
    ['soon', undefined],
    ['-5', undefined],
    [null, undefined],
  ] as const) {
    assert.equal(retryAfterOf(header, now), wait_ms, String(header));
  }
});
