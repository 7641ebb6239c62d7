/** Languages by their tags (BCP 47), and what is said to whoever speaks one that there are no words in. */
import { Type } from 'typebox';

/** In its canonical form: language, script, region. */
export const Language = Type.String({
  pattern: '^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$',
  description: 'Language tag (BCP 47)',
  examples: ['pt-BR'],
});

/** Everybody is told in this language where there is no better one. */
const LAST_RESORT = 'en';

/** The languages to look for, the best first: `pt-BR`, `pt`, `en`. */
export function fallbacksOf(language: string): string[] {
  const subtags = language.split('-');
  const found = subtags.map((_, index) => subtags.slice(0, subtags.length - index).join('-'));
  return [...new Set([...found, LAST_RESORT])];
}
