/** What an institution has its messages say: drafts, and what was published of them, which stays as it is. */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import type { Caller } from '../../platform/access/caller.ts';
import { type CursorContent, pageOf, pageQuery, readPage } from '../../platform/cursor.ts';
import type { Database, Scope, Transaction } from '../../platform/db.ts';
import { assertMatches } from '../../platform/etag.ts';
import { Text } from '../../platform/http.ts';
import { type Attempt, canonicalRequest } from '../../platform/idempotency.ts';
import { formatId, Id, newUuid } from '../../platform/ids.ts';
import { once } from '../../platform/once.ts';
import type { Problem } from '../../platform/problem.ts';
import { refuse } from './errors.ts';
import { fallbacksOf, Language } from './language.ts';
import { findPlatformTemplate, PLATFORM_NUMBER } from './platform-templates.ts';
import { assertParses, assertPublishable, type Content, render, TemplateError } from './render.ts';
import { ChannelName, sampleOf, TemplateTopic } from './topics.ts';

const Subject = Text({
  min: 1,
  max: 500,
  description: 'Liquid, one line. Email needs it, SMS ignores it',
  examples: ['Limit {{ limit }}'],
});
const Plain = Text({
  min: 1,
  max: 50_000,
  description: 'Liquid; data stand in it as they are',
  examples: ['{{ whom }} has asked {{ requests }} of {{ allowed }}.'],
});
const Html = Text({
  min: 1,
  max: 200_000,
  description: 'Liquid, for email only; data are escaped in it',
  examples: ['<p>{{ whom }} has asked {{ requests }} of {{ allowed }}.</p>'],
});

export const TemplateRequest = Type.Object(
  {
    topic: TemplateTopic,
    channel: ChannelName,
    language: Language,
    subject: Type.Optional(Subject),
    text: Plain,
    html: Type.Optional(Html),
  },
  { additionalProperties: false },
);
export const EditTemplateRequest = Type.Object(
  {
    subject: Type.Optional(Type.Union([Subject, Type.Null()])),
    text: Type.Optional(Plain),
    html: Type.Optional(Type.Union([Html, Type.Null()])),
  },
  { additionalProperties: false, minProperties: 1 },
);

const Status = Type.Enum(['draft', 'published']);
export const Template = Type.Object({
  id: Id('tpl'),
  topic: Type.String(),
  channel: ChannelName,
  language: Type.String(),
  status: Status,
  number: Type.Optional(
    Type.Integer({ description: 'Which of those that were published for the topic, channel and language' }),
  ),
  subject: Type.Optional(Type.String()),
  text: Type.String(),
  html: Type.Optional(Type.String()),
  created_at: Type.String(),
  created_by: Type.String(),
  updated_at: Type.String(),
  published_at: Type.Optional(Type.String()),
  published_by: Type.Optional(Type.String()),
});
export type Template = Static<typeof Template>;

const Nullable = Type.Union([Type.String(), Type.Null()]);
const Row = Type.Object({
  id: Type.String(),
  topic: Type.String(),
  channel: ChannelName,
  language: Type.String(),
  number: Type.Union([Type.Integer(), Type.Null()]),
  subject: Nullable,
  text: Type.String(),
  html: Nullable,
  created_at: Type.String(),
  created_by: Type.String(),
  updated_at: Type.String(),
  published_at: Nullable,
  published_by: Nullable,
  version: Type.Integer(),
});
const columns = `id, topic, channel, language, number, subject, text, html, created_at, created_by, updated_at,
  published_at, published_by, version`;

function shown(row: Static<typeof Row>): Template {
  const { version: _, id, number, subject, html, published_at, published_by, ...rest } = row;
  return {
    id: formatId('tpl', id),
    status: number === null ? 'draft' : 'published',
    ...rest,
    ...(number === null ? {} : { number }),
    ...(subject === null ? {} : { subject }),
    ...(html === null ? {} : { html }),
    ...(published_at === null ? {} : { published_at }),
    ...(published_by === null ? {} : { published_by }),
  };
}

interface VersionedTemplate {
  template: Template;
  version: number;
}

export async function getTemplate(tx: Transaction, scope: Scope, uuid: string): Promise<VersionedTemplate> {
  const [row] = await tx.rows(
    Row,
    `select ${columns} from notifications.templates where tenant_id = $1 and environment = $2 and id = $3`,
    [scope.tenant_id, scope.environment, uuid],
  );
  if (row === undefined) {
    throw refuse(
      'template_not_found',
      `There is no template ${formatId('tpl', uuid)} in ${scope.environment}.`,
    );
  }
  return { template: shown(row), version: row.version };
}

