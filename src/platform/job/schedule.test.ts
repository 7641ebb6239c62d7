import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isBusinessDay } from '../calendar.ts';
import { assertSchedule, type Calendar, nextTime } from './schedule.ts';

const calendar = (
  time_zone: string,
  holidays: string[] = [],
  week: Calendar['week'] = 'weekdays',
): Calendar => ({
  time_zone,
  week,
  holidays: new Set(holidays),
});
type Timed = Parameters<typeof nextTime>[0];

/** The next times after one, as many as asked. */
function times(schedule: Timed, after: string, kept: Calendar, count: number): string[] {
  const found: string[] = [];
  let from = new Date(after);
  while (found.length < count) {
    from = nextTime(schedule, from, kept);
    found.push(from.toISOString().replace('.000', ''));
  }
  return found;
}

test('a cron schedule runs by the clocks of the tenant, over changes of summer time', () => {
  const nightly = { cron: '30 3 * * *' };
  assert.deepEqual(times(nightly, '2026-07-01T00:00:00Z', calendar('America/Sao_Paulo'), 2), [
    '2026-07-01T06:30:00Z',
    '2026-07-02T06:30:00Z',
  ]);
  assert.deepEqual(times(nightly, '2026-03-28T00:00:00Z', calendar('Europe/Berlin'), 2), [
    '2026-03-28T02:30:00Z',
    '2026-03-29T01:30:00Z',
  ]);
  // Clocks leave out 2:30 on that day and show it twice on the other: it runs once on both.
  const inTheGap = { cron: '30 2 * * *' };
  assert.deepEqual(times(inTheGap, '2026-03-28T12:00:00Z', calendar('Europe/Berlin'), 2), [
    '2026-03-29T01:30:00Z',
    '2026-03-30T00:30:00Z',
  ]);
  assert.deepEqual(times(inTheGap, '2026-10-24T12:00:00Z', calendar('Europe/Berlin'), 2).length, 2);
});

test('on business days only, or moved to the next one, once for all that fall together', () => {
  // 2026-12-25 is a Friday.
  const kept = calendar('America/Sao_Paulo', ['2026-12-25', '2026-12-28']);
  const at = { cron: '0 18 * * *' };
  assert.deepEqual(times({ ...at, days: 'business days' }, '2026-12-23T22:00:00Z', kept, 3), [
    '2026-12-24T21:00:00Z',
    '2026-12-29T21:00:00Z',
    '2026-12-30T21:00:00Z',
  ]);
  assert.deepEqual(times({ ...at, days: 'next business day' }, '2026-12-23T22:00:00Z', kept, 3), [
    '2026-12-24T21:00:00Z',
    '2026-12-29T21:00:00Z',
    '2026-12-30T21:00:00Z',
  ]);
  // The first of the month falls on a Friday that is a holiday, on a Monday, and on a Saturday.
  const monthly = { cron: '0 9 1 * *', days: 'next business day' } as const;
  assert.deepEqual(times(monthly, '2026-12-31T00:00:00Z', calendar('UTC', ['2027-01-01']), 3), [
    '2027-01-04T09:00:00Z',
    '2027-02-01T09:00:00Z',
    '2027-03-01T09:00:00Z',
  ]);
  assert.deepEqual(times(monthly, '2027-04-30T00:00:00Z', calendar('UTC'), 1), ['2027-05-03T09:00:00Z']);
  // Asked for on the closed day itself, what fell before still comes.
  assert.deepEqual(times(monthly, '2027-05-02T12:00:00Z', calendar('UTC'), 1), ['2027-05-03T09:00:00Z']);
  // Not on the calendar's closed days where the tenant has none.
  assert.deepEqual(times(monthly, '2027-04-30T00:00:00Z', calendar('UTC', [], 'every_day'), 1), [
    '2027-05-01T09:00:00Z',
  ]);
});

test('whatever the calendar: the next time is later, on a business day, and there is none between', () => {
  const holidays = fc.array(
    fc
      .integer({ min: 0, max: 60 })
      .map((day) => new Date(Date.UTC(2026, 2, 1 + day)).toISOString().slice(0, 10)),
    { maxLength: 40 },
  );
  const zones = fc.constantFrom('UTC', 'America/Sao_Paulo', 'Europe/Berlin', 'Pacific/Apia');
  const crons = fc.constantFrom('0 9 * * *', '15 23 * * *', '0 9 * * 6', '30 2 1,15 * *', '0 0,12 * * *');
  const instants = fc.integer({ min: Date.UTC(2026, 2, 1), max: Date.UTC(2026, 3, 20) });
  fc.assert(
    fc.property(holidays, zones, crons, instants, (closed, zone, cron, start) => {
      const kept = calendar(zone, closed);
      for (const days of ['business days', 'next business day'] as const) {
        // Saturdays are no business days, and what falls on them is moved.
        if (days === 'business days' && cron.endsWith('6')) continue;
        const next = nextTime({ cron, days }, new Date(start), kept);
        assert.ok(next.getTime() > start);
        const day = new Intl.DateTimeFormat('sv-SE', { timeZone: zone }).format(next);
        assert.ok(isBusinessDay(day, kept), `${days} ${next.toISOString()}`);
        const before = new Date(next.getTime() - 1);
        if (before.getTime() >= start) {
          assert.equal(nextTime({ cron, days }, before, kept).getTime(), next.getTime());
        }
      }
    }),
    { numRuns: 200 },
  );
});

test('what never comes is refused when the process starts', () => {
  for (const schedule of [{ cron: 'now' }, { cron: '61 * * * *' }, { every_s: 0 }, { every_s: 0.5 }]) {
    assert.throws(() => assertSchedule('a.job', schedule), /the job a\.job/);
  }
  assertSchedule('a.job', { cron: '0 0 29 2 *' });
  const saturdays = { cron: '0 9 * * 6', days: 'business days' } as const;
  assert.throws(() => nextTime(saturdays, new Date(), calendar('UTC')), /no time of .* business day/);
});
