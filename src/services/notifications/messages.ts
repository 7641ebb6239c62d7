/** Messages as those see them who look after them: what was said, how it stands, and why. */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import type { Caller } from '../../platform/access/caller.ts';
import { Personal } from '../../platform/access/redaction.ts';
import { type CursorContent, pageOf, pageQuery, readPage } from '../../platform/cursor.ts';
import type { Database, Scope, Transaction } from '../../platform/db.ts';
import { type Attempt, canonicalRequest } from '../../platform/idempotency.ts';
import { formatId, Id, newUuid, uuidOf } from '../../platform/ids.ts';
import { once } from '../../platform/once.ts';
import { compose } from './compose.ts';
import { assertData, Data } from './data.ts';
import { refuse } from './errors.ts';
import { getRecipient } from './recipients.ts';
import { ChannelName, TopicName } from './topics.ts';

export const MessageRequest = Type.Object(
  {
    recipient_id: Id('rcp'),
    topic: TopicName,
    data: Data(),
    channels: Type.Optional(
      Type.Array(ChannelName, {
        minItems: 1,
        maxItems: 5,
        uniqueItems: true,
        description: 'Absent: those of the topic, and those that the recipient chose beside them',
        examples: [['email']],
      }),
    ),
  },
  { additionalProperties: false },
);

const State = Type.Enum(['waiting', 'sending', 'sent', 'failed', 'suppressed']);
const Step = Type.Object({
  at: Type.String(),
  state: State,
  reason: Type.String({ description: 'A code, as `quiet_hours`' }),
  detail: Type.String(),
});

export const Message = Type.Object({
  id: Id('msg'),
  recipient_id: Id('rcp'),
  topic: Type.String(),
  channel: ChannelName,
  cause: Type.String({ description: 'What it tells of: an event, or what was asked for by a request' }),
  state: State,
  urgent: Type.Boolean(),
  template: Type.Object(
    {
      id: Type.Optional(Id('tpl', 'The template of the institution; absent: the platform’s')),
      number: Type.Integer(),
      language: Type.String(),
    },
    { description: 'What made it' },
  ),
  data: Type.Optional(Personal(Type.Record(Type.String(), Type.Unknown()))),
  content: Type.Optional(
    Personal(
      Type.Object(
        {
          subject: Type.Optional(Type.String()),
          text: Type.String(),
          html: Type.Optional(Type.String()),
        },
        { description: 'Absent once it was forgotten' },
      ),
    ),
  ),
  due_at: Type.String({ description: 'From when on it may be sent' }),
  digest_id: Type.Optional(Id('msg', 'The digest that it is told in')),
  attempts: Type.Integer(),
  delivered_by: Type.Optional(
    Type.String({ description: '`smtp`, `http`, `webhook`, `inbox` or `local_outbox`' }),
  ),
  address: Type.Optional(Personal(Type.String({ description: 'Where it was sent' }))),
  provider_id: Type.Optional(Type.String({ description: 'By what the provider knows it' })),
  sent_at: Type.Optional(Type.String()),
  read_at: Type.Optional(Type.String()),
  created_at: Type.String(),
  created_by: Type.String(),
  steps: Type.Array(Step, { description: 'Why it was or was not sent: each step with its reason' }),
});
export type Message = Static<typeof Message>;

const Nullable = Type.Union([Type.String(), Type.Null()]);
const Row = Type.Object({
  id: Type.String(),
  recipient_id: Type.String(),
  topic: Type.String(),
  channel: ChannelName,
  cause: Type.String(),
  state: State,
  urgent: Type.Boolean(),
  template_id: Nullable,
  template_number: Type.Integer(),
  language: Type.String(),
  data: Type.Union([Type.Record(Type.String(), Type.Unknown()), Type.Null()]),
  subject: Nullable,
  text: Nullable,
  html: Nullable,
  due_at: Type.String(),
  digest_id: Nullable,
  attempts: Type.Integer(),
  delivered_by: Nullable,
  address: Nullable,
  provider_id: Nullable,
  sent_at: Nullable,
  read_at: Nullable,
  created_at: Type.String(),
  created_by: Type.String(),
  steps: Type.Array(Step),
});

const columns = `m.id, m.recipient_id, m.topic, m.channel, m.cause, m.state, m.urgent, m.template_id, m.template_number,
  m.language, m.data, m.subject, m.text, m.html, m.due_at, m.digest_id, m.attempts, m.delivered_by, m.address,
  m.provider_id, m.sent_at, m.read_at, m.created_at, m.created_by,
  (select json_agg(json_build_object('at', to_char(s.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
       'state', s.state, 'reason', s.reason, 'detail', s.detail) order by s.number)
     from notifications.message_steps s
     where s.tenant_id = m.tenant_id and s.environment = m.environment and s.message_id = m.id) as steps`;

