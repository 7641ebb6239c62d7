import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Type } from 'typebox';
import { Check } from 'typebox/value';
import { type CursorContent, pageOf, readPage } from './cursor.ts';
import { Problem } from './problem.ts';

interface Filters {
  kind?: string | undefined;
}
const Content = Type.Object(
  {
    filters: Type.Object({ kind: Type.Optional(Type.String()) }, { additionalProperties: false }),
    after: Type.Integer(),
  },
  { additionalProperties: false },
);
const isContent = (content: unknown): content is CursorContent<Filters, number> => Check(Content, content);

/** All numbers, largest first, page by page as a client reads them. */
function readThrough(numbers: readonly number[], limit: number, filters: Filters): number[][] {
  const pages: number[][] = [];
  let cursor: string | undefined;
  do {
    const page = readPage(isContent, cursor === undefined ? filters : {}, {
      limit,
      ...(cursor === undefined ? {} : { cursor }),
    });
    assert.deepEqual(page.filters, filters);
    const { after } = page;
    const rows = numbers
      .filter((number) => after === undefined || number < after)
      .toSorted((one, other) => other - one)
      .slice(0, limit + 1);
    const { data, next_cursor } = pageOf(
      rows,
      page,
      (row) => row,
      (row) => row,
    );
    pages.push(data);
    cursor = next_cursor ?? undefined;
  } while (cursor !== undefined);
  return pages;
}

test('following cursors shows every item once, newest first, under the filters of the first page', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: 0, max: 1_000 })),
      fc.integer({ min: 1, max: 100 }),
      fc.string(),
      (numbers, limit, kind) => {
        const pages = readThrough(numbers, limit, { kind });
        assert.deepEqual(
          pages.flat(),
          numbers.toSorted((one, other) => other - one),
        );
        assert.equal(pages.length, Math.max(1, Math.ceil(numbers.length / limit)));
      },
    ),
  );
});

test('whatever is no cursor of the list is refused, never read', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.base64String(),
        fc.jsonValue().map((json) => Buffer.from(JSON.stringify(json)).toString('base64url')),
      ),
      (cursor) => {
        assert.throws(
          () => readPage(isContent, {}, { cursor }),
          (error) => error instanceof Problem && error.code === 'malformed_cursor',
        );
      },
    ),
  );
});

test('a cursor holds to its filters: the same may be given beside it, others not', () => {
  const page = readPage(isContent, { kind: 'a' }, { limit: 1 });
  const { next_cursor } = pageOf(
    [2, 1],
    page,
    (row) => row,
    (row) => row,
  );
  assert.ok(next_cursor !== null);
  assert.deepEqual(readPage(isContent, { kind: 'a' }, { cursor: next_cursor }).filters, { kind: 'a' });
  assert.throws(() => readPage(isContent, { kind: 'b' }, { cursor: next_cursor }), /kind was "a"/);
});
