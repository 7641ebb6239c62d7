/** Versions of what is edited, as entity tags (RFC 9110). */
import { Type } from 'typebox';
import { refuse } from './problem.ts';

/** Schema of the headers of a route that edits. */
export const IfMatchHeaders = Type.Object({
  'if-match': Type.Optional(
    Type.String({ maxLength: 200, description: 'The ETag that was read. Required.' }),
  ),
});

/** `"7"`, the ETag of a version (RFC 9110, section 8.8.3). */
export function etagOf(version: bigint | number | string): string {
  return `"${version}"`;
}

/**
 * Throws unless an `If-Match` names a version: one entity tag, a list of them, or `*` for whatever is there. Tags are
 * compared strongly, so that a weak one never matches (RFC 9110, section 13.1.1).
 *
 * @param thing what is edited, for the message: `the account`
 */
export function assertMatches(
  ifMatch: string | undefined,
  version: bigint | number | string,
  thing: string,
): void {
  const current = etagOf(version);
  if (ifMatch === undefined || ifMatch.trim() === '') {
    throw refuse('precondition_required', `Send If-Match with the ETag of ${thing}, now ${current}.`);
  }
  const tags = ifMatch.split(',').map((tag) => tag.trim());
  if (ifMatch.trim() !== '*' && !tags.includes(current)) {
    throw refuse('precondition_failed', `The ETag of ${thing} is ${current} now, not ${ifMatch}.`);
  }
}
