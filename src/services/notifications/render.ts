/**
 * Templates in Liquid, as the institution writes them: bounded in size, time and memory, without access to files, and
 * escaped where they are HTML. What stands in data is data: nothing in it is taken for a template or for markup.
 */
import { Liquid, LiquidError } from 'liquidjs';
import type { FieldError } from '../../platform/problem.ts';
import { type ChannelName, sampleOf, topicOf } from './topics.ts';

/** What a message says. Which of them a channel has, its templates say. */
export interface Content {
  subject: string | null;
  text: string;
  html: string | null;
}

type Part = keyof Content;
const parts = ['subject', 'text', 'html'] as const;

const limits = { parseLimit: 200_000, renderLimit: 500, memoryLimit: 2_000_000 };
/** Tags that refer to other files. */
const FILE_TAGS = ['include', 'render', 'layout', 'block'];

function engine(escape: boolean): Liquid {
  const liquid = new Liquid({
    ...limits,
    strictFilters: true,
    strictVariables: true,
    ownPropertyOnly: true,
    // Nothing is looked for on a disk, even if a tag could ask for it.
    templates: {},
    timezoneOffset: 'UTC',
    ...(escape ? { outputEscape: 'escape' } : {}),
  });
  for (const tag of FILE_TAGS) delete liquid.tags[tag];
  // It would put data into HTML as it stands.
  delete liquid.filters['raw'];
  return liquid;
}
const plain = engine(false);
const escaping = engine(true);
const engineOf = (part: Part) => (part === 'html' ? escaping : plain);

/** Most characters that a message may have, in all of its parts. */
const MAX_CHARACTERS = 500_000;
const MAX_SUBJECT = 500;

/** What is wrong with a template, at its place: `line 2, column 7`. */
export class TemplateError extends Error {
  override readonly name = 'TemplateError';
  readonly errors: FieldError[];

  constructor(errors: FieldError[]) {
    super(errors.map(({ pointer, detail }) => `${pointer.slice(1)} ${detail}`).join('; '));
    this.errors = errors;
  }
}

function errorAt(part: Part, error: unknown): FieldError {
  if (!LiquidError.is(error)) throw error;
  const [said = ''] = error.message.split('\n');
  const place = /^(.*), line:(\d+), col:(\d+)$/.exec(said);
  const [, what = said, line, column] = place ?? [];
  const where = line === undefined ? '' : `at line ${line}, column ${column}: `;
  return { pointer: `/${part}`, detail: `${where}${what}` };
}

/** The variables of a template that are not the template's own. Throws a TemplateError where it does not parse. */
function variablesIn(content: Content): Map<Part, string[]> {
  const found = new Map<Part, string[]>();
  const errors: FieldError[] = [];
  for (const part of parts) {
    const source = content[part];
    if (source === null) continue;
    const liquid = engineOf(part);
    try {
      found.set(part, liquid.globalVariablesSync(liquid.parse(source)));
    } catch (error) {
      errors.push(errorAt(part, error));
    }
  }
  if (errors.length > 0) throw new TemplateError(errors);
  return found;
}

/** Throws a TemplateError for a template that is not Liquid or lacks what its channel needs. */
export function assertParses(channel: ChannelName, content: Content): void {
  variablesIn(content);
  if (channel === 'email' && content.subject === null) {
    throw new TemplateError([{ pointer: '/subject', detail: 'is needed: an email has one' }]);
  }
  if (channel !== 'email' && content.html !== null) {
    throw new TemplateError([{ pointer: '/html', detail: 'must be left out: only email has it' }]);
  }
  if (/[\r\n]/.test(content.subject ?? '')) {
    throw new TemplateError([{ pointer: '/subject', detail: 'must be one line' }]);
  }
}

/** Throws a TemplateError for a template that names what its topic does not declare, or that cannot be rendered. */
export function assertPublishable(topic: string, channel: ChannelName, content: Content): void {
  assertParses(channel, content);
  const { variables } = topicOf(topic);
  const errors = [...variablesIn(content)].flatMap(([part, names]) =>
    names
      .filter((name) => !Object.hasOwn(variables, name))
      .map((name) => ({
        pointer: `/${part}`,
        detail: `names ${name}, which the topic ${topic} does not declare; it declares ${Object.keys(variables).join(', ')}`,
      })),
  );
  if (errors.length > 0) throw new TemplateError(errors);
  render(content, sampleOf(topic));
}

/** A line for a header: what would begin another one is white space. */
export function oneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is taken out here
  const line = text.replaceAll(/[\u0000-\u001f\u007f\u0085\u2028\u2029]+/g, ' ').trim();
  return Array.from(line).slice(0, MAX_SUBJECT).join('');
}

/** What the templates come to with these data. Throws a TemplateError where they take too long or name what is not there. */
export function render(content: Content, data: Readonly<Record<string, unknown>>): Content {
  const of = (part: Part): string | null => {
    const source = content[part];
    if (source === null) return null;
    const liquid = engineOf(part);
    try {
      return String(liquid.renderSync(liquid.parse(source), { ...data }));
    } catch (error) {
      throw new TemplateError([errorAt(part, error)]);
    }
  };
  const [subject, text, html] = [of('subject'), of('text') ?? '', of('html')];
  if (text.length + (html ?? '').length > MAX_CHARACTERS) {
    throw new TemplateError([
      { pointer: '/text', detail: `comes to more than ${MAX_CHARACTERS} characters` },
    ]);
  }
  return { subject: subject === null ? null : oneLine(subject), text, html };
}