function shown(row: Static<typeof Row>): Message {
  const { id, recipient_id, topic, channel, cause, state, urgent, due_at, attempts, created_at, created_by } =
    row;
  const { template_id, template_number, language, subject, text, html, digest_id, data } = row;
  const { delivered_by, address, provider_id, sent_at, read_at, steps } = row;
  return {
    id: formatId('msg', id),
    recipient_id: formatId('rcp', recipient_id),
    topic,
    channel,
    cause,
    state,
    urgent,
    template: {
      ...(template_id === null ? {} : { id: formatId('tpl', template_id) }),
      number: template_number,
      language,
    },
    ...(data === null ? {} : { data }),
    ...(text === null
      ? {}
      : {
          content: {
            ...(subject === null ? {} : { subject }),
            text,
            ...(html === null ? {} : { html }),
          },
        }),
    due_at,
    ...(digest_id === null ? {} : { digest_id: formatId('msg', digest_id) }),
    attempts,
    ...(delivered_by === null ? {} : { delivered_by }),
    ...(address === null ? {} : { address }),
    ...(provider_id === null ? {} : { provider_id }),
    ...(sent_at === null ? {} : { sent_at }),
    ...(read_at === null ? {} : { read_at }),
    created_at,
    created_by,
    steps,
  };
}

export async function getMessage(tx: Transaction, scope: Scope, uuid: string): Promise<Message> {
  const [row] = await tx.rows(
    Row,
    `select ${columns} from notifications.messages m where m.tenant_id = $1 and m.environment = $2 and m.id = $3`,
    [scope.tenant_id, scope.environment, uuid],
  );
  if (row === undefined) {
    throw refuse(
      'message_not_found',
      `There is no message ${formatId('msg', uuid)} in ${scope.environment}.`,
    );
  }
  return shown(row);
}

/** `local_outbox`: what would have left the installation if there were a way out. */
export const LOCAL_OUTBOX = 'local_outbox';

const Filters = Type.Object(
  {
    recipient_id: Type.Optional(Id('rcp')),
    topic: Type.Optional(Type.String({ minLength: 1, maxLength: 64, examples: ['limits.crossed'] })),
    channel: Type.Optional(ChannelName),
    state: Type.Optional(State),
    cause: Type.Optional(Type.String({ minLength: 1, maxLength: 300 })),
    digest_id: Type.Optional(Id('msg', 'The digest that they are told in')),
  },
  { additionalProperties: false },
);
const OutboxFilters = Type.Pick(Filters, ['recipient_id', 'channel']);
const InboxFilters = Type.Object(
  {
    recipient_id: Id('rcp', 'Whose inbox'),
    unread: Type.Optional(Type.Boolean({ description: 'Only what was not read' })),
  },
  { additionalProperties: false },
);
const AllFilters = Type.Object(
  { ...Filters.properties, unread: Type.Optional(Type.Boolean()) },
  { additionalProperties: false },
);
type AllFilters = Static<typeof AllFilters>;
const Content = Type.Object(
  { filters: AllFilters, after: Type.String({ format: 'uuid' }) },
  { additionalProperties: false },
);
const isContent = (content: unknown): content is CursorContent<AllFilters, string> => Check(Content, content);

export const ListMessagesQuery = Type.Object(
  { ...Filters.properties, ...pageQuery },
  { additionalProperties: false },
);
export const OutboxQuery = Type.Object(
  { ...OutboxFilters.properties, ...pageQuery },
  { additionalProperties: false },
);
export const InboxQuery = Type.Object(
  { ...InboxFilters.properties, ...pageQuery },
  { additionalProperties: false },
);
type Paging = { limit?: number | undefined; cursor?: string | undefined };

