import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatMoney, MAX_MINOR, parseMoney } from './money.ts';

test('what is formatted parses back to the same minor units, in every exponent', () => {
  fc.assert(
    fc.property(fc.bigInt(-MAX_MINOR, MAX_MINOR), fc.constantFrom('JPY', 'BRL', 'KWD'), (minor, currency) => {
      assert.equal(parseMoney(formatMoney(minor, currency)), minor);
    }),
  );
});

test('fewer digits than the currency has are the same money', () => {
  assert.equal(parseMoney({ amount: '1', currency: 'BRL' }), 100n);
  assert.equal(parseMoney({ amount: '1.5', currency: 'KWD' }), 1500n);
  assert.equal(parseMoney({ amount: '-0.5', currency: 'BRL' }), -50n);
  assert.equal(parseMoney({ amount: '7', currency: 'JPY' }), 7n);
});

test('more digits than the currency has are refused, even zeros', () => {
  for (const [amount, currency] of [
    ['1.001', 'JPY'],
    ['1.0', 'JPY'],
    ['1.001', 'BRL'],
    ['1.0000', 'KWD'],
  ] as const) {
    const refusal = parseMoney({ amount, currency });
    assert.ok(typeof refusal === 'object');
    assert.equal(refusal.problem, 'too_many_decimals');
  }
});

test('an unknown currency and an amount over the largest are refused', () => {
  const unknown = parseMoney({ amount: '1', currency: 'ZZZ' });
  assert.ok(typeof unknown === 'object' && unknown.problem === 'unknown_currency');
  const large = parseMoney({ amount: '10000000000000000.00', currency: 'BRL' });
  assert.ok(typeof large === 'object' && large.problem === 'amount_too_large');
  assert.equal(parseMoney({ amount: '9999999999999999.99', currency: 'BRL' }), MAX_MINOR);
});
