import type { Outcome } from '../../api/act.ts';

/** What concerns whoever is signed in alone is done at once: no policy can be about it, and there is nothing to answer. */
export const done: Outcome<undefined> = { kind: 'done', answer: undefined, replayed: false };
