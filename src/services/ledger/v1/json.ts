/**
 * JSON of the v1 API, where a balance is a number: read and written as its digits, never by way of a JS number, which
 * would lose cents beyond 2^53 and turn 1e400 into Infinity.
 *
 * Source: ECMAScript proposal JSON.parse source text access (`context.source`, `JSON.rawJSON`), in Node since 22.
 */
import { withoutQuotation } from '../../../platform/json.ts';
import { refuse } from '../../../platform/problem.ts';

declare global {
  /** TypeScript's library does not know it yet. */
  interface JSON {
    rawJSON(text: string): NumberLiteral;
  }
}

/** A number that `JSON.stringify` writes digit for digit as the text it was made of. */
export interface NumberLiteral {
  readonly rawJSON: string;
}

export function numberLiteral(text: string): NumberLiteral {
  return JSON.rawJSON(text);
}

/** A name of 255 characters and a balance need far less. Looking at each value's source text is slow: 4 MiB took 3 s. */
const MAX_BODY_CHARACTERS = 65_536;

/** The text that a reviver's third argument, still unknown to TypeScript, says the value was read from. */
function sourceOf(context: unknown): string {
  if (typeof context === 'object' && context !== null && 'source' in context) return String(context.source);
  throw new Error('JSON.parse gives no source text: this needs Node 22 or later');
}

/**
 * The value of a body, a number called `balance` in it as its source text. An empty body is undefined.
 *
 * @param options.mayQuote whether a refusal may quote it
 */
export function parseBody(text: string, { mayQuote = true } = {}): unknown {
  if (text === '') return undefined;
  if (text.length > MAX_BODY_CHARACTERS) {
    throw refuse(
      'body_too_large',
      `The body has ${text.length} characters; /api/v1 takes ${MAX_BODY_CHARACTERS}.`,
    );
  }
  try {
    return JSON.parse(text, (key, value: unknown, ...[context]: unknown[]) =>
      key === 'balance' && typeof value === 'number' ? sourceOf(context) : value,
    );
  } catch (error) {
    // A RangeError is one of the stack: the body is nested too deeply.
    if (!(error instanceof SyntaxError || error instanceof RangeError)) throw error;
    throw refuse(
      'malformed_request',
      `The body is not JSON that can be read: ${mayQuote ? String(error) : withoutQuotation(String(error))}`,
    );
  }
}
