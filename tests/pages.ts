/**
 * Which pages a screen has by its table of routes, and what each of them owes whoever uses it: a walk of all pages fails
 * where a route is left out, a list lacks the controls of lists or a thing its history and its call.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { Page } from 'playwright-core';
import { matchRoutes } from 'react-router';
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { goToPage, lookAt, openPage } from './console.ts';

type Entry = 'console' | 'portal';

/** Patterns of every page, as `routes.tsx` writes them. */
function patternsOf(entry: Entry): string[] {
  const text = readFileSync(new URL(`../web/${entry}/routes.tsx`, import.meta.url), 'utf8');
  const patterns = [...text.matchAll(/\bpage\(\s*'([^']*)'/g)].map(([, path = '']) => `/${path}`);
  // A page that is written in another way is not overlooked.
  assert.equal(patterns.length, text.split(/\bimport\(/).length - 1, `web/${entry}/routes.tsx`);
  return patterns;
}

/** Pages that are not as others are, each with why. */
export interface Exceptions {
  /** Pages with a table that is no list of the API. */
  tables: Readonly<Record<string, string>>;
  /** Pages of a thing about which there is no history. */
  history: Readonly<Record<string, string>>;
  /** Pages of a thing that no single call tells. */
  call: Readonly<Record<string, string>>;
  /** Lists whose rows lead to no page and have no history, by their address. */
  rows: Readonly<Record<string, string>>;
  /** Lists that are asked for by nothing, by their address. */
  filters: Readonly<Record<string, string>>;
}

export interface Walk {
  look(page: Page, path: string, name: string): Promise<void>;
  /** Fails where something was wrong with a page that was looked at. */
  assertNothingWrong(): void;
  /** Fails where a page was not looked at. */
  assertNoneLeftOut(): void;
}

/** Each page is gone to as by a link, which is faster than loading the screens anew. */
export function walkPages(entry: Entry, exceptions: Exceptions): Walk {
  const patterns = patternsOf(entry);
  const routes = patterns.map((path) => ({ path }));
  const left = new Set(patterns);
  const wrong: string[] = [];
  let at: { page: Page; pattern: string } | undefined;
  const { tables, history, call } = exceptions;
  for (const path of [tables, history, call].flatMap((some) => Object.keys(some))) {
    assert.ok(left.has(path), `${path} is excepted, and there is no such page`);
  }
  return {
    async look(page, path, name) {
      const { pathname } = new URL(path, 'http://localhost');
      const [match] = matchRoutes(routes, pathname.slice(`/${entry}`.length) || '/') ?? [];
      assert.ok(match !== undefined, `${path} is no page`);
      const pattern = match.route.path;
      left.delete(pattern);
      try {
        // Another tab of the same page is the same page to a link.
        const isLink = at?.page === page && at.pattern !== pattern;
        at = { page, pattern };
        await lookAt(page, path, name, isLink ? goToPage : openPage);
        await assertKept(page, pattern, exceptions);
      } catch (error) {
        // What else is wrong is told, too.
        if (!(error instanceof assert.AssertionError)) throw error;
        wrong.push(error.message);
      }
    },
    assertNothingWrong() {
      assert.deepEqual(wrong.splice(0), []);
    },
    assertNoneLeftOut() {
      assert.deepEqual([...left], [], `pages of the ${entry} that nobody looks at`);
    },
  };
}

const Seen = Type.Object({
  refusals: Type.Array(Type.String()),
  lists: Type.Array(Type.Object({ path: Type.String(), lacks: Type.Array(Type.String()) })),
  other_tables: Type.Integer(),
  ids_to_copy: Type.Array(Type.String()),
  has_history: Type.Boolean(),
  has_call: Type.Boolean(),
});

/** What a page shows, told by a script in it. */
const seeing = `(() => {
  const main = document.querySelector('main');
  const texts = (root, selector) => [...root.querySelectorAll(selector)].map((found) => found.textContent.trim());
  const buttons = texts(main, 'button');
  const lists = [...main.querySelectorAll('[data-list]')].map((list) => {
    const has = texts(list, 'button');
    const lacks = ['API', 'CSV'].filter((name) => !has.includes(name));
    if (list.querySelector('[data-filters="0"]') !== null) lacks.push('filter');
    if (list.querySelector('table') !== null && list.querySelector('th [role="button"], th[role="button"]') === null) lacks.push('order');
    const isBare = list.dataset.leads === 'nowhere' && list.querySelector('tbody tr') !== null;
    if (isBare && list.querySelector('[data-row-history]') === null) lacks.push('history');
    return { path: list.dataset.list, lacks };
  });
  const ids = [];
  const walker = document.createTreeWalker(main, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const isId = /^[a-z]{2,5}_([0-9a-hjkmnp-tv-z]{26}|\\u2026[0-9a-z]{6})$/.test(node.textContent.trim());
    if (isId && node.parentElement.closest('[data-copies], pre, h1') === null) ids.push(node.textContent.trim());
  }
  return {
    refusals: texts(main, '[data-refused]'),
    lists,
    other_tables: [...main.querySelectorAll('table')].filter((table) => table.closest('[data-list]') === null).length,
    ids_to_copy: ids,
    has_history: buttons.includes('History'),
    has_call: buttons.includes('API'),
  };
})()`;

/** That a page shows what it is about, and has what every list or every thing has. */
async function assertKept(page: Page, pattern: string, exceptions: Exceptions): Promise<void> {
  const seen = Value.Parse(Seen, await page.evaluate(seeing));
  assert.deepEqual(seen.refusals, [], `${pattern} shows a refusal`);
  for (const { path, lacks } of seen.lists) {
    const owed = lacks.filter(
      (control) =>
        !(control === 'filter' && path in exceptions.filters) &&
        !(control === 'history' && path in exceptions.rows),
    );
    assert.deepEqual(owed, [], `${pattern}: what the list of ${path} lacks`);
  }
  assert.deepEqual(seen.ids_to_copy, [], `${pattern} has ids that nobody can copy`);
  const isOfThing = /\/:\w+$/.test(pattern);
  if (!isOfThing && !(pattern in exceptions.tables)) {
    assert.equal(seen.other_tables, 0, `${pattern} has a table that lacks the controls of a list`);
  }
  if (isOfThing && !(pattern in exceptions.history)) assert.ok(seen.has_history, `${pattern} has no history`);
  if (isOfThing && !(pattern in exceptions.call))
    assert.ok(seen.has_call, `${pattern} does not show its call`);
}
