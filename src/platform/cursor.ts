/** Lists: newest first, a page at a time, without total counts. A cursor carries the filters it was made under. */
import { type TSchema, Type } from 'typebox';
import { refuse } from './problem.ts';

const PAGE_DEFAULT = 25;
const PAGE_MAX = 100;

/** Query parameters that every list takes, beside its filters. */
export const pageQuery = {
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: PAGE_MAX, default: PAGE_DEFAULT, description: 'Items on a page' }),
  ),
  cursor: Type.Optional(
    Type.String({ minLength: 1, maxLength: 2_000, description: '`next_cursor` of the page before' }),
  ),
};

/** Schema of a page. */
export function Page<Item extends TSchema>(item: Item) {
  return Type.Object({
    data: Type.Array(item),
    next_cursor: Type.Union([Type.String(), Type.Null()], { description: 'Null on the last page' }),
  });
}

/** Schema of what a cursor holds: the filters, and the sort key of the last item of the page before. */
export interface CursorContent<Filters, Place> {
  filters: Filters;
  after: Place;
}

/** The JSON within a cursor, whoever made it; undefined where there is none. */
function contentOf(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}

/** The filters that a cursor says it was made under. */
export function filtersOf(cursor: string): Record<string, unknown> {
  const content = contentOf(cursor);
  if (typeof content !== 'object' || content === null || !('filters' in content)) return {};
  return { ...Object(content.filters) };
}

export interface PageRequest<Filters, Place> {
  filters: Filters;
  limit: number;
  after: Place | undefined;
}

/**
 * Filters and place of a page. With a cursor its filters hold, and others given beside it must be the same.
 *
 * @param isContent whether decoded JSON is what this list puts into its cursors
 */
export function readPage<Filters extends object, Place>(
  isContent: (content: unknown) => content is CursorContent<Filters, Place>,
  filters: Filters,
  query: { limit?: number; cursor?: string },
): PageRequest<Filters, Place> {
  const limit = query.limit ?? PAGE_DEFAULT;
  if (query.cursor === undefined) return { filters, limit, after: undefined };
  const content = contentOf(query.cursor);
  if (!isContent(content)) throw refuse('malformed_cursor', 'The cursor is not one that this list gave out.');
  const kept = new Map<string, unknown>(Object.entries(content.filters));
  for (const [name, value] of Object.entries(filters)) {
    if (value !== undefined && kept.get(name) !== value) {
      throw refuse(
        'malformed_cursor',
        `The cursor belongs to a list with another filter: ${name} was ${JSON.stringify(kept.get(name) ?? null)}.`,
      );
    }
  }
  return { filters: content.filters, limit, after: content.after };
}

/** The cursor of what comes after a place, in a list with these filters. */
export function cursorOf(filters: object, after: unknown): string {
  return Buffer.from(JSON.stringify({ filters, after })).toString('base64url');
}

/** The page of `rows`, of which the caller fetched one more than the limit to see whether there is another page. */
export function pageOf<Row, Item>(
  rows: readonly Row[],
  page: { filters: object; limit: number },
  itemOf: (row: Row) => Item,
  placeOf: (row: Row) => unknown,
): { data: Item[]; next_cursor: string | null } {
  const shown = rows.slice(0, page.limit);
  const last = shown.at(-1);
  return {
    data: shown.map(itemOf),
    next_cursor:
      rows.length > page.limit && last !== undefined ? cursorOf(page.filters, placeOf(last)) : null,
  };
}
