/** Where a browser goes on to after signing in: a path of this site; whatever else was given leads to the start. */
export function nextOf(given: unknown): string {
  return typeof given === 'string' &&
    given.length <= 2_000 &&
    /^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(given)
    ? given
    : '/';
}