/** Messages, newest first. `delivered_by` holds beside the filters of the query. */
async function list(tx: Transaction, scope: Scope, query: AllFilters & Paging, delivered_by: string | null) {
  const { limit, cursor, ...given } = query;
  const page = readPage(isContent, given, {
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  const { recipient_id, topic, channel, state, cause, digest_id, unread } = page.filters;
  const rows = await tx.rows(
    Row,
    `select ${columns} from notifications.messages m
     where m.tenant_id = $1 and m.environment = $2 and ($3::uuid is null or m.id < $3)
       and ($4::uuid is null or m.recipient_id = $4) and ($5::text is null or m.topic = $5)
       and ($6::text is null or m.channel = $6) and ($7::text is null or m.state = $7)
       and ($8::text is null or m.cause = $8) and ($9::uuid is null or m.digest_id = $9)
       and ($10::text is null or m.delivered_by = $10) and ($11::boolean is not true or m.read_at is null)
     order by m.id desc limit $12`,
    [
      scope.tenant_id,
      scope.environment,
      page.after ?? null,
      recipient_id === undefined ? null : uuidOf('rcp', recipient_id),
      topic ?? null,
      channel ?? null,
      state ?? null,
      cause ?? null,
      digest_id === undefined ? null : uuidOf('msg', digest_id),
      delivered_by,
      unread ?? null,
      page.limit + 1,
    ],
  );
  return pageOf(rows, page, shown, ({ id }) => id);
}

export function listMessages(tx: Transaction, scope: Scope, query: Static<typeof ListMessagesQuery>) {
  return list(tx, scope, query, null);
}

/** What was put into the local outbox instead of leaving the installation, newest first. */
export function listOutbox(tx: Transaction, scope: Scope, query: Static<typeof OutboxQuery>) {
  return list(tx, scope, query, LOCAL_OUTBOX);
}

export const Inbox = Type.Object({
  data: Type.Array(Message),
  next_cursor: Type.Union([Type.String(), Type.Null()], { description: 'Null on the last page' }),
  recipient_id: Id('rcp'),
  unread: Type.Boolean({ description: 'Whether anything in the whole inbox was not read' }),
});

/** What a recipient was told in the application, newest first. */
export async function readInbox(
  tx: Transaction,
  scope: Scope,
  query: Static<typeof InboxQuery>,
): Promise<Static<typeof Inbox>> {
  const { recipient_id } = query;
  const uuid = uuidOf('rcp', recipient_id);
  await getRecipient(tx, scope, uuid);
  const page = await list(tx, scope, query, 'inbox');
  const unread = await tx.run(
    `select from notifications.messages where tenant_id = $1 and environment = $2 and recipient_id = $3
       and channel = 'in_app' and delivered_by = 'inbox' and read_at is null limit 1`,
    [scope.tenant_id, scope.environment, uuid],
  );
  return { ...page, recipient_id, unread: unread > 0 };
}

/** Marks a message of an inbox as read. One that was read stays read since then. */
export function markRead(
  db: Database,
  scope: Scope,
  uuid: string,
): Promise<{ before: Message; after: Message }> {
  return db.write(scope, async (tx) => {
    await tx.run(
      'select from notifications.messages where tenant_id = $1 and environment = $2 and id = $3 for no key update',
      [scope.tenant_id, scope.environment, uuid],
    );
    const before = await getMessage(tx, scope, uuid);
    if (before.channel !== 'in_app' || before.state !== 'sent') {
      throw refuse(
        'message_not_in_inbox',
        `${before.id} is a message by ${before.channel}, and ${before.state}.`,
      );
    }
    await tx.run(
      `update notifications.messages set read_at = coalesce(read_at, platform.now_of($1, $2))
       where tenant_id = $1 and environment = $2 and id = $3`,
      [scope.tenant_id, scope.environment, uuid],
    );
    return { before, after: await getMessage(tx, scope, uuid) };
  });
}

export const Notification = Type.Object({
  id: Id('ntf'),
  messages: Type.Array(Message, { description: 'One for each channel' }),
});
export type Notification = Static<typeof Notification>;

/** Makes the messages to a recipient about a topic, once for each idempotency key. They are sent a moment later. */
export async function sendMessage(
  db: Database,
  caller: Caller,
  body: Static<typeof MessageRequest>,
  attempt: Attempt,
): Promise<{ notification: Notification; replayed: boolean }> {
  const { id: uuid, replayed } = await once(
    db,
    caller,
    { ...attempt, request: canonicalRequest(body) },
    refuse,
    async (tx) => {
      assertData(body.topic, body.data);
      const { recipient } = await getRecipient(tx, caller, uuidOf('rcp', body.recipient_id));
      const notification = newUuid();
      await compose(tx, caller, {
        recipient,
        topic: body.topic,
        data: body.data,
        ...(body.channels === undefined ? {} : { channels: body.channels }),
        cause: formatId('ntf', notification),
        created_by: caller.principal.id,
      });
      return notification;
    },
  );
  const id = formatId('ntf', uuid);
  const { data } = await db.read(caller, (tx) => listMessages(tx, caller, { cause: id, limit: 100 }));
  return { notification: { id, messages: data.toReversed() }, replayed };
}
