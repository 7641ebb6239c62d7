import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type BusinessCalendar, isBusinessDay, isDay, nextBusinessDay } from './calendar.ts';

const isoOf = (number: number): string => new Date(number * 86_400_000).toISOString().slice(0, 10);
const numberOf = (day: string): number => Date.parse(`${day}T00:00:00Z`) / 86_400_000;
/** Days near each other, so that holidays are often met; leap days among them. */
const day = fc.integer({ min: numberOf('2023-12-20'), max: numberOf('2024-03-20') }).map(isoOf);
const calendar: fc.Arbitrary<BusinessCalendar> = fc.record({
  week: fc.constantFrom('weekdays', 'every_day'),
  holidays: fc.array(day, { maxLength: 60 }).map((days) => new Set(days)),
});

test('the next business day is one, comes after, and there is none between', () => {
  fc.assert(
    fc.property(day, calendar, (from, kept) => {
      const next = nextBusinessDay(from, kept);
      assert.ok(isBusinessDay(next, kept));
      assert.ok(next > from);
      for (let between = numberOf(from) + 1; between < numberOf(next); between += 1) {
        assert.equal(isBusinessDay(isoOf(between), kept), false);
      }
    }),
  );
});

test('a later day never has an earlier next business day, and a holiday more never brings one forward', () => {
  fc.assert(
    fc.property(day, day, day, calendar, (one, other, holiday, kept) => {
      const [early, late] = [one, other].toSorted();
      assert.ok(early !== undefined && late !== undefined);
      assert.ok(nextBusinessDay(early, kept) <= nextBusinessDay(late, kept));
      const more = { ...kept, holidays: new Set([...kept.holidays, holiday]) };
      assert.equal(isBusinessDay(holiday, more), false);
      assert.ok(nextBusinessDay(one, more) >= nextBusinessDay(one, kept));
    }),
  );
});

test('weekends are none of the weekdays, and leap days are days', () => {
  const weekdays = { week: 'weekdays', holidays: new Set(['2024-12-25']) } as const;
  assert.equal(nextBusinessDay('2024-02-28', weekdays), '2024-02-29');
  assert.equal(nextBusinessDay('2024-03-01', weekdays), '2024-03-04');
  assert.equal(nextBusinessDay('2024-12-24', weekdays), '2024-12-26');
  assert.equal(nextBusinessDay('2024-03-01', { ...weekdays, week: 'every_day' }), '2024-03-02');
  for (const none of ['2023-02-29', '2024-13-01', '2024-1-1', '', 'today', '0000-01-01']) {
    assert.equal(isDay(none), false, none);
  }
  assert.throws(() => nextBusinessDay('9999-12-31', weekdays), RangeError);
  assert.throws(() => isBusinessDay('2023-02-29', weekdays), RangeError);
});
