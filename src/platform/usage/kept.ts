/**
 * What is kept of a request for whoever builds on the API: of its body codes, ids, amounts and dates where its schema has
 * them and does not mark them, and of a refusal what it says without quoting anything else.
 */
import type { FastifyRequest } from 'fastify';
import type { TSchema } from 'typebox';
import { Check } from 'typebox/value';
import { MASK, type Redactor, redactorOf } from '../access/redaction.ts';
import { asKept } from '../audit/write.ts';

type Members = Readonly<Record<string, unknown>>;

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSchema(value: unknown): value is TSchema {
  return isMembers(value);
}

/** Schemas that a value may be of, alternatives and parts each by itself. */
function alternativesOf(schema: unknown): TSchema[] {
  if (!isSchema(schema)) return [];
  const { anyOf, oneOf, allOf }: Members = { ...schema };
  const parts = [anyOf, oneOf, allOf].flatMap((list): unknown[] => (Array.isArray(list) ? list : []));
  return [schema, ...parts.flatMap(alternativesOf)];
}

function membersOf(schemas: readonly TSchema[], name: string): TSchema[] {
  return schemas.flatMap((schema) => {
    const { properties, patternProperties, additionalProperties }: Members = { ...schema };
    if (isMembers(properties) && Object.hasOwn(properties, name)) return alternativesOf(properties[name]);
    const patterns = isMembers(patternProperties) ? Object.entries(patternProperties) : [];
    const matching = patterns.filter(([pattern]) => new RegExp(pattern, 'u').test(name));
    return [...matching.map(([, member]) => member), additionalProperties].flatMap(alternativesOf);
  });
}

/** What tells of a person. Where one of these may stand, nothing is kept, whether or not the field is marked. */
const personal = [
  'Ana Souza',
  'Souza',
  'ana.souza',
  'ana@bank.example',
  '+5511999998888',
  '+55 11 99999-8888',
];
const harmlessFormats = new Set(['date', 'date-time', 'uuid']);

const known = new WeakMap<TSchema, boolean>();

/** Whether a schema takes nothing that says something of anybody: codes, ids, amounts, dates. */
function isOfCodes(schema: TSchema): boolean {
  let found = known.get(schema);
  if (found === undefined) {
    found = takesCodesOnly(schema);
    known.set(schema, found);
  }
  return found;
}

function takesCodesOnly(schema: TSchema): boolean {
  const { type, pattern, format, enum: choices, const: only }: Members = { ...schema };
  if (choices !== undefined || only !== undefined) return true;
  if (type !== 'string') return type !== undefined;
  if (typeof format === 'string') return harmlessFormats.has(format);
  if (typeof pattern !== 'string') return false;
  const expression = new RegExp(pattern, 'u');
  return !personal.some((text) => expression.test(text));
}

/** Deeper than any body that a route takes. */
const MAX_DEPTH = 12;

/**
 * The value as far as the schemas know it. Members that none has are left out; free text is masked, and so is what does not
 * fit its place: whoever mistakes one field for another may have put a secret there.
 */
function knownPart(schemas: readonly TSchema[], value: unknown, depth = 0): unknown {
  if (depth > MAX_DEPTH) return MASK;
  if (Array.isArray(value)) {
    const items = schemas.flatMap((schema) => {
      const { items: item }: Members = { ...schema };
      return alternativesOf(item);
    });
    return items.length === 0 ? MASK : value.map((item) => knownPart(items, item, depth + 1));
  }
  if (isMembers(value)) {
    return Object.fromEntries(
      Object.entries(value).flatMap(([name, member]) => {
        const known = membersOf(schemas, name);
        return known.length === 0 ? [] : [[name, knownPart(known, member, depth + 1)]];
      }),
    );
  }
  if (typeof value === 'string' && value.endsWith(MASK)) return value;
  return schemas.some((schema) => isOfCodes(schema) && Check(schema, value)) ? value : MASK;
}

/** Whoever may see nothing that a schema marks. */
const nobody = { permissions: new Set<string>(), narrowed: [] };

const redactors = new WeakMap<TSchema, Redactor>();

/** A body without what is secret, personal or unknown. */
export function keptBody(schema: unknown, body: unknown): unknown {
  if (!isSchema(schema)) return undefined;
  let redact = redactors.get(schema);
  if (redact === undefined) {
    redact = redactorOf(schema);
    redactors.set(schema, redact);
  }
  return knownPart(alternativesOf(schema), redact(body, nobody));
}

/** Shorter texts stand in words of every kind. */
const MIN_TEXT = 3;

/** Every name and text within a value, numbers as they would be written. */
function textsIn(value: unknown): string[] {
  if (typeof value === 'string' || typeof value === 'number') return [String(value)];
  if (Array.isArray(value)) return value.flatMap(textsIn);
  if (!isMembers(value)) return [];
  return Object.entries(value).flatMap(([name, member]) => [name, ...textsIn(member)]);
}

/**
 * A refusal without what its request had in its body, query and path, save what is kept of the body anyway.
 *
 * @param payload the answer, as it was sent
 * @param kept what is kept of the body
 */
export function keptAnswer(request: FastifyRequest, payload: string, kept: unknown): unknown {
  let problem: unknown;
  try {
    problem = JSON.parse(payload);
  } catch {
    return undefined;
  }
  if (!isMembers(problem)) return undefined;
  const { type, title, status, code, request_id, trace_id: _, ...said } = problem;
  const fixed = { type, title, status, code, request_id };
  // Of a body that could not be read, what is quoted of it cannot be told.
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  if (request.body === undefined && (encoding !== undefined || Number(length ?? 0) > 0)) return fixed;
  const shown = new Set(textsIn(kept));
  const { querystring } = request.routeOptions.schema ?? {};
  const query = isMembers(request.query) ? Object.entries(request.query) : [];
  const asked = query.flatMap(([name, value]) => [
    ...(membersOf(alternativesOf(querystring), name).length === 0 ? [name] : []),
    ...textsIn(value),
  ]);
  const parts = isMembers(request.params) ? Object.values(request.params) : [];
  const texts = [...textsIn(request.body), ...asked, ...textsIn(parts)]
    .filter((text) => text.length >= MIN_TEXT && !shown.has(text) && !isHarmless(text))
    .toSorted((a, b) => b.length - a.length);
  const clean = (value: unknown): unknown => {
    if (typeof value === 'string') return texts.reduce((left, text) => left.replaceAll(text, MASK), value);
    if (Array.isArray(value)) return value.map(clean);
    if (!isMembers(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, clean(member)]));
  };
  return { ...fixed, ...Object(clean(said)) };
}

/** An id of ours, which tells nothing of a person. */
function isHarmless(text: string): boolean {
  return /^[a-z]{3}_[0-7][0-9a-hjkmnp-tv-z]{25}$/.test(text);
}

/** The path of a request with those of its parameters that are ids. Of one that no route takes nothing is kept. */
export function keptPath(request: FastifyRequest, route: string): string {
  const { params } = request;
  const values: Members = isMembers(params) ? params : {};
  return route.replaceAll(/:(\w+)(\([^)]*\))?/g, (_, name: string) => {
    const value = values[name];
    return typeof value === 'string' && isHarmless(value) ? value : `{${name}}`;
  });
}

/** JSON as the database takes it, without members that are named like secrets; what is too long is left out. */
export function keptJson(value: unknown, most_characters: number): string | undefined {
  if (value === undefined) return undefined;
  const text = JSON.stringify(value, asKept);
  return text.length <= most_characters ? text : undefined;
}
