/** Requests held against their schemas, and what is wrong with them in words that need no look at the schema. */
import SerializerSelector from '@fastify/fast-json-stringify-compiler';
import { Ajv, type ValidateFunction } from 'ajv';
import addFormats from 'ajv-formats';
import type { FastifySchemaCompiler, FastifySchemaValidationError, FastifySerializerCompiler } from 'fastify';
import type { TSchema } from 'typebox';
import { type FieldError, type Problem, refuse } from './problem.ts';

type SchemaError = FastifySchemaValidationError;

/** Pattern of any characters that PostgreSQL can keep. */
export const KEPT_TEXT = '^[^\\u0000\\p{Surrogate}]*$';
/** Pattern of what may stand in a header without quotes. */
export const VISIBLE_ASCII = '^[\\x21-\\x7e]+$';

/** Patterns of which no example would say enough. */
const patternsInWords = new Map([
  [KEPT_TEXT, 'must not contain NUL or an unpaired surrogate'],
  [VISIBLE_ASCII, 'must be printable ASCII without spaces'],
]);

/**
 * Values that a body may have for all of its errors to be looked for. Beyond, the first is enough: 4 MiB can be wrong in
 * two million places, and the list of them took a GB.
 */
const MAX_VALUES_LISTED = 20_000;
const MAX_FIELD_ERRORS = 20;

function ajv(options: { coerceTypes: boolean; allErrors: boolean; strictNumbers?: boolean }): Ajv {
  const compiler = new Ajv({
    ...options,
    strict: true,
    strictTypes: false,
    allowUnionTypes: true,
    useDefaults: true,
    removeAdditional: false,
    // Errors carry the schema and value that they speak of.
    verbose: true,
  });
  addFormats.default(compiler);
  compiler.addKeyword('example');
  // Marks fields that are masked for some (access/redaction.ts).
  compiler.addKeyword('x-data');
  return compiler;
}

function hasAtMost(limit: number, value: unknown): boolean {
  let left = limit;
  const waiting: unknown[] = [value];
  while (waiting.length > 0) {
    const next = waiting.pop();
    if (typeof next !== 'object' || next === null) continue;
    const members: unknown[] = Object.values(next);
    left -= members.length;
    if (left < 0) return false;
    waiting.push(...members);
  }
  return true;
}

/**
 * Makes the validator of each part of a route: of the first error, then of all where that is affordable. It is compiled at
 * the first request: most processes see few of the routes, and to compile all took a quarter of their start. That all
 * can be compiled is tested (tests/permissions.test.ts).
 */
export function validatorCompiler(): FastifySchemaCompiler<TSchema> {
  const compilers = (allErrors: boolean) => ({
    body: ajv({ coerceTypes: false, allErrors }),
    // Everything in a URL or header is text: numbers and booleans there are read from it. Ajv holds no limit against
    // an Infinity that it read itself, unless told that all numbers are equal.
    text: ajv({ coerceTypes: true, allErrors, strictNumbers: false }),
  });
  const quick = compilers(false);
  const thorough = compilers(true);
  return ({ schema, httpPart }) => {
    const kind = httpPart === 'body' ? 'body' : 'text';
    let isValid: ValidateFunction | undefined;
    let listErrors: ValidateFunction | undefined;
    const validate: ReturnType<FastifySchemaCompiler<TSchema>> = (data: unknown) => {
      isValid ??= quick[kind].compile(schema);
      if (isValid(data)) return true;
      validate.errors = isValid.errors ?? null;
      if (hasAtMost(MAX_VALUES_LISTED, data)) {
        listErrors ??= thorough[kind].compile(schema);
        if (!listErrors(data)) validate.errors = listErrors.errors ?? null;
      }
      return false;
    };
    return validate;
  };
}

