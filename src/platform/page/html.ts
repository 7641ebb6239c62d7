/**
 * HTML as tagged templates that escape whatever is put into them, elements and quoted attributes alike. A library for
 * this (JSX runtimes, template engines) brings a build step, or escapes only when asked to.
 */

const markup = Symbol('markup');

/** Markup that is known to be safe, because `html` made it. */
export interface Html {
  readonly [markup]: string;
}

export type Content = Html | string | number | bigint | boolean | null | undefined | readonly Content[];

const entities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escape(text: string): string {
  return /[&<>"']/.test(text) ? text.replace(/[&<>"']/g, (character) => entities[character] ?? '') : text;
}

function isHtml(content: object): content is Html {
  return markup in content;
}

function render(content: Content): string {
  if (content === null || content === undefined || typeof content === 'boolean') return '';
  if (typeof content === 'string') return escape(content);
  if (typeof content === 'object') return isHtml(content) ? content[markup] : content.map(render).join('');
  return String(content);
}

/**
 * Markup from a template. What is interpolated is escaped unless it is markup itself; lists are joined, and nothing is
 * shown for true, false, null and undefined. Attributes must be quoted. Proven by page.test.ts, "escaped".
 */
export function html(strings: TemplateStringsArray, ...contents: Content[]): Html {
  let text = strings[0] ?? '';
  for (const [index, content] of contents.entries()) text += render(content) + (strings[index + 1] ?? '');
  return { [markup]: text };
}

/** Prose in which `names` are set as code. */
export function prose(text: string): Content {
  return text.split('`').map((part, index) => (index % 2 === 0 ? part : html`<code>${part}</code>`));
}

/** The text of a whole document. */
export function textOf(document: Html): string {
  return document[markup];
}
