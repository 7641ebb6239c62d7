/** JSON for readers: coloured, with links to follow, and lists as tables. */
import type { Endpoints } from './endpoints.ts';
import { type Content, type Html, html } from './html.ts';

type JsonObject = Record<string, unknown>;

export interface Links {
  /** Where a value of JSON leads, if anywhere. `name` is the member it is the value of. */
  of(name: string | undefined, value: unknown): string | undefined;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A member that is to be a text; empty if it is none. */
export function textIn(thing: JsonObject, name: string): string {
  const value = thing[name];
  return typeof value === 'string' ? value : '';
}

export interface LinkContext {
  endpoints: Endpoints;
  publicUrl: string;
  /** Path and query of the page. */
  url: string;
}

/** A URL with one query parameter changed; undefined removes it. */
export function withQuery(url: string, name: string, value: string | undefined): string {
  const [path = '', search] = url.split('?');
  const query = new URLSearchParams(search);
  if (value === undefined) query.delete(name);
  else query.set(name, value);
  const text = query.toString();
  return text === '' ? path : `${path}?${text}`;
}

export function linksOf({ endpoints, publicUrl, url }: LinkContext): Links {
  return {
    of(name, value) {
      if (typeof value !== 'string' || value === '') return undefined;
      if (name === 'next_cursor') return withQuery(url, 'cursor', value);
      if (value.startsWith(`${publicUrl}/`)) return value;
      if (/^\/(api|errors)\/[^\\\s]*$/.test(value)) return value;
      return endpoints.pathOfId(value);
    },
  };
}

function scalar(name: string | undefined, value: unknown, links: Links): Html {
  const text = JSON.stringify(value);
  const href = links.of(name, value);
  if (href !== undefined) return html`<span class="s">"<a href="${href}">${text.slice(1, -1)}</a>"</span>`;
  if (typeof value === 'string') return html`<span class="s">${text}</span>`;
  return html`<span class="${typeof value === 'number' ? 'n' : 'l'}">${text}</span>`;
}

function lines(name: string | undefined, value: unknown, indent: string, links: Links): Html {
  if (typeof value !== 'object' || value === null) return scalar(name, value, links);
  const deeper = `${indent}  `;
  const members = Array.isArray(value)
    ? value.map((item: unknown) => html`${deeper}${lines(name, item, deeper, links)}`)
    : Object.entries(value).map(
        ([key, member]) =>
          html`${deeper}<span class="k">${JSON.stringify(key)}</span>: ${lines(key, member, deeper, links)}`,
      );
  const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}'];
  if (members.length === 0) return html`${open}${close}`;
  const joined = members.flatMap((member, index) => (index === 0 ? [member] : [',\n', member]));
  return html`${open}\n${joined}\n${indent}${close}`;
}

/** Indented, coloured JSON. */
export function jsonBlock(value: unknown, links: Links, isList: boolean): Html {
  return html`<pre class="json${isList ? ' long' : ''}" tabindex="0" aria-label="JSON">${lines(undefined, value, '', links)}</pre>`;
}

interface Money {
  amount: string;
  currency: string;
}

export function isMoney(value: unknown): value is JsonObject & Money {
  return isObject(value) && typeof value['amount'] === 'string' && typeof value['currency'] === 'string';
}

function moneyText({ amount, currency }: Money): Html {
  const [, sign = '', whole = '', rest = ''] = /^(-?)(\d+)(.*)$/.exec(amount) ?? [];
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, '\u202f');
  return html`<span class="amount">${sign === '' ? '' : '\u2212'}${grouped}${rest}</span> <span class="currency">${currency}</span>`;
}

const timeForm = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|\+00:00)$/;

/** A value in a cell: short, but with everything in its title. */
function cell(name: string, value: unknown, links: Links): Content {
  if (value === null || value === undefined) return html`<span class="none">—</span>`;
  if (isMoney(value)) return moneyText(value);
  if (Array.isArray(value)) {
    if (value.length === 0) return html`<span class="none">—</span>`;
    const shown = value.slice(0, MAX_LINES);
    return [
      shown.map(
        (item: unknown) =>
          html`<div class="line">${isObject(item) ? line(item, links) : cell(name, item, links)}</div>`,
      ),
      value.length > MAX_LINES ? html`<div class="line none">and ${value.length - MAX_LINES} more</div>` : '',
    ];
  }
  if (isObject(value)) return line(value, links);
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const href = links.of(name, value);
  if (href !== undefined) {
    return html`<a class="id" href="${href}" title="${text}">${text.length > 20 ? `${text.slice(0, 4)}…${text.slice(-6)}` : text}</a>`;
  }
  if (timeForm.test(text)) {
    return html`<time datetime="${text}" title="${text}">${text.slice(0, 10)} ${text.slice(11, 19)}</time>`;
  }
  if (name === 'status') return html`<span class="badge ${text}">${text}</span>`;
  return text.length > MAX_TEXT ? html`<span title="${text}">${text.slice(0, MAX_TEXT)}…</span>` : text;
}