/** Makes what writes the answers of a route: Fastify's own, compiled at the first answer as validators are. */
export function serializerCompiler(): FastifySerializerCompiler<TSchema> {
  const compile = SerializerSelector()();
  return ({ schema, method, url, httpStatus = '' }) => {
    let write: ReturnType<typeof compile> | undefined;
    return (data: unknown) => {
      write ??= compile({ schema, method, url, httpStatus });
      return write(data);
    };
  };
}

type Schema = Readonly<Record<string, unknown>>;

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null;
}

/** The schema that the failed keyword stands in. */
function schemaOf(error: SchemaError): Schema {
  return 'parentSchema' in error && isSchema(error.parentSchema) ? error.parentSchema : {};
}

/** The example of an id, whose pattern says of what. */
function exampleId({ pattern }: Schema): string | undefined {
  const [prefix] = typeof pattern === 'string' ? (/(?<=^\^)[a-z]+(?=_\[0-7\])/.exec(pattern) ?? []) : [];
  return prefix === undefined ? undefined : `"${prefix}_01h455vb4pex5vsknk084sn02q"`;
}

function exampleOf(schema: Schema): string | undefined {
  const { examples, format } = schema;
  if (Array.isArray(examples) && examples.length > 0) return JSON.stringify(examples[0]);
  return format === 'date-time' ? '"2026-01-31T12:00:00Z"' : exampleId(schema);
}

const typesInWords: Record<string, string> = {
  string: 'a string',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  array: 'an array',
  object: 'an object',
  null: 'null',
};

const listed = new Intl.ListFormat('en', { style: 'long', type: 'conjunction' });

function typeInWords(schema: Schema): string {
  const type = String(schema['type']);
  const words = typesInWords[type] ?? type;
  const example = exampleOf(schema);
  if (example !== undefined) return `${words} such as ${example}`;
  const { required } = schema;
  return type === 'object' && Array.isArray(required) && required.length > 0
    ? `${words} with ${listed.format(required.map(String))}`
    : words;
}

function count(limit: unknown, one: string, many: string): string {
  return `${String(limit)} ${limit === 1 ? one : many}`;
}

function unknownField(schema: Schema): string {
  const { patternProperties, properties, description } = schema;
  if (isSchema(patternProperties)) {
    return `is not a name that can stand here${typeof description === 'string' ? ` (${description})` : ''}`;
  }
  const known = isSchema(properties) ? Object.keys(properties) : [];
  return `is not known here; known are: ${known.join(', ')}`;
}

function ofPattern(schema: Schema, pattern: string): string {
  const words = patternsInWords.get(pattern);
  if (words !== undefined) return words;
  const id = exampleId(schema);
  if (id !== undefined) return `must be an id such as ${id}`;
  const example = exampleOf(schema);
  if (example === undefined) return `must match ${pattern}`;
  const { description } = schema;
  return `must be like ${example}${typeof description === 'string' ? ` (${description})` : ''}`;
}

