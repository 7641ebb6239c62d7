/** What whoever asks was told in the application: of one's own nothing is masked, and no permission is needed. */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import type { Caller } from '../../platform/access/caller.ts';
import { type CursorContent, pageOf, pageQuery, readPage } from '../../platform/cursor.ts';
import type { Database, Transaction } from '../../platform/db.ts';
import { formatId, Id } from '../../platform/ids.ts';
import { refuse } from './errors.ts';

export const OwnMessage = Type.Object({
  id: Id('msg'),
  topic: Type.String(),
  urgent: Type.Boolean(),
  subject: Type.Optional(Type.String()),
  text: Type.Optional(Type.String({ description: 'Absent once it was forgotten' })),
  sent_at: Type.String(),
  read_at: Type.Optional(Type.String()),
});
type OwnMessage = Static<typeof OwnMessage>;

export const OwnInbox = Type.Object({
  data: Type.Array(OwnMessage),
  next_cursor: Type.Union([Type.String(), Type.Null()], { description: 'Null on the last page' }),
  unread: Type.Boolean({ description: 'Whether anything in the whole inbox was not read' }),
});

const Filters = Type.Object(
  { unread: Type.Optional(Type.Boolean({ description: 'Only what was not read' })) },
  { additionalProperties: false },
);
const Content = Type.Object(
  { filters: Filters, after: Type.String({ format: 'uuid' }) },
  { additionalProperties: false },
);
const isContent = (content: unknown): content is CursorContent<Static<typeof Filters>, string> =>
  Check(Content, content);
export const OwnInboxQuery = Type.Object(
  { ...Filters.properties, ...pageQuery },
  { additionalProperties: false },
);

const Nullable = Type.Union([Type.String(), Type.Null()]);
const Row = Type.Object({
  id: Type.String(),
  topic: Type.String(),
  urgent: Type.Boolean(),
  subject: Nullable,
  text: Nullable,
  sent_at: Type.String(),
  read_at: Nullable,
});
const columns = 'm.id, m.topic, m.urgent, m.subject, m.text, m.sent_at, m.read_at';
/** Of whom whoever asks is: the recipient whose reference is their id. */
const own = `notifications.messages m join notifications.recipients r
    on r.tenant_id = m.tenant_id and r.environment = m.environment and r.id = m.recipient_id
  where m.tenant_id = $1 and m.environment = $2 and r.reference = $3
    and m.channel = 'in_app' and m.state = 'sent' and m.delivered_by = 'inbox'`;
const keyOf = ({ tenant_id, environment, principal }: Caller) => [tenant_id, environment, principal.id];

function shown({ id, subject, text, read_at, ...rest }: Static<typeof Row>): OwnMessage {
  return {
    id: formatId('msg', id),
    ...rest,
    ...(subject === null ? {} : { subject }),
    ...(text === null ? {} : { text }),
    ...(read_at === null ? {} : { read_at }),
  };
}

/** Newest first. Who is nobody's recipient was told nothing. */
export async function readOwnInbox(
  tx: Transaction,
  caller: Caller,
  { limit, cursor, ...given }: Static<typeof OwnInboxQuery>,
): Promise<Static<typeof OwnInbox>> {
  const page = readPage(isContent, given, {
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  const rows = await tx.rows(
    Row,
    `select ${columns} from ${own} and ($4::boolean is not true or m.read_at is null)
       and ($5::uuid is null or m.id < $5)
     order by m.id desc limit $6`,
    [...keyOf(caller), page.filters.unread ?? null, page.after ?? null, page.limit + 1],
  );
  const unread = await tx.run(`select from ${own} and m.read_at is null limit 1`, keyOf(caller));
  return { ...pageOf(rows, page, shown, ({ id }) => id), unread: unread > 0 };
}

/** Marks a message of one's own inbox as read. One that was read stays read since then. */
export function markOwnRead(
  db: Database,
  caller: Caller,
  uuid: string,
): Promise<{ before: OwnMessage; after: OwnMessage }> {
  return db.write(caller, async (tx) => {
    const find = async (): Promise<OwnMessage> => {
      const [row] = await tx.rows(Row, `select ${columns} from ${own} and m.id = $4 for no key update of m`, [
        ...keyOf(caller),
        uuid,
      ]);
      if (row !== undefined) return shown(row);
      throw refuse('message_not_found', `There is no message ${formatId('msg', uuid)} in your inbox.`);
    };
    const before = await find();
    await tx.run(
      `update notifications.messages set read_at = coalesce(read_at, platform.now_of($1, $2))
       where tenant_id = $1 and environment = $2 and id = $3`,
      [caller.tenant_id, caller.environment, uuid],
    );
    return { before, after: await find() };
  });
}
