import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalRequest, differences, keyReused } from './idempotency.ts';

const json = fc.jsonValue({ maxDepth: 4 });

test('order of members and spaces make no other request', () => {
  const reversed = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(reversed);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .toReversed()
        .map(([name, member]) => [name, reversed(member)]),
    );
  };
  fc.assert(
    fc.property(json, (value) => {
      const kept = canonicalRequest(value);
      assert.equal(canonicalRequest(reversed(value)), kept);
      assert.equal(canonicalRequest(JSON.parse(JSON.stringify(value, undefined, 2))), kept);
    }),
  );
  assert.equal(canonicalRequest(undefined), 'null');
});

test('differences are none between equals and some between others', () => {
  fc.assert(
    fc.property(json, json, (one, other) => {
      assert.deepEqual(differences(one, JSON.parse(JSON.stringify(one))), []);
      assert.equal(differences(one, other).length === 0, canonicalRequest(one) === canonicalRequest(other));
    }),
  );
});

test('differences are named by JSON Pointers', () => {
  assert.deepEqual(
    differences({ a: { 'b/c~': 1 }, d: [1, 2], e: 1 }, { a: { 'b/c~': 2 }, d: [1, 3, 4], f: 1 }),
    ['/a/b~1c~0', '/d/1', '/d/2', '/e', '/f'],
  );
  assert.deepEqual(differences([], {}), ['/']);
  assert.deepEqual(differences(null, {}), ['/']);
});

test('a reused key always says what differs, first of all the operation', () => {
  const request = '{"a":1}';
  const now = { operation: 'POST /b', request };
  assert.deepEqual(keyReused('k', { operation: 'POST /a', request }, now).extra['differs'], [
    'operation: POST /a',
  ]);
  assert.deepEqual(keyReused('k', { operation: 'POST /b', request: '{"a":2}' }, now).extra['differs'], [
    '/a',
  ]);
  assert.deepEqual(keyReused('k', { operation: null, request }, now).extra['differs'], [
    'operation or number of transfers',
  ]);
});
