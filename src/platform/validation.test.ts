import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Type } from 'typebox';
import { refusedBySchema, validatorCompiler } from './validation.ts';

/** What a value is refused for, as `pointer detail`. */
async function refusedFor(
  schema: ReturnType<typeof Type.Object>,
  value: unknown,
  httpPart = 'body',
): Promise<string[]> {
  const validate = validatorCompiler()({ schema, httpPart, method: 'POST', url: '/' });
  if (validate(value) === true) return [];
  const { extra } = refusedBySchema(validate.errors ?? [], httpPart, value);
  return (extra.errors ?? []).map(({ pointer, detail }) => `${pointer} ${detail}`);
}

const money = Type.Object(
  { amount: Type.String(), currency: Type.String() },
  { additionalProperties: false },
);

test('of a union only what fits the value is told', async () => {
  const schema = Type.Object({
    limits: Type.Array(Type.Union([money, Type.Null()])),
    kind: Type.Optional(Type.Union([Type.Literal('a'), Type.Literal('b')])),
  });
  assert.deepEqual(
    await refusedFor(schema, { limits: [null, { amount: '1', currency: 'BRL' }], kind: 'a' }),
    [],
  );
  assert.deepEqual(await refusedFor(schema, { limits: [null, 5, { amount: 1, x: 1 }], kind: 'c' }), [
    '/limits/1 must be an object with amount and currency, or null',
    '/limits/2/currency is required',
    '/limits/2/x is not known here; known are: amount, currency',
    '/limits/2/amount must be a string',
    '/kind must be one of "a", "b"',
  ]);
});

test('each place is told once, and no more than twenty are', async () => {
  const schema = Type.Object({ key: Type.String({ minLength: 3, pattern: '^[a-z]+$' }) });
  assert.deepEqual(await refusedFor(schema, { key: '1' }), ['/key must have at least 3 characters']);
  const list = Type.Object({ items: Type.Array(Type.Integer()) });
  assert.equal((await refusedFor(list, { items: Array(1_000).fill('x') })).length, 20);
  // Of what is too large to look through, the first.
  assert.equal((await refusedFor(list, { items: Array(30_000).fill('x') })).length, 1);
});

test('numbers of a URL are read from text, and none of them is infinite', async () => {
  const schema = Type.Object({ limit: Type.Integer({ minimum: 1, maximum: 100 }) });
  assert.deepEqual(await refusedFor(schema, { limit: '25' }, 'querystring'), []);
  for (const limit of ['Infinity', '1e999', '101']) {
    assert.deepEqual(await refusedFor(schema, { limit }, 'querystring'), ['?limit must be at most 100']);
  }
  for (const limit of ['NaN', '', 'x', '1.5', ['1', '2']]) {
    assert.deepEqual(await refusedFor(schema, { limit }, 'querystring'), ['?limit must be a whole number']);
  }
  assert.deepEqual(await refusedFor(schema, { limit: '25' }), ['/limit must be a whole number']);
});

test('names with slashes and tildes are pointed to as RFC 6901 says', async () => {
  const schema = Type.Object({}, { additionalProperties: false });
  assert.deepEqual(await refusedFor(schema, { 'a/b~c': 1 }), ['/a~1b~0c is not known here; known are: ']);
});
