/** OpenAPI 3.1, from the schemas that the routes are validated by. */

import { type Api, ProblemBody } from './http.ts';
import { Money } from './money.ts';
import { isObject } from './page/json.ts';
import { asSchema, exampleOf } from './page/schema.ts';

type JsonObject = Record<string, unknown>;

/** Well-formed ids that nothing has, each another: a transfer has two accounts. */
function exampleIds(): (prefix: string) => string {
  const letters = 'qrstvwxyz';
  let count = 0;
  return (prefix) => {
    const letter = letters[count % letters.length] ?? '';
    count += 1;
    return `${prefix}_01h455vb4pex5vsknk084sn02${letter}`;
  };
}

/** Headers whose absence has a refusal of its own, so that the schema which validates must let them be absent. */
const demandedHeaders = new Set(['idempotency-key', 'if-match']);

function member(object: JsonObject, name: string): JsonObject {
  const value = object[name];
  return isObject(value) ? value : {};
}

/** `GET /api/v2/accounts/{account_id}/entries` is `getAccountsByAccountIdEntries`; what is not of v2 says so first. */
export function operationIdOf(method: string, path: string): string {
  const steps = path.split('/').filter((step) => step !== '' && step !== 'api' && step !== 'v2');
  const words = steps.flatMap((step) => {
    const name = step.startsWith('{') ? `by-${step.slice(1, -1)}` : step;
    return name.split(/[^A-Za-z0-9]+/).filter((word) => word !== '');
  });
  return [method, ...words.map((word) => word.charAt(0).toUpperCase() + word.slice(1))].join('');
}

/** What two schemas that mean the same have in common: not how they describe it, nor that they are strict. */
function shapeOf(schema: unknown): string {
  return JSON.stringify(schema, (name, value: unknown) =>
    name === 'description' || (name === 'additionalProperties' && value === false) ? undefined : value,
  );
}

const named: Record<string, unknown> = { Money, Problem: ProblemBody };

/**
 * A schema with its shared parts as references: those the platform names, and those with a `title`. An enumeration
 * that was written as a union of constants becomes one.
 */
function share(schema: unknown, components: JsonObject, known: ReadonlyMap<string, string>): unknown {
  if (Array.isArray(schema)) return schema.map((item: unknown) => share(item, components, known));
  if (!isObject(schema)) return schema;
  const { anyOf } = schema;
  if (Array.isArray(anyOf)) {
    const values = anyOf.map((variant: unknown) =>
      isObject(variant) && Array.isArray(variant['enum']) && variant['enum'].length === 1
        ? variant
        : undefined,
    );
    if (values.length > 0 && values.every((value) => value !== undefined && value['type'] === 'string')) {
      const { anyOf: _, ...rest } = schema;
      return { type: 'string', enum: values.flatMap((value) => value?.['enum']), ...rest };
    }
  }
  const shared = Object.fromEntries(
    Object.entries(schema).map(([name, value]) => [name, share(value, components, known)]),
  );
  const title =
    schema['type'] === 'object' && typeof schema['title'] === 'string' ? schema['title'] : undefined;
  const name = known.get(shapeOf(schema)) ?? title?.replace(/[^A-Za-z0-9._-]/g, '');
  if (name === undefined) return shared;
  const { description } = schema;
  if (components[name] === undefined) components[name] = shared;
  else if (shapeOf(components[name]) !== shapeOf(shared)) return shared;
  // In 3.1 a reference may have a description of its own beside it.
  const isOwn = typeof description === 'string' && member(components, name)['description'] !== description;
  return { $ref: `#/components/schemas/${name}`, ...(isOwn ? { description } : {}) };
}

function shareContent(holder: unknown, components: JsonObject, known: ReadonlyMap<string, string>): unknown {
  if (!isObject(holder)) return holder;
  const content = Object.entries(member(holder, 'content')).map(([type, media]) => [
    type,
    isObject(media) ? { ...media, schema: share(media['schema'], components, known) } : media,
  ]);
  return content.length === 0 ? holder : { ...holder, content: Object.fromEntries(content) };
}

