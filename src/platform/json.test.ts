import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseJson } from './json.ts';
import { Problem } from './problem.ts';

function refusal(text: string | Buffer): string {
  try {
    parseJson(Buffer.from(text));
  } catch (error) {
    assert.ok(error instanceof Problem && error.code === 'malformed_request', String(error));
    return error.message;
  }
  throw new assert.AssertionError({ message: `${String(text)} was accepted` });
}

/** Names and texts with all that a scanner could stumble over. */
const text = fc.oneof(
  fc.string({ unit: 'binary' }).filter((value) => value.isWellFormed()),
  fc.stringMatching(/^[":\\{},[\] a]*$/),
);
const name = text.filter((value) => value !== '__proto__');
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    text,
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(name, tie('value'), { maxKeys: 4, noNullPrototype: true }),
  ),
}));

test('what has every name once is read as JSON.parse reads it', () => {
  fc.assert(
    fc.property(value, fc.constantFrom(undefined, 1, '\t'), (expected, space) => {
      const written = JSON.stringify(expected, undefined, space);
      assert.deepEqual(parseJson(Buffer.from(written)), JSON.parse(written));
    }),
    { numRuns: 500 },
  );
});

test('a name that stands twice in one object is found, wherever and however it is written', () => {
  const escaped = (plain: string) =>
    `"${Array.from({ length: plain.length }, (_, index) => `\\u${plain.charCodeAt(index).toString(16).padStart(4, '0')}`).join('')}"`;
  fc.assert(
    fc.property(
      name,
      value,
      value,
      value,
      fc.boolean(),
      fc.boolean(),
      (twice, one, two, other, escape, spaced) => {
        const first = JSON.stringify(twice);
        const second = escape ? escaped(twice) : first;
        const colon = spaced ? ' \n:\t' : ':';
        const inner = `{${first}${colon}${JSON.stringify(one)},${second}${colon}${JSON.stringify(two)}}`;
        const written = `{"a":[${JSON.stringify(other)},${inner}]}`;
        assert.match(refusal(written), /stands twice in one object/);
      },
    ),
    { numRuns: 500 },
  );
});

test('the same name in objects beside and within each other is none', () => {
  const written = '{"a":{"a":[{"a":1},{"a":":"}]},"b":{"a":"\\"a\\":1"}}';
  assert.deepEqual(parseJson(Buffer.from(written)), JSON.parse(written));
});

test('what is no JSON, no UTF-8, too deep or named __proto__ is refused with the reason', () => {
  assert.match(refusal(''), /empty/);
  assert.match(refusal('{"a":1,}'), /not JSON: .*position 7/);
  assert.match(refusal(Buffer.from([0x22, 0xff, 0x22])), /UTF-8/);
  assert.match(refusal('{"a":{"\\u005f_proto__":1}}'), /__proto__/);
  assert.match(refusal(`${'['.repeat(33)}${']'.repeat(33)}`), /deeper than 32 levels/);
  const deep = `${'['.repeat(32)}${']'.repeat(32)}`;
  assert.deepEqual(parseJson(Buffer.from(deep)), JSON.parse(deep));
});

test('a byte order mark is passed over (RFC 8259, section 8.1)', () => {
  assert.deepEqual(parseJson(Buffer.from('\ufeff{"a":1}')), { a: 1 });
});
