/**
 * Forms from JSON Schema, and the requests they stand for as curl lines. page.js reads the fields by their `data-kind`
 * and sends JSON. The libraries that make forms from schemas need a framework or inline styles, which our policy forbids.
 */
import { MASK } from '../access/redaction.ts';
import { newUuid } from '../ids.ts';
import type { Endpoint, Endpoints, Operation } from './endpoints.ts';
import { type Content, type Html, html, prose } from './html.ts';
import { isObject } from './json.ts';
import { exampleOf, idPrefixOf, kindOf, openFields, type Schema, valuesOf } from './schema.ts';

export interface FormContext {
  endpoints: Endpoints;
  publicUrl: string;
  /** ETag of the resource that the page shows, for `If-Match`. */
  etag: string | undefined;
  /** Currency that the resource is in, to begin with. */
  currency: string | undefined;
  /** The resource that the page shows: what an edit of it begins with. */
  shown: { path: string; body: Record<string, unknown> } | undefined;
  /** A number that no other field of the page has. */
  next: () => number;
}

interface Field {
  name: string | undefined;
  schema: Schema;
  required: boolean;
  /** Whether it and all it is in must be there: then the browser may insist on a value. */
  insist: boolean;
  /** What it begins with; undefined for nothing. */
  value: unknown;
  depth: number;
}

const MAX_DEPTH = 8;
const commonCurrencies = ['BRL', 'USD', 'EUR', 'GBP', 'JPY', 'CHF', 'CNY', 'ARS', 'CLP', 'COP', 'MXN', 'KWD'];

