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

/** Throws where a value that was just parsed is nested too deep or has a member that is dangerous to copy. */
function assertTame(value: Members, depth = 1): void {
  if (depth > MAX_DEPTH) throw malformed(`The body is nested deeper than ${MAX_DEPTH} levels.`);
  if (isArray(value)) {
    for (const item of value) if (isComposite(item)) assertTame(item, depth + 1);
    return;
  }
  for (const name in value) {
    // Harmless here, but not to whoever copies the body member by member.
    if (name === '__proto__') throw malformed('The body has a member named __proto__.');
    const member = value[name];
    if (isComposite(member)) assertTame(member, depth + 1);
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Where the string that begins at `start` ends: its closing quote. The text is known to be well-formed. */
function endOfString(text: string, start: number): number {
  let end = start + 1;
  for (let code = text.charCodeAt(end); code !== QUOTE; code = text.charCodeAt(end)) {
    end += code === BACKSLASH ? 2 : 1;
  }
  return end;
}

const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;
const COLON = 0x3a;

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

/**
 * A name that stands twice in one object of a JSON text; the text is known to be well-formed. It always reads the text:
 * to do so only where the number of colons was not that of the parsed members let a duplicate pass now and then in the
 * property test, for a reason that was not found.
 */
function findDuplicate(text: string): string | undefined {
  const open: Set<string>[] = [];
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code === OPENING_BRACE) open.push(new Set());
    else if (code === CLOSING_BRACE) open.pop();
    else if (code === QUOTE) {
      const end = endOfString(text, index);
      let next = end + 1;
      while (isSpace(text.charCodeAt(next))) next += 1;
      if (text.charCodeAt(next) === COLON) {
        const written = text.slice(index + 1, end);
        // The same name may be escaped in one place and not in the other.
        const name = written.includes('\\') ? String(JSON.parse(`"${written}"`)) : written;
        const names = open.at(-1);
        if (names?.has(name) === true) return name;
        names?.add(name);
      }
      index = end;
    }
  }
  return undefined;
}

/** What a parser says is wrong, without the part of the text that it quotes. */
export function withoutQuotation(message: string): string {
  return message
    .replace(/, (?:\.\.\.)?"[^]*"(?:\.\.\.)? is not valid JSON$/, '')
    .replace(/ token '[^]*'/, ' token');
}

/**
 * The value of a body. Throws `malformed_request` saying what is wrong with it.
 *
 * @param options.mayQuote whether to quote the text there; it may be personal
 */
export function parseJson(body: Buffer, { mayQuote = true } = {}): unknown {
  if (body.length === 0) throw malformed('The body is empty; JSON is expected.');
  if (!isUtf8(body)) throw malformed('The body is not UTF-8, as JSON is.');
  const read = body.toString('utf8');
  const text = read.charCodeAt(0) === BYTE_ORDER_MARK ? read.slice(1) : read;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw malformed(`The body is not JSON: ${mayQuote ? error.message : withoutQuotation(error.message)}.`);
  }
  if (!isComposite(value)) return value;
  assertTame(value);
  const name = findDuplicate(text);
  if (name !== undefined) throw malformed(`The name ${JSON.stringify(name)} stands twice in one object.`);
  return value;
}
