/** What pages and the reference read from a route's JSON Schema: which kind of field it is, and an example of it. */
import { findExponent } from '../currencies.ts';
import { formatMoney } from '../money.ts';

/** The part of JSON Schema that routes use. */
export interface Schema {
  type?: string | string[];
  const?: unknown;
  enum?: unknown[];
  anyOf?: Schema[];
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  patternProperties?: Record<string, Schema>;
  additionalProperties?: boolean | Schema;
  title?: string;
  description?: string;
  examples?: unknown[];
  default?: unknown;
  format?: string;
  pattern?: string;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
}

/** A route's schema is declared by Fastify as unknown; it is JSON Schema, or Fastify would not have compiled it. */
export function asSchema(schema: unknown): Schema | undefined {
  return typeof schema === 'object' && schema !== null ? schema : undefined;
}

export type Kind =
  | 'string'
  | 'integer'
  | 'number'
  | 'boolean'
  | 'null'
  | 'enum'
  | 'money'
  | 'object'
  | 'record'
  | 'array'
  | 'choice'
  | 'json';

export function kindOf(schema: Schema): Kind {
  if (valuesOf(schema) !== undefined) return 'enum';
  if (schema.anyOf !== undefined) return 'choice';
  switch (schema.type) {
    case 'object': {
      const { amount, currency } = schema.properties ?? {};
      if (amount !== undefined && currency !== undefined && Object.keys(schema.properties ?? {}).length === 2)
        return 'money';
      if (schema.properties !== undefined) return 'object';
      return schema.patternProperties === undefined ? 'json' : 'record';
    }
    case 'array':
      return schema.items === undefined ? 'json' : 'array';
    case 'string':
    case 'integer':
    case 'number':
    case 'boolean':
    case 'null':
      return schema.type;
    default:
      return 'json';
  }
}

/** The values of an enumeration, however it is written; undefined for what is none. */
export function valuesOf(schema: Schema): unknown[] | undefined {
  if (schema.const !== undefined) return [schema.const];
  if (schema.enum !== undefined) return schema.enum;
  const variants = schema.anyOf?.map(valuesOf);
  if (variants === undefined || variants.length === 0) return undefined;
  const values: unknown[] = [];
  for (const variant of variants) {
    if (variant === undefined) return undefined;
    values.push(...variant);
  }
  return values;
}

/** The prefix of ids that a text must be, as `acc`. */
export function idPrefixOf(schema: Schema): string | undefined {
  return /^\^([a-z]{2,8})_\[/.exec(schema.pattern ?? '')?.[1];
}

/** How many optional fields are open where none is required: the first say what the thing is about. */
const OPEN_IF_NONE_REQUIRED = 3;

/**
 * Names of an object's fields that a form opens and an example shows: those of the schema's own example, else the
 * required ones, else the first few.
 */
export function openFields(schema: Schema): string[] {
  const names = Object.keys(schema.properties ?? {});
  const [example] = schema.examples ?? [];
  if (typeof example === 'object' && example !== null) return names.filter((name) => name in example);
  const required = schema.required ?? [];
  return required.length > 0
    ? names.filter((name) => required.includes(name))
    : names.slice(0, OPEN_IF_NONE_REQUIRED);
}

export interface ExampleOptions {
  /** What stands for an id that only the reader knows. */
  id: (prefix: string) => string;
  /** Currency of amounts, where the schema's own example is not to be used. */
  currency?: string | undefined;
}

/** A whole amount of a currency, with all its digits. */
export function wholeAmount(units: bigint, currency: string): string {
  return formatMoney(units * 10n ** BigInt(findExponent(currency) ?? 0), currency).amount;
}

function isDate(schema: Schema): boolean {
  return schema.format === 'date' || schema.pattern?.includes('{4}-') === true;
}

function isPlain(schema: Schema): boolean {
  return !['array', 'object', 'record', 'choice', 'json'].includes(kindOf(schema)) && !isDate(schema);
}

/** A value of an example, or what stands for it here: ids and currencies are those of the reader. */
function specific(schema: Schema, value: unknown, options: ExampleOptions): unknown {
  const prefix = idPrefixOf(schema);
  if (prefix !== undefined) return options.id(prefix);
  return kindOf(schema) === 'money' && options.currency !== undefined ? exampleOf(schema, options) : value;
}

/** JSON that the schema describes. */
export function exampleOf(schema: Schema, options: ExampleOptions): unknown {
  const kind = kindOf(schema);
  if (kind === 'money' && options.currency !== undefined && findExponent(options.currency) !== undefined) {
    return { amount: wholeAmount(10n, options.currency), currency: options.currency };
  }
  const [example] = schema.examples ?? [];
  if (kind === 'object' && typeof example === 'object' && example !== null) {
    const given: [string, unknown][] = Object.entries(example);
    return Object.fromEntries(
      given.map(([name, value]) => [name, specific(schema.properties?.[name] ?? {}, value, options)]),
    );
  }
  if (example !== undefined) return example;
  if (schema.default !== undefined) return schema.default;
  switch (kind) {
    case 'enum':
      return valuesOf(schema)?.[0];
    case 'choice': {
      const variant = schema.anyOf?.find(({ type }) => type !== 'null');
      return variant === undefined ? null : exampleOf(variant, options);
    }
    case 'money':
    case 'object': {
      const open = openFields(schema);
      const isAnyRequired = (schema.required ?? []).length > 0;
      return Object.fromEntries(
        Object.entries(schema.properties ?? {})
          .filter(([name]) => open.includes(name))
          // Where nothing is required, lists and dates are rather an alternative or an extra.
          .filter(([, property]) => isAnyRequired || isPlain(property))
          .map(([name, property]) => [name, exampleOf(property, options)]),
      );
    }
    case 'array':
      return Array.from({ length: schema.minItems ?? 1 }, () => exampleOf(schema.items ?? {}, options));
    case 'record':
    case 'json':
      return {};
    case 'boolean':
      return false;
    case 'null':
      return null;
    case 'integer':
    case 'number':
      return schema.minimum ?? 0;
    default: {
      const prefix = idPrefixOf(schema);
      if (prefix !== undefined) return options.id(prefix);
      if (schema.format === 'date-time') return '2026-01-31T12:00:00Z';
      if (isDate(schema)) return '2026-01-31';
      return (schema.minLength ?? 0) > 0 ? 'text' : '';
    }
  }
}