function describe(error: SchemaError): string {
  const { keyword, params } = error;
  const schema = schemaOf(error);
  const { limit } = params;
  switch (keyword) {
    case 'additionalProperties':
      return unknownField(schema);
    case 'required':
      return 'is required';
    case 'type':
      return `must be ${typeInWords(schema)}`;
    case 'enum':
      return `must be one of ${JSON.stringify(params['allowedValues'])}`;
    case 'const':
      return `must be ${JSON.stringify(params['allowedValue'])}`;
    case 'pattern':
      return ofPattern(schema, String(params['pattern']));
    case 'format':
      return `must be ${params['format'] === 'date-time' ? 'an RFC 3339 time' : `a ${String(params['format'])}`}${
        exampleOf(schema) === undefined ? '' : ` such as ${exampleOf(schema)}`
      }`;
    case 'minLength':
      return limit === 1
        ? 'must not be empty'
        : `must have at least ${count(limit, 'character', 'characters')}`;
    case 'maxLength':
      return `must have at most ${count(limit, 'character', 'characters')}`;
    case 'minItems':
      return `must have at least ${count(limit, 'item', 'items')}`;
    case 'maxItems':
      return `must have at most ${count(limit, 'item', 'items')}`;
    case 'minProperties':
      return `must have at least ${count(limit, 'field', 'fields')}`;
    case 'maxProperties':
      return `must have at most ${count(limit, 'field', 'fields')}`;
    case 'minimum':
      return `must be at least ${String(limit)}`;
    case 'maximum':
      return `must be at most ${String(limit)}`;
    default:
      return error.message ?? 'is not valid';
  }
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

/** What to tell of a union, none of whose branches fits. */
function ofUnion(union: SchemaError, within: readonly SchemaError[]): FieldErrorSource[] {
  const { anyOf } = schemaOf(union);
  const branches = Array.isArray(anyOf) ? anyOf.filter(isSchema) : [];
  const literals = branches.map((branch) => branch['const']);
  if (literals.every((literal) => literal !== undefined)) {
    const detail = `must be one of ${literals.map((literal) => JSON.stringify(literal)).join(', ')}`;
    return [{ error: union, detail }];
  }
  // Of an object or null, given an object: what is wrong within it.
  const given = typeOf('data' in union ? union.data : undefined);
  const meant = branches.findIndex((branch) => branch['type'] === given);
  const found = within.filter(({ schemaPath }) => schemaPath.startsWith(`${union.schemaPath}/${meant}/`));
  if (found.length > 0) return found.map((error) => ({ error, detail: describe(error) }));
  return [{ error: union, detail: `must be ${branches.map(typeInWords).join(', or ')}` }];
}

interface FieldErrorSource {
  error: SchemaError;
  detail: string;
}

function readable(errors: readonly SchemaError[]): FieldErrorSource[] {
  const unions = errors.filter(({ keyword }) => keyword === 'anyOf');
  const isWithin = (union: SchemaError, error: SchemaError) =>
    error.schemaPath.startsWith(`${union.schemaPath}/`) &&
    (error.instancePath === union.instancePath || error.instancePath.startsWith(`${union.instancePath}/`));
  return errors.flatMap((error) => {
    if (error.keyword === 'anyOf') {
      return ofUnion(
        error,
        errors.filter((other) => isWithin(error, other)),
      );
    }
    if (unions.some((union) => isWithin(union, error))) return [];
    return [{ error, detail: describe(error) }];
  });
}

/** Where in the request an error is, in the form that `FieldError` describes. */
function pointerOf(error: SchemaError, part: string): string {
  const name = error.params['missingProperty'] ?? error.params['additionalProperty'];
  const path =
    typeof name === 'string'
      ? `${error.instancePath}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`
      : error.instancePath;
  if (part === 'querystring') return `?${path.slice(1)}`;
  if (part === 'headers') return `header ${path.slice(1)}`;
  return part === 'params' ? `path ${path.slice(1)}` : path;
}

/**
 * The refusal of a request that is not as its schema says.
 *
 * @param part `body`, `querystring`, `params` or `headers`
 */
export function refusedBySchema(errors: readonly SchemaError[], part: string, body: unknown): Problem {
  if (part === 'body' && body === undefined) {
    return refuse('malformed_request', 'A JSON body is required.', {
      errors: [{ pointer: '', detail: 'is required' }],
    });
  }
  const fields = new Map<string, FieldError>();
  // A hundred errors of Ajv are more than enough for the twenty places that are told.
  for (const { error, detail } of readable(errors.slice(0, 5 * MAX_FIELD_ERRORS))) {
    const pointer = pointerOf(error, part);
    // Of one place the first error says enough.
    if (!fields.has(pointer)) fields.set(pointer, { pointer, detail });
    if (fields.size === MAX_FIELD_ERRORS) break;
  }
  const [first] = fields.values();
  return refuse('malformed_request', `${first?.pointer || 'The body'} ${first?.detail ?? 'is not valid'}.`, {
    errors: [...fields.values()],
  });
}
