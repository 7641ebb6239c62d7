/**
 * Bodies as they arrive: JSON (RFC 8259) in UTF-8. Stricter than `JSON.parse` where leniency would let two readers of
 * one body see different things: a name may stand once in an object (RFC 7493), since a proxy or a fraud check that
 * keeps the first of two amounts would have let pass another one than is posted.
 */
import { isUtf8 } from 'node:buffer';
import { type Problem, refuse } from './problem.ts';

/** No schema goes deeper than a handful of levels; what walks a body may be recursive. */
const MAX_DEPTH = 32;
const BYTE_ORDER_MARK = 0xfeff;

function malformed(detail: string): Problem {
  return refuse('malformed_request', detail);
}

type Members = Readonly<Record<string, unknown>> | readonly unknown[];

function isComposite(value: unknown): value is Members {
  return typeof value === 'object' && value !== null;
}

/** As `Array.isArray`, which does not narrow what may be a read-only array. */
function isArray(value: Members): value is readonly unknown[] {
  return Array.isArray(value);
}

/** Number of members of all objects within a value that was just parsed. */
function countMembers(value: Members, depth = 1): number {
  if (depth > MAX_DEPTH) throw malformed(`The body is nested deeper than ${MAX_DEPTH} levels.`);
  let count = 0;
  if (isArray(value)) {
    for (const item of value) if (isComposite(item)) count += countMembers(item, depth + 1);
    return count;
  }
  for (const name in value) {
    // Harmless here, but not to whoever copies the body member by member.
    if (name === '__proto__') throw malformed('The body has a member named __proto__.');
    count += 1;
    const member = value[name];
    if (isComposite(member)) count += countMembers(member, depth + 1);
  }
  return count;
}

function countColons(text: string): number {
  let count = 0;
  for (let index = text.indexOf(':'); index !== -1; index = text.indexOf(':', index + 1)) count += 1;
  return count;
}

/** Where the string that begins at `start` ends: its closing quote. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  for (;;) {
    let backslashes = 0;
    while (text[end - 1 - backslashes] === '\\') backslashes += 1;
    if (backslashes % 2 === 0) return end;
    end = text.indexOf('"', end + 1);
  }
}

/** A name that stands twice in one object of a JSON text; the text is known to be well-formed. */
function findDuplicate(text: string): string | undefined {
  const open: Set<string>[] = [];
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index];
    if (character === '{') open.push(new Set());
    if (character === '}') open.pop();
    if (character !== '"') continue;
    const end = endOfString(text, index);
    let next = end + 1;
    while (text[next] === ' ' || text[next] === '\n' || text[next] === '\r' || text[next] === '\t') next += 1;
    if (text[next] === ':') {
      // The same name may be escaped in one place and not in the other.
      const name = String(JSON.parse(text.slice(index, end + 1)));
      const names = open.at(-1);
      if (names?.has(name) === true) return name;
      names?.add(name);
    }
    index = end;
  }
  return undefined;
}

/** The value of a body. Throws `malformed_request` saying what is wrong with it. */
export function parseJson(body: Buffer): unknown {
  if (body.length === 0) throw malformed('The body is empty; JSON is expected.');
  if (!isUtf8(body)) throw malformed('The body is not UTF-8, as JSON is.');
  const read = body.toString('utf8');
  const text = read.charCodeAt(0) === BYTE_ORDER_MARK ? read.slice(1) : read;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw malformed(`The body is not JSON: ${error.message}.`);
  }
  if (!isComposite(value)) return value;
  // Every member has its colon. Only where there are more (within strings, or a name twice) need the text be read.
  if (countMembers(value) !== countColons(text)) {
    const name = findDuplicate(text);
    if (name !== undefined) throw malformed(`The name ${JSON.stringify(name)} stands twice in one object.`);
  }
  return value;
}