/** Options that inputs of the whole page refer to. */
export function dataLists(): Html {
  return html`<datalist id="currencies">${commonCurrencies.map((code) => html`<option value="${code}"></option>`)}</datalist>`;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function example(schema: Schema, context: FormContext): unknown {
  return exampleOf(schema, { id: () => '', currency: context.currency });
}

/** What a request begins with: an edit with what the page shows, anything else with an example. */
function beginning({ endpoint, path }: Operation, schema: Schema, context: FormContext): unknown {
  const { shown } = context;
  if (!['PATCH', 'PUT'].includes(endpoint.method) || shown?.path !== path) return example(schema, context);
  return Object.fromEntries(
    Object.keys(schema.properties ?? {})
      // What is masked would be written over by its mask.
      .filter((name) => name in shown.body && !JSON.stringify(shown.body[name]).includes(MASK))
      .map((name) => [name, shown.body[name]]),
  );
}

function label(id: string, { name, required }: Field): Html {
  return html`<label for="${id}">${name ?? 'value'}${required ? html` <span class="required">required</span>` : ''}</label>`;
}

function legend({ name, required }: Field): Content {
  if (name === undefined) return '';
  return html`<legend>${name}${required ? html` <span class="required">required</span>` : ''}</legend>`;
}

function hint(id: string, { description }: Schema): Content {
  return description === undefined ? '' : html`<small id="${id}-hint">${prose(description)}</small>`;
}

function mark({ name }: Field, kind: string): Html {
  return name === undefined ? html`data-kind="${kind}"` : html`data-kind="${kind}" data-name="${name}"`;
}

function placeholderOf(schema: Schema): string {
  const prefix = idPrefixOf(schema);
  if (prefix !== undefined) return `${prefix}_…`;
  const [example] = schema.examples ?? [];
  if (example !== undefined) return text(example);
  return schema.default === undefined ? '' : text(schema.default);
}

/** For an id: what is known of its kind, which page.js asks for when the field is first used. */
function suggestionsFor(schema: Schema, id: string, { endpoints }: FormContext) {
  const prefix = idPrefixOf(schema);
  const list = prefix === undefined ? undefined : endpoints.listOf(prefix);
  if (list === undefined) return { attributes: '', list: '' };
  return {
    attributes: html` list="${id}-list" data-list="${list}" class="mono"`,
    list: html`<datalist id="${id}-list"></datalist>`,
  };
}

function input(field: Field, context: FormContext): Html {
  const { schema, insist } = field;
  const id = `f${context.next()}`;
  const kind = kindOf(schema);
  const prefix = idPrefixOf(schema);
  const suggestions = suggestionsFor(schema, id, context);
  const isCurrency = schema.pattern === '^[A-Z]{3}$';
  const value = field.value === undefined ? '' : text(field.value);
  const long = (schema.maxLength ?? 0) > 255 && prefix === undefined && schema.format === undefined;
  const attributes = html`id="${id}"${insist ? html` required` : ''} placeholder="${placeholderOf(schema)}"${
    schema.maxLength === undefined ? '' : html` maxlength="${schema.maxLength}"`
  }${schema.description === undefined ? '' : html` aria-describedby="${id}-hint"`}`;
  const control = long
    ? html`<textarea ${attributes} rows="2">${value}</textarea>`
    : html`<input ${attributes} value="${value}"${
        kind === 'integer' ? html` inputmode="numeric"` : kind === 'number' ? html` inputmode="decimal"` : ''
      }${isCurrency ? html` list="currencies" size="5"` : ''}${suggestions.attributes}>${suggestions.list}`;
  return html`<div class="field" ${mark(field, kind)}>${label(id, field)}${control}${hint(id, schema)}</div>`;
}

function select(field: Field, values: readonly unknown[], context: FormContext): Html {
  const id = `f${context.next()}`;
  const { schema, required } = field;
  const chosen = JSON.stringify(field.value);
  const fallback = schema.default === undefined ? '' : ` (${text(schema.default)})`;
  return html`<div class="field" ${mark(field, 'enum')}>${label(id, field)}<select id="${id}">${
    required ? '' : html`<option value="">not sent${fallback}</option>`
  }${values.map((value) => html`<option value="${JSON.stringify(value)}"${JSON.stringify(value) === chosen ? html` selected` : ''}>${text(value)}</option>`)}</select>${hint(id, schema)}</div>`;
}

function moneyField(field: Field, context: FormContext): Html {
  const { schema, required, insist, value } = field;
  const id = `f${context.next()}`;
  const given = isObject(value) ? value : { currency: required ? undefined : context.currency };
  const part = (name: 'amount' | 'currency', attributes: Html) => {
    const example = schema.properties?.[name]?.examples?.[0];
    return html`<div><label for="${id}-${name}">${name}</label><input id="${id}-${name}" data-part="${name}" ${attributes} placeholder="${text(example ?? '')}" value="${text(given[name] ?? '')}"${insist ? html` required` : ''}></div>`;
  };
  return html`<fieldset class="money" ${mark(field, 'money')}${required ? html` data-required` : ''}>${legend(field)}<div class="pair">${part(
    'amount',
    html`inputmode="decimal" size="14"`,
  )}${part('currency', html`list="currencies" size="5" maxlength="3"`)}</div>${hint(id, schema)}</fieldset>`;
}

function objectFields(field: Field, context: FormContext): Content {
  const { schema, insist, value, depth } = field;
  const open = openFields(schema);
  const required = schema.required ?? [];
  const render = (name: string) => {
    const property = schema.properties?.[name];
    if (property === undefined) return '';
    const must = required.includes(name);
    return fieldOf(
      {
        name,
        schema: property,
        required: must,
        insist: insist && must,
        value: isObject(value) ? value[name] : undefined,
        depth: depth + 1,
      },
      context,
    );
  };
  const names = Object.keys(schema.properties ?? {});
  const rest = names.filter((name) => !open.includes(name));
  return [
    open.map(render),
    rest.length === 0
      ? ''
      : html`<details class="optional"><summary>Optional: ${rest.join(', ')}</summary>${rest.map(render)}</details>`,
  ];
}

function row(content: Content): Html {
  return html`<div class="row">${content}<button type="button" class="quiet" data-remove>Remove</button></div>`;
}

function rows(
  field: Field,
  kind: 'array' | 'record',
  { initial, another }: { initial: Content[]; another: Content },
): Html {
  return html`<fieldset ${mark(field, kind)}${field.required ? html` data-required` : ''}>${legend(field)}${
    field.schema.description === undefined ? '' : html`<small>${prose(field.schema.description)}</small>`
  }<div class="rows">${initial.map(row)}</div><template>${row(another)}</template><button type="button" class="quiet" data-add>Add ${kind === 'array' ? 'an item' : 'an entry'}</button></fieldset>`;
}

function recordRow(context: FormContext, [name, value]: [string, string] = ['', '']): Html {
  const id = `f${context.next()}`;
  return html`<div class="pair"><div><label for="${id}k">name</label><input id="${id}k" data-part="name" value="${name}"></div>
<div><label for="${id}v">value</label><input id="${id}v" data-part="value" value="${value}"></div></div>`;
}

const variantNames: Partial<Record<string, string>> = {
  money: 'an amount of money',
  null: 'null',
  record: 'an object',
};

function choice(field: Field, context: FormContext): Html {
  const id = `f${context.next()}`;
  const { schema, required, value, depth } = field;
  const variants = schema.anyOf ?? [];
  const isNull = ({ type }: Schema) => type === 'null';
  const fitting = variants.findIndex((variant) => isNull(variant) === (value === null));
  const chosen = value === undefined ? (required ? 0 : undefined) : fitting;
  return html`<fieldset ${mark(field, 'choice')}>${legend(field)}<div class="field"><label for="${id}">which</label><select id="${id}" data-part="which">${
    required ? '' : html`<option value="">not sent</option>`
  }${variants.map(
    (variant, index) =>
      html`<option value="${index}"${index === chosen ? html` selected` : ''}>${variantNames[kindOf(variant)] ?? variant.title ?? kindOf(variant)}</option>`,
  )}</select></div>${variants.map((variant, index) => {
    const begin = index === chosen && value !== undefined ? value : example(variant, context);
    const inner = {
      name: undefined,
      schema: variant,
      required: true,
      insist: false,
      value: begin,
      depth: depth + 1,
    };
    return html`<div data-variant="${index}"${index === chosen ? '' : html` hidden`}>${fieldOf(inner, context)}</div>`;
  })}${hint(id, schema)}</fieldset>`;
}

function jsonField(field: Field, context: FormContext): Html {
  const id = `f${context.next()}`;
  return html`<div class="field" ${mark(field, 'json')}>${label(id, field)}<textarea id="${id}" class="mono" rows="3" placeholder="JSON">${field.value === undefined ? '' : JSON.stringify(field.value, undefined, 2)}</textarea>${hint(id, field.schema)}</div>`;
}

/** The field of a form that a schema describes. */
function fieldOf(field: Field, context: FormContext): Content {
  const { schema, required, value, depth } = field;
  const kind = depth > MAX_DEPTH ? 'json' : kindOf(schema);
  switch (kind) {
    case 'string':
    case 'integer':
    case 'number':
      return input(field, context);
    case 'boolean':
      return select(field, [true, false], context);
    case 'enum':
      return select(field, valuesOf(schema) ?? [], context);
    case 'null':
      return html`<div ${mark(field, 'null')}></div>`;
    case 'money':
      return moneyField(field, context);
    case 'object':
      return html`<fieldset ${mark(field, 'object')}${required ? html` data-required` : ''}>${legend(field)}${objectFields(field, context)}</fieldset>`;
    case 'record':
      return rows(field, 'record', {
        initial: Object.entries(isObject(value) ? value : {}).map(([name, label]) =>
          recordRow(context, [name, text(label)]),
        ),
        another: recordRow(context),
      });
    case 'array': {
      const itemSchema = schema.items ?? {};
      const item = (begin: unknown) =>
        fieldOf(
          {
            name: undefined,
            schema: itemSchema,
            required: true,
            insist: true,
            value: begin,
            depth: depth + 1,
          },
          context,
        );
      return rows(field, 'array', {
        initial: (Array.isArray(value) ? value : []).map(item),
        another: item(example(itemSchema, context)),
      });
    }
    case 'choice':
      return choice(field, context);
    default:
      return jsonField(field, context);
  }
}

/** A word of a shell command, quoted so that it stays one. */
export function shellWord(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

/** The request as a line for a shell. The key stays in the environment of whoever pastes it. */
export function curlOf(method: string, url: string, headers: Record<string, string>, body?: string): string {
  const parts = [
    `curl -s${method === 'GET' ? '' : ` -X ${method}`} ${shellWord(url)}`,
    `-H "Authorization: Bearer $FINANCIALAPI_KEY"`,
    ...Object.entries(headers).map(([name, value]) => `-H ${shellWord(`${name}: ${value}`)}`),
    ...(body === undefined ? [] : [`-H 'Content-Type: application/json'`, `-d ${shellWord(body)}`]),
  ];
  return parts.join(' \\\n  ');
}

export function curlBlock(command: string): Html {
  return html`<div class="curl"><pre tabindex="0" aria-label="Command">${command}</pre><button type="button" class="quiet" data-copy>Copy</button></div>`;
}

/** What a header of a request begins with. */
function headerValue(name: string, context: FormContext): string {
  if (name === 'idempotency-key') return newUuid();
  return name === 'if-match' ? (context.etag ?? '') : '';
}

const headerNames: Partial<Record<string, string>> = {
  'idempotency-key': 'Idempotency-Key',
  'if-match': 'If-Match',
};

function queryFields({ query }: Endpoint, search: URLSearchParams, context: FormContext): Html[] {
  const required = query?.required ?? [];
  return Object.entries(query?.properties ?? {})
    .filter(([name]) => name !== 'cursor')
    .map(([name, schema]) => {
      const id = `f${context.next()}`;
      const given = search.get(name) ?? '';
      const values = kindOf(schema) === 'boolean' ? [true, false] : valuesOf(schema);
      const title = html`<label for="${id}">${name}${required.includes(name) ? html` <span class="required">required</span>` : ''}</label>`;
      if (name === 'dry_run') {
        return html`<div class="check"><input type="checkbox" id="${id}" name="${name}" value="true"> <label for="${id}">${name}</label>${hint(id, schema)}</div>`;
      }
      const suggestions = suggestionsFor(schema, id, context);
      const control =
        values === undefined
          ? html`<input id="${id}" name="${name}" value="${given}" placeholder="${placeholderOf(schema)}"${required.includes(name) ? html` required` : ''}${suggestions.attributes}>${suggestions.list}`
          : html`<select id="${id}" name="${name}"><option value=""></option>${values.map((value) => html`<option value="${text(value)}"${text(value) === given ? html` selected` : ''}>${text(value)}</option>`)}</select>`;
      return html`<div class="field">${title}${control}${hint(id, schema)}</div>`;
    });
}

/** Options of a GET as a form that leads to it. */
export function optionsForm(
  { endpoint, path }: Operation,
  search: URLSearchParams,
  context: FormContext,
): Html {
  return html`<form class="options" method="get" action="${path}" autocomplete="off"><div class="grid">${queryFields(endpoint, search, context)}</div><button>GET</button> ${
    [...search].length === 0 ? '' : html`<a href="${path}">without options</a>`
  }</form>`;
}

/** A form that sends a request which may change something; page.js shows its answer below. */
export function operationForm({ endpoint, path }: Operation, context: FormContext): Html {
  const { method, body, headers } = endpoint;
  const sent: Record<string, string> = {};
  const headerFields = Object.entries(headers?.properties ?? {}).map(([lower, schema]) => {
    const id = `f${context.next()}`;
    const name = headerNames[lower] ?? lower;
    const value = headerValue(lower, context);
    if (value !== '') sent[name] = value;
    return html`<div class="field"><label for="${id}">${name}</label><input id="${id}" class="mono" data-header="${name}" value="${value}">${hint(id, schema)}</div>`;
  });
  const value = body === undefined ? undefined : beginning({ endpoint, path }, body, context);
  const raw = body === undefined ? undefined : JSON.stringify(value, undefined, 2);
  const id = `f${context.next()}`;
  const query = queryFields(endpoint, new URLSearchParams(), context);
  const root: Field = {
    name: undefined,
    schema: body ?? {},
    required: true,
    insist: true,
    value,
    depth: 0,
  };
  return html`<form class="operation" data-method="${method}" data-path="${path}" data-url="${context.publicUrl}" autocomplete="off">
${headerFields}${query.length === 0 ? '' : html`<div class="query">${query}</div>`}${
  body === undefined
    ? ''
    : html`<div class="tabs" role="tablist"><button type="button" role="tab" id="${id}-t1" aria-controls="${id}-form" aria-selected="true">Form</button><button type="button" role="tab" id="${id}-t2" aria-controls="${id}-raw" aria-selected="false" tabindex="-1">Raw JSON</button></div>
<div role="tabpanel" id="${id}-form" aria-labelledby="${id}-t1" class="panel" data-body="form">${
        kindOf(body) === 'object'
          ? html`<div data-kind="object" data-required>${objectFields(root, context)}</div>`
          : fieldOf(root, context)
      }</div>
<div role="tabpanel" id="${id}-raw" aria-labelledby="${id}-t2" class="panel" data-body="raw" hidden><label for="${id}-json">Body, as JSON</label><textarea id="${id}-json" class="mono" rows="12" spellcheck="false">${raw ?? ''}</textarea></div>`
}
<div class="send"><button data-send>${method}</button></div>
<details class="ascurl"><summary>as curl</summary>${curlBlock(curlOf(method, context.publicUrl + path, sent, raw))}</details>
<output aria-live="polite"></output>
</form>`;
}