const Filters = Type.Object(
  {
    topic: Type.Optional(TemplateTopic),
    channel: Type.Optional(ChannelName),
    language: Type.Optional(Language),
    status: Type.Optional(Status),
  },
  { additionalProperties: false },
);
const CursorHolds = Type.Object(
  { filters: Filters, after: Type.String({ format: 'uuid' }) },
  { additionalProperties: false },
);
const isContent = (content: unknown): content is CursorContent<Static<typeof Filters>, string> =>
  Check(CursorHolds, content);
export const ListTemplatesQuery = Type.Object(
  { ...Filters.properties, ...pageQuery },
  { additionalProperties: false },
);

/** Templates, drafts and published ones, newest first. */
export async function listTemplates(tx: Transaction, scope: Scope, query: Static<typeof ListTemplatesQuery>) {
  const { limit, cursor, ...given } = query;
  const page = readPage(isContent, given, {
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  const { topic, channel, language, status } = page.filters;
  const rows = await tx.rows(
    Row,
    `select ${columns} from notifications.templates
     where tenant_id = $1 and environment = $2 and ($3::uuid is null or id < $3)
       and ($4::text is null or topic = $4) and ($5::text is null or channel = $5)
       and ($6::text is null or language = $6) and ($7::text is null or (number is null) = ($7 = 'draft'))
     order by id desc limit $8`,
    [
      scope.tenant_id,
      scope.environment,
      page.after ?? null,
      topic ?? null,
      channel ?? null,
      language ?? null,
      status ?? null,
      page.limit + 1,
    ],
  );
  return pageOf(rows, page, shown, ({ id }) => id);
}

const contentOf = ({ subject, text, html }: Pick<Template, 'subject' | 'text' | 'html'>): Content => ({
  subject: subject ?? null,
  text,
  html: html ?? null,
});

/** The refusal for a template that cannot be used; what is no such error is thrown on. */
function refusalOf(error: unknown): Problem {
  if (!(error instanceof TemplateError)) throw error;
  return refuse('template_not_sound', `The template cannot be used: ${error.message}.`, {
    errors: error.errors,
  });
}

function assertSound(check: () => void): void {
  try {
    check();
  } catch (error) {
    throw refusalOf(error);
  }
}

/** Writes a draft. It must be Liquid; what it names is looked at when it is published. */
export async function createTemplate(
  db: Database,
  caller: Caller,
  body: Static<typeof TemplateRequest>,
  attempt: Attempt,
): Promise<VersionedTemplate & { replayed: boolean }> {
  const { id, replayed } = await once(
    db,
    caller,
    { ...attempt, request: canonicalRequest(body) },
    refuse,
    async (tx) => {
      assertSound(() => assertParses(body.channel, contentOf(body)));
      const uuid = newUuid();
      await tx.run(
        `insert into notifications.templates
           (tenant_id, environment, id, topic, channel, language, subject, text, html, created_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
        [
          caller.tenant_id,
          caller.environment,
          uuid,
          body.topic,
          body.channel,
          body.language,
          body.subject ?? null,
          body.text,
          body.html ?? null,
          caller.principal.id,
        ],
      );
      return uuid;
    },
  );
  return { ...(await db.read(caller, (tx) => getTemplate(tx, caller, id))), replayed };
}

interface Changed extends VersionedTemplate {
  before: Template;
}

/** The draft, held until the transaction ends. What is published is refused. */
async function lockDraft(
  tx: Transaction,
  scope: Scope,
  uuid: string,
  ifMatch: string | undefined,
): Promise<Template> {
  await tx.run(
    'select from notifications.templates where tenant_id = $1 and environment = $2 and id = $3 for no key update',
    [scope.tenant_id, scope.environment, uuid],
  );
  const { template, version } = await getTemplate(tx, scope, uuid);
  assertMatches(ifMatch, version, 'the template');
  if (template.status === 'published') {
    throw refuse('template_published', `${template.id} is published as number ${template.number}.`);
  }
  return template;
}

export function editTemplate(
  db: Database,
  scope: Scope,
  uuid: string,
  body: Static<typeof EditTemplateRequest>,
  ifMatch: string | undefined,
): Promise<Changed> {
  return db.write(scope, async (tx) => {
    const before = await lockDraft(tx, scope, uuid, ifMatch);
    const { subject, text, html } = { ...contentOf(before), ...body };
    assertSound(() => assertParses(before.channel, { subject, text, html }));
    await tx.run(
      `update notifications.templates set subject = $4, text = $5, html = $6, version = version + 1, updated_at = now()
       where tenant_id = $1 and environment = $2 and id = $3`,
      [scope.tenant_id, scope.environment, uuid, subject, text, html],
    );
    return { before, ...(await getTemplate(tx, scope, uuid)) };
  });
}

/** Publishes a draft: from the commit on, messages are made by it, until the next one is published. */
export function publishTemplate(
  db: Database,
  caller: Caller,
  uuid: string,
  ifMatch: string | undefined,
): Promise<Changed> {
  return db.write(caller, async (tx) => {
    const before = await lockDraft(tx, caller, uuid, ifMatch);
    const { topic, channel, language } = before;
    assertSound(() => assertPublishable(topic, channel, contentOf(before)));
    // One number after the other, whoever publishes at the same time.
    await tx.run("select pg_advisory_xact_lock(hashtextextended('notifications.templates ' || $1, 0))", [
      `${caller.tenant_id} ${caller.environment} ${topic} ${channel} ${language}`,
    ]);
    await tx.run(
      `update notifications.templates set number = 1 + coalesce((select max(number) from notifications.templates
           where tenant_id = $1 and environment = $2 and topic = $4 and channel = $5 and language = $6), 0),
         published_at = now(), published_by = $7, updated_at = now(), version = version + 1
       where tenant_id = $1 and environment = $2 and id = $3`,
      [caller.tenant_id, caller.environment, uuid, topic, channel, language, caller.principal.id],
    );
    return { before, ...(await getTemplate(tx, caller, uuid)) };
  });
}

/** A template as a message names it. */
export interface ChosenTemplate {
  /** UUID of the institution's own; null: the platform's. */
  id: string | null;
  number: number;
  language: string;
  content: Content;
}

/** The template that messages are made by now: the best language first, and in it the institution's own before ours. */
export async function chooseTemplate(
  tx: Transaction,
  scope: Scope,
  topic: string,
  channel: ChannelName,
  language: string,
): Promise<ChosenTemplate> {
  const languages = fallbacksOf(language);
  const own = await tx.rows(
    Type.Object({
      id: Type.String(),
      language: Type.String(),
      number: Type.Integer(),
      subject: Nullable,
      text: Type.String(),
      html: Nullable,
    }),
    `select distinct on (language) id, language, number, subject, text, html from notifications.templates
     where tenant_id = $1 and environment = $2 and topic = $3 and channel = $4 and language = any ($5)
       and number is not null
     order by language, number desc`,
    [scope.tenant_id, scope.environment, topic, channel, languages],
  );
  for (const each of languages) {
    const found = own.find((template) => template.language === each);
    if (found !== undefined) {
      const { id, number, subject, text, html } = found;
      return { id, number, language: each, content: { subject, text, html } };
    }
    const content = findPlatformTemplate(topic, channel, each);
    if (content !== undefined) return { id: null, number: PLATFORM_NUMBER, language: each, content };
  }
  throw new Error(`there is no template for ${topic} by ${channel}`);
}

export const Preview = Type.Object({
  template_id: Type.Optional(Id('tpl', 'The template of the institution; absent: the platform’s')),
  language: Type.String(),
  subject: Type.Optional(Type.String()),
  text: Type.String(),
  html: Type.Optional(Type.String()),
});
type Preview = Static<typeof Preview>;

function previewOf(id: string | undefined, language: string, topic: string, content: Content): Preview {
  let rendered: Content;
  try {
    rendered = render(content, sampleOf(topic));
  } catch (error) {
    throw refusalOf(error);
  }
  const { subject, text, html } = rendered;
  return {
    ...(id === undefined ? {} : { template_id: id }),
    language,
    ...(subject === null ? {} : { subject }),
    text,
    ...(html === null ? {} : { html }),
  };
}

/** What a template comes to with sample data. Nothing is sent. */
export async function previewTemplate(tx: Transaction, scope: Scope, uuid: string): Promise<Preview> {
  const { template } = await getTemplate(tx, scope, uuid);
  return previewOf(template.id, template.language, template.topic, contentOf(template));
}

export const PreviewQuery = Type.Object(
  { topic: TemplateTopic, channel: ChannelName, language: Language },
  { additionalProperties: false },
);

/** What a message would say to a speaker of a language now, with sample data. Nothing is sent. */
export async function previewTopic(
  tx: Transaction,
  scope: Scope,
  { topic, channel, language }: Static<typeof PreviewQuery>,
): Promise<Preview> {
  const chosen = await chooseTemplate(tx, scope, topic, channel, language);
  const id = chosen.id === null ? undefined : formatId('tpl', chosen.id);
  return previewOf(id, chosen.language, topic, chosen.content);
}