const MAX_LINES = 4;
const MAX_TEXT = 60;

/** A nested thing in one line: what and how much. */
function line(item: JsonObject, links: Links): Content {
  const parts = ['id', 'side', 'kind', 'status', 'account_id', 'amount']
    .filter((name) => item[name] !== undefined)
    .map((name) => cell(name, item[name], links));
  if (parts.length === 0) return html`<span class="none">{…}</span>`;
  return parts.flatMap((part, index) => (index === 0 ? [part] : [' ', part]));
}

const first = [
  'id',
  'code',
  'chart_code',
  'position',
  'name',
  'kind',
  'type',
  'side',
  'status',
  'description',
];
const money = ['amount', 'balance', 'available', 'remaining', 'debits', 'credits'];
const last = ['entries', 'effective_date', 'created_at'];
const MAX_COLUMNS = 8;

function isEmpty(value: unknown): boolean {
  return value === null || value === undefined || (Array.isArray(value) && value.length === 0);
}

/** Names of the members worth a column: what it is, how much, when. */
function columnsOf(items: readonly JsonObject[]): string[] {
  const filled = new Set<string>();
  for (const item of items) {
    for (const [name, value] of Object.entries(item)) if (!isEmpty(value)) filled.add(name);
  }
  const has = (name: string) => filled.has(name);
  const sample = (name: string) => items.find((item) => !isEmpty(item[name]))?.[name];
  const isPlain = (name: string) => typeof sample(name) !== 'object';
  const heads = first.filter(has);
  const amounts = [...filled].filter((name) => isMoney(sample(name)));
  const known = money.filter((name) => has(name));
  const shownAmounts = (known.length > 0 ? known : amounts).slice(0, 3);
  const tails = last.filter(has);
  const room = MAX_COLUMNS - heads.length - shownAmounts.length - tails.length;
  const others = [...filled].filter(
    (name) =>
      isPlain(name) &&
      ![...heads, ...shownAmounts, ...tails, 'updated_at'].includes(name) &&
      // Each amount says it already.
      !(name === 'currency' && shownAmounts.length > 0),
  );
  return [...heads, ...others.slice(0, Math.max(0, room)), ...shownAmounts, ...tails];
}

function isAmount(value: unknown): boolean {
  return isMoney(value) || typeof value === 'number';
}

/** The items of a list as a table, or nothing if they are no objects. */
export function table(
  items: readonly unknown[],
  links: Links,
  memberPath: (item: JsonObject) => string | undefined,
): Content {
  const rows = items.filter(isObject);
  if (rows.length === 0 || rows.length !== items.length) return '';
  const columns = columnsOf(rows);
  const alignment = (name: string) => (rows.some((row) => isAmount(row[name])) ? 'right' : '');
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Table"><table>
<thead><tr>${columns.map((name) => html`<th scope="col" class="${alignment(name)}">${name.replaceAll('_', ' ')}</th>`)}</tr></thead>
<tbody>${rows.map((row) => {
    const path = memberPath(row);
    return html`<tr>${columns.map((name, index) => {
      const shown = cell(name, row[name], links);
      const linked = index === 0 && path !== undefined && links.of(name, row[name]) === undefined;
      return html`<td class="${alignment(name)}">${linked ? html`<a href="${path}">${shown}</a>` : shown}</td>`;
    })}</tr>`;
  })}</tbody>
</table></div>`;
}

const MAX_FACTS = 6;

/** What matters most of one thing, above its JSON. */
export function facts(thing: JsonObject, links: Links): Content {
  const columns = columnsOf([thing]).filter(
    (name) => !['id', 'name', 'description', 'entries'].includes(name),
  );
  if (columns.length === 0 || !Object.values(thing).some(isMoney)) return '';
  const plain = columns.filter((name) => !isMoney(thing[name])).slice(0, MAX_FACTS - 2);
  const every = Object.keys(thing).filter((name) => isMoney(thing[name]));
  const amounts = every.length <= MAX_FACTS ? every : columns.filter((name) => isMoney(thing[name]));
  return html`<dl class="facts">${[...amounts, ...plain].map(
    (name) =>
      html`<div><dt>${name.replaceAll('_', ' ')}</dt><dd>${cell(name, thing[name], links)}</dd></div>`,
  )}</dl>`;
}
