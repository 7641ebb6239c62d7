/** What an institution announces to a community of developers. */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import type { Caller } from '../../../platform/access/caller.ts';
import { type CursorContent, pageOf, pageQuery, readPage } from '../../../platform/cursor.ts';
import type { Database, Scope, Transaction } from '../../../platform/db.ts';
import { Text } from '../../../platform/http.ts';
import { type Attempt, canonicalRequest } from '../../../platform/idempotency.ts';
import { formatId, Id, newUuid } from '../../../platform/ids.ts';
import { once } from '../../../platform/once.ts';
import { refuse } from '../errors.ts';
import { getCommunity } from './communities.ts';

export const AnnouncementRequest = Type.Object(
  { title: Text({ min: 1, max: 200 }), text: Text({ min: 1, max: 10_000, description: 'Plain text' }) },
  { additionalProperties: false },
);
export const Announcement = Type.Object({
  id: Id('ann'),
  title: Type.String(),
  text: Type.String(),
  created_at: Type.String(),
  created_by: Type.String(),
  withdrawn_at: Type.Optional(Type.String()),
});
type Announcement = Static<typeof Announcement>;

const Nullable = Type.Union([Type.String(), Type.Null()]);
const Row = Type.Object({
  id: Type.String(),
  title: Type.String(),
  text: Type.String(),
  created_at: Type.String(),
  created_by: Type.String(),
  withdrawn_at: Nullable,
});
const columns = 'id, title, text, created_at, created_by, withdrawn_at';

function shown({ id, withdrawn_at, ...rest }: Static<typeof Row>): Announcement {
  return { ...rest, id: formatId('ann', id), ...(withdrawn_at === null ? {} : { withdrawn_at }) };
}

const Filters = Type.Object({}, { additionalProperties: false });
const Content = Type.Object(
  { filters: Filters, after: Type.String({ format: 'uuid' }) },
  { additionalProperties: false },
);
const isContent = (content: unknown): content is CursorContent<Static<typeof Filters>, string> =>
  Check(Content, content);
export const PageQuery = Type.Object(pageQuery, { additionalProperties: false });

/** Announcements of a community, newest first. @param all those that were withdrawn, too */
export async function listAnnouncements(
  tx: Transaction,
  scope: Scope,
  community_id: string,
  query: Static<typeof PageQuery>,
  all: boolean,
) {
  const page = readPage(isContent, {}, query);
  const rows = await tx.rows(
    Row,
    `select ${columns} from identity.announcements
     where tenant_id = $1 and environment = $2 and community_id = $3 and ($4::uuid is null or id < $4)
       and ($5 or withdrawn_at is null)
     order by id desc limit $6`,
    [scope.tenant_id, scope.environment, community_id, page.after ?? null, all, page.limit + 1],
  );
  return pageOf(rows, page, shown, ({ id }) => id);
}

async function getAnnouncement(
  tx: Transaction,
  scope: Scope,
  community_id: string,
  uuid: string,
): Promise<Announcement> {
  const [row] = await tx.rows(
    Row,
    `select ${columns} from identity.announcements
     where tenant_id = $1 and environment = $2 and community_id = $3 and id = $4`,
    [scope.tenant_id, scope.environment, community_id, uuid],
  );
  if (row === undefined) {
    throw refuse('announcement_not_found', `There is no announcement ${formatId('ann', uuid)}.`);
  }
  return shown(row);
}

export async function announce(
  db: Database,
  caller: Caller,
  community_id: string,
  body: Static<typeof AnnouncementRequest>,
  attempt: Attempt,
): Promise<{ announcement: Announcement; replayed: boolean }> {
  const { id, replayed } = await once(
    db,
    caller,
    { ...attempt, request: canonicalRequest(body) },
    refuse,
    async (tx) => {
      await getCommunity(tx, caller, community_id);
      const uuid = newUuid();
      await tx.run(
        `insert into identity.announcements (tenant_id, environment, id, community_id, title, text, created_by)
         values ($1, $2, $3, $4, $5, $6, $7)`,
        [
          caller.tenant_id,
          caller.environment,
          uuid,
          community_id,
          body.title,
          body.text,
          caller.principal.id,
        ],
      );
      return uuid;
    },
  );
  const announcement = await db.read(caller, (tx) => getAnnouncement(tx, caller, community_id, id));
  return { announcement, replayed };
}

/** Takes an announcement back. One that was stays so. */
export function withdrawAnnouncement(
  db: Database,
  caller: Caller,
  community_id: string,
  uuid: string,
): Promise<{ before: Announcement; after: Announcement }> {
  return db.write(caller, async (tx) => {
    const before = await getAnnouncement(tx, caller, community_id, uuid);
    await tx.run(
      `update identity.announcements set withdrawn_at = now(), withdrawn_by = $4
       where tenant_id = $1 and environment = $2 and id = $3 and withdrawn_at is null`,
      [caller.tenant_id, caller.environment, uuid, caller.principal.id],
    );
    return { before, after: await getAnnouncement(tx, caller, community_id, uuid) };
  });
}