/** A filter's example goes into words: the reference would send it along, and find nothing. */
function filterInWords(parameter: JsonObject): JsonObject {
  const { example, examples, ...rest } = parameter;
  const shown =
    example === undefined
      ? Object.keys(isObject(examples) ? examples : {})
      : [JSON.stringify(example).replaceAll('"', '')];
  if (rest['in'] !== 'query' || shown.length === 0) return parameter;
  const { description } = rest;
  const words = typeof description === 'string' ? `${description}, as ` : 'As ';
  return { ...rest, description: `${words}${shown.map((text) => `\`${text}\``).join(', ')}` };
}

function parameters(given: unknown, components: JsonObject, known: ReadonlyMap<string, string>): unknown {
  if (!Array.isArray(given)) return given;
  return given.filter(isObject).map((parameter) => {
    const isDemanded =
      parameter['in'] === 'header' && demandedHeaders.has(String(parameter['name']).toLowerCase());
    const worded = filterInWords(parameter);
    return {
      ...worded,
      schema: share(worded['schema'], components, known),
      ...(isDemanded ? { required: true } : {}),
    };
  });
}

const descriptions: Record<string, string> = {
  '200': 'Done',
  '201': 'Created; `Location` says where',
  '204': 'Done; nothing more to say',
  '4XX': 'Refused: see the code',
  '5XX': 'Not carried out, or not known whether: see the code',
};

function responses(
  given: JsonObject,
  components: JsonObject,
  known: ReadonlyMap<string, string>,
): JsonObject {
  return Object.fromEntries(
    Object.entries(given).map(([status, response]) => {
      if (!isObject(response)) return [status, response];
      const shared = shareContent(response, components, known);
      const content = isObject(shared) ? member(shared, 'content') : {};
      const json = content['application/json'];
      const isProblem = /^[45]/.test(status) && json !== undefined;
      return [
        status,
        {
          ...(isObject(shared) ? shared : {}),
          description: descriptions[status] ?? response['description'],
          ...(isProblem ? { content: { 'application/problem+json': json } } : {}),
        },
      ];
    }),
  );
}

function operation(
  given: JsonObject,
  { method, path }: { method: string; path: string },
  components: JsonObject,
  known: ReadonlyMap<string, string>,
): JsonObject {
  const body = given['requestBody'];
  const media = isObject(body) ? member(member(body, 'content'), 'application/json') : {};
  const schema = asSchema(media['schema']);
  const example = schema === undefined ? undefined : exampleOf(schema, { id: exampleIds() });
  const sharedBody = shareContent(body, components, known);
  const sharedMedia = isObject(sharedBody) ? member(member(sharedBody, 'content'), 'application/json') : {};
  return {
    operationId: operationIdOf(method, path),
    ...given,
    ...(isObject(sharedBody)
      ? {
          requestBody: {
            ...sharedBody,
            content: { ...member(sharedBody, 'content'), 'application/json': { ...sharedMedia, example } },
          },
        }
      : {}),
    ...(given['parameters'] === undefined
      ? {}
      : { parameters: parameters(given['parameters'], components, known) }),
    responses: responses(member(given, 'responses'), components, known),
  };
}

/** The document that describes every route which is not hidden. */
export function openApiDocument(app: Api, publicUrl: string): JsonObject {
  // Through JSON, since schemas carry what is not JSON: that they are optional, for example.
  const given: unknown = JSON.parse(JSON.stringify(app.swagger()));
  if (!isObject(given)) throw new Error('the OpenAPI document is no object');
  const known = new Map(Object.entries(named).map(([name, schema]) => [shapeOf(schema), name]));
  const schemas: JsonObject = {};
  const paths = Object.fromEntries(
    Object.entries(member(given, 'paths')).map(([path, item]) => [
      path,
      Object.fromEntries(
        Object.entries(isObject(item) ? item : {}).map(([method, found]) => [
          method,
          isObject(found) ? operation(found, { method, path }, schemas, known) : found,
        ]),
      ),
    ]),
  );
  return {
    ...given,
    servers: [{ url: publicUrl }],
    paths,
    components: {
      ...member(given, 'components'),
      schemas: Object.fromEntries(Object.entries(schemas).toSorted(([a], [b]) => a.localeCompare(b))),
    },
  };
}

/** Address in the document that is kept in the repository. */
const EXAMPLE_URL = 'http://localhost:8000';

/** Text of `docs/generated/openapi.json`. */
export function generatedOpenApi(app: Api): string {
  return `${JSON.stringify(openApiDocument(app, EXAMPLE_URL), undefined, 2)}\n`;
}
