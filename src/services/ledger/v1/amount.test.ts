import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MAX_MINOR } from '../../../platform/money.ts';
import { Problem } from '../../../platform/problem.ts';
import { literalOf, minorOfBalance, minorOfHundredths } from './amount.ts';
import { parseBody } from './json.ts';

const isMalformed = (error: unknown) => error instanceof Problem && error.type.status === 400;

test('a balance is taken exactly', () => {
  for (const [text, currency, minor] of [
    ['0', 'BRL', 0n],
    ['-0', 'BRL', 0n],
    ['-0.00', 'BRL', 0n],
    ['0e999999999999', 'BRL', 0n],
    ['0.1', 'BRL', 10n],
    ['10.5', 'BRL', 1050n],
    ['10.500', 'BRL', 1050n],
    ['1E2', 'BRL', 10000n],
    ['1e-2', 'BRL', 1n],
    ['1234.5e-1', 'BRL', 12345n],
    ['10e+1', 'JPY', 100n],
    ['0.001', 'KWD', 1n],
    ['90071992547409.93', 'BRL', 9007199254740993n],
    ['9999999999999999.99', 'BRL', MAX_MINOR],
  ] as const) {
    assert.equal(minorOfBalance(text, currency), minor, `${text} ${currency}`);
  }
});

test('what is no balance, or not exactly one, is refused with 400', () => {
  for (const [text, currency] of [
    ['', 'BRL'],
    [' 1', 'BRL'],
    ['abc', 'BRL'],
    ['NaN', 'BRL'],
    ['Infinity', 'BRL'],
    ['0x10', 'BRL'],
    ['1,5', 'BRL'],
    ['.5', 'BRL'],
    ['01', 'BRL'],
    ['+1', 'BRL'],
    ['-0.01', 'BRL'],
    ['0.001', 'BRL'],
    ['1e-3', 'BRL'],
    ['0.5', 'JPY'],
    ['0.0001', 'KWD'],
    ['1e400', 'BRL'],
    [`1e${'9'.repeat(80)}`, 'BRL'],
    [`1e-${'9'.repeat(80)}`, 'BRL'],
    ['10000000000000000', 'BRL'],
    [`0.${'0'.repeat(200)}`, 'BRL'],
  ] as const) {
    assert.throws(() => minorOfBalance(text, currency), isMalformed, `${text} ${currency}`);
  }
});

test('every balance that is answered is taken back as the same', () => {
  const minors = fc.bigInt({ min: 0n, max: MAX_MINOR });
  fc.assert(
    fc.property(minors, fc.constantFrom('BRL', 'JPY', 'KWD'), (minor, currency) => {
      const text = JSON.stringify({ balance: literalOf(minor, currency) });
      assert.deepEqual(parseBody(text), { balance: literalOf(minor, currency).rawJSON });
      assert.equal(minorOfBalance(literalOf(minor, currency).rawJSON, currency), minor);
    }),
  );
});

test('hundredths are of the major unit, whatever the minor unit of the currency is', () => {
  assert.equal(minorOfHundredths('1050', 'BRL'), 1050n);
  assert.equal(minorOfHundredths('0001', 'BRL'), 1n);
  assert.equal(minorOfHundredths('300', 'JPY'), 3n);
  assert.equal(minorOfHundredths('150', 'KWD'), 1500n);
  assert.equal(minorOfHundredths(MAX_MINOR.toString(), 'BRL'), MAX_MINOR);
  for (const [text, currency] of [
    ['0', 'BRL'],
    ['000', 'BRL'],
    ['-1', 'BRL'],
    ['1.5', 'BRL'],
    ['1e2', 'BRL'],
    ['', 'BRL'],
    ['150', 'JPY'],
    [(MAX_MINOR + 1n).toString(), 'BRL'],
    [MAX_MINOR.toString(), 'KWD'],
    ['9'.repeat(300), 'BRL'],
  ] as const) {
    assert.throws(() => minorOfHundredths(text, currency), isMalformed, `${text} ${currency}`);
  }
});
