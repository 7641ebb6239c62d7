/** Whom an institution tells things: its staff, its customers and organisations, with their addresses and wishes. */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import type { Caller } from '../../platform/access/caller.ts';
import { Personal, Secret } from '../../platform/access/redaction.ts';
import { type CursorContent, pageOf, pageQuery, readPage } from '../../platform/cursor.ts';
import type { Database, Scope, Transaction } from '../../platform/db.ts';
import { assertMatches } from '../../platform/etag.ts';
import { Text } from '../../platform/http.ts';
import { type Attempt, canonicalRequest } from '../../platform/idempotency.ts';
import { formatId, Id, newUuid } from '../../platform/ids.ts';
import { once } from '../../platform/once.ts';
import type { Problem } from '../../platform/problem.ts';
import { refuse } from './errors.ts';
import { Language } from './language.ts';
import { assertPreferences, KeptPreferences, Preferences } from './preferences.ts';
import { addStep, recipientGone } from './steps.ts';
import { type ChannelName, TopicName } from './topics.ts';

const Kind = Type.Enum(['staff', 'customer', 'organisation']);
const Status = Type.Enum(['active', 'disabled'], { description: 'Who is disabled is sent nothing' });
const LocalTime = () =>
  Type.String({
    pattern: '^([01][0-9]|2[0-3]):[0-5][0-9]$',
    description: 'Hours and minutes in the time zone of the recipient',
    examples: ['22:00'],
  });
const Reference = Type.String({
  minLength: 1,
  maxLength: 255,
  pattern: '^[\\x21-\\x7e]+$',
  description: 'By what the institution knows whom it tells, as the id of a person; unique',
  examples: ['usr_01h455vb4pex5vsknk084sn02q'],
});
const Name = () => Personal(Text({ min: 1, max: 255, examples: ['Ana Souza'] }));
/** No white space, and nothing that begins another address or header (RFC 5321). */
const Email = () =>
  Type.String({
    maxLength: 254,
    pattern:
      "^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$",
    examples: ['ana@bank.example'],
  });
const Phone = () =>
  Type.String({
    pattern: '^\\+[1-9][0-9]{6,14}$',
    description: 'E.164',
    examples: ['+5511999990000'],
  });
const PushToken = () =>
  Type.String({
    minLength: 1,
    maxLength: 4_096,
    pattern: '^[\\x21-\\x7e]+$',
    description: 'By which the provider of push messages knows the device',
    examples: ['d7f1c2'],
  });
const WebhookUrl = Type.String({
  maxLength: 2_000,
  pattern: '^https?://[\\x21-\\x7e]+$',
  description: 'Where messages of the channel webhook are posted',
  examples: ['https://partner.example/notifications'],
});
const TimeZone = Type.String({
  minLength: 1,
  maxLength: 64,
  pattern: '^[A-Za-z0-9/_+-]+$',
  description: 'Name in the IANA time zone database',
  examples: ['America/Sao_Paulo'],
});
const QuietHours = Type.Object(
  { from: LocalTime(), to: LocalTime() },
  {
    additionalProperties: false,
    description: 'What is not urgent and falls within them waits for their end; `to` may be of the next day',
  },
);
const Subscriptions = Type.Array(TopicName, {
  maxItems: 20,
  uniqueItems: true,
  description: 'Topics whose events it is told of without being named',
  examples: [['limits.crossed']],
});

const DEFAULT_LANGUAGE = 'en';
const DEFAULT_TIME_ZONE = 'UTC';
const DEFAULT_DIGEST_AT = '08:00';

export const RecipientRequest = Type.Object(
  {
    kind: Kind,
    name: Name(),
    reference: Type.Optional(Reference),
    language: Type.Optional(Language),
    time_zone: Type.Optional(TimeZone),
    email: Type.Optional(Personal(Email())),
    phone: Type.Optional(Personal(Phone())),
    push_token: Type.Optional(Secret(PushToken())),
    webhook_url: Type.Optional(WebhookUrl),
    quiet_hours: Type.Optional(QuietHours),
    digest_at: Type.Optional(LocalTime()),
    preferences: Type.Optional(Preferences),
    subscriptions: Type.Optional(Subscriptions),
  },
  { additionalProperties: false },
);

export const EditRecipientRequest = Type.Object(
  {
    name: Type.Optional(Name()),
    language: Type.Optional(Language),
    time_zone: Type.Optional(TimeZone),
    email: Type.Optional(Personal(Type.Union([Email(), Type.Null()]))),
    phone: Type.Optional(Personal(Type.Union([Phone(), Type.Null()]))),
    push_token: Type.Optional(Secret(Type.Union([PushToken(), Type.Null()]))),
    webhook_url: Type.Optional(Type.Union([WebhookUrl, Type.Null()])),
    quiet_hours: Type.Optional(Type.Union([QuietHours, Type.Null()])),
    digest_at: Type.Optional(LocalTime()),
    preferences: Type.Optional(Preferences),
    subscriptions: Type.Optional(Subscriptions),
    status: Type.Optional(Status),
  },
  {
    additionalProperties: false,
    minProperties: 1,
    description: 'Preferences and subscriptions are replaced whole',
  },
);

export const Recipient = Type.Object({
  id: Id('rcp'),
  kind: Kind,
  name: Personal(Type.String()),
  reference: Type.Optional(Type.String()),
  language: Type.String(),
  time_zone: Type.String(),
  email: Type.Optional(Personal(Type.String())),
  phone: Type.Optional(Personal(Type.String())),
  push_token: Type.Optional(Secret(Type.String())),
  webhook_url: Type.Optional(Type.String()),
  quiet_hours: Type.Optional(Type.Object({ from: Type.String(), to: Type.String() })),
  digest_at: Type.String(),
  preferences: KeptPreferences,
  subscriptions: Type.Array(Type.String()),
  status: Status,
  created_at: Type.String(),
  created_by: Type.String(),
  updated_at: Type.String(),
});
export type Recipient = Static<typeof Recipient>;

const Nullable = Type.Union([Type.String(), Type.Null()]);
const Row = Type.Object({
  id: Type.String(),
  kind: Kind,
  name: Type.String(),
  reference: Nullable,
  language: Type.String(),
  time_zone: Type.String(),
  email: Nullable,
  phone: Nullable,
  push_token: Nullable,
  webhook_url: Nullable,
  quiet_from: Nullable,
  quiet_to: Nullable,
  digest_at: Type.String(),
  preferences: KeptPreferences,
  subscriptions: Type.Array(Type.String()),
  status: Status,
  created_at: Type.String(),
  created_by: Type.String(),
  updated_at: Type.String(),
  version: Type.Integer(),
});

const columns = `id, kind, name, reference, language, time_zone, email, phone, push_token, webhook_url,
  to_char(quiet_from, 'HH24:MI') as quiet_from, to_char(quiet_to, 'HH24:MI') as quiet_to,
  to_char(digest_at, 'HH24:MI') as digest_at, preferences, subscriptions, status, created_at, created_by, updated_at,
  version`;

function shown(row: Static<typeof Row>): Recipient {
  const { version: _, reference, email, phone, push_token, webhook_url, quiet_from, quiet_to, ...rest } = row;
  return {
    ...rest,
    id: formatId('rcp', rest.id),
    ...(reference === null ? {} : { reference }),
    ...(email === null ? {} : { email }),
    ...(phone === null ? {} : { phone }),
    ...(push_token === null ? {} : { push_token }),
    ...(webhook_url === null ? {} : { webhook_url }),
    ...(quiet_from === null || quiet_to === null ? {} : { quiet_hours: { from: quiet_from, to: quiet_to } }),
  };
}

/** Where a recipient is reached by a channel; undefined where there is nowhere. */
export function findAddress(
  { id, email, phone, push_token, webhook_url }: Recipient,
  channel: ChannelName,
): string | undefined {
  const addresses: Record<ChannelName, string | undefined> = {
    email,
    sms: phone,
    push: push_token,
    webhook: webhook_url,
    in_app: id,
  };
  return addresses[channel];
}

export interface VersionedRecipient {
  recipient: Recipient;
  version: number;
}

export async function findRecipient(
  tx: Transaction,
  scope: Scope,
  uuid: string,
): Promise<VersionedRecipient | undefined> {
  const [row] = await tx.rows(
    Row,
    `select ${columns} from notifications.recipients where tenant_id = $1 and environment = $2 and id = $3`,
    [scope.tenant_id, scope.environment, uuid],
  );
  return row === undefined ? undefined : { recipient: shown(row), version: row.version };
}

export async function getRecipient(tx: Transaction, scope: Scope, uuid: string): Promise<VersionedRecipient> {
  const found = await findRecipient(tx, scope, uuid);
  if (found === undefined) throw recipientNotFound(scope, formatId('rcp', uuid));
  return found;
}

export function recipientNotFound({ environment }: Scope, id: string): Problem {
  return refuse('recipient_not_found', `There is no recipient ${id} in ${environment}.`);
}

/** Holds a recipient as it is until the transaction ends. */
export async function lockRecipient(tx: Transaction, scope: Scope, uuid: string): Promise<void> {
  await tx.run(
    'select from notifications.recipients where tenant_id = $1 and environment = $2 and id = $3 for no key update',
    [scope.tenant_id, scope.environment, uuid],
  );
}

/** Those who are told of a topic without being named. None of them is removed before the commit. */
export async function listSubscribed(tx: Transaction, scope: Scope, topic: string): Promise<Recipient[]> {
  const rows = await tx.rows(
    Row,
    `select ${columns} from notifications.recipients
     where tenant_id = $1 and environment = $2 and subscriptions @> array[$3] and status = 'active' order by id
     for key share`,
    [scope.tenant_id, scope.environment, topic],
  );
  return rows.map(shown);
}

const Filters = Type.Object(
  {
    kind: Type.Optional(Kind),
    status: Type.Optional(Status),
    reference: Type.Optional(Reference),
    subscribed_to: Type.Optional(TopicName),
  },
  { additionalProperties: false },
);
const Content = Type.Object(
  { filters: Filters, after: Type.String({ format: 'uuid' }) },
  { additionalProperties: false },
);
const isContent = (content: unknown): content is CursorContent<Static<typeof Filters>, string> =>
  Check(Content, content);
export const ListRecipientsQuery = Type.Object(
  { ...Filters.properties, ...pageQuery },
  { additionalProperties: false },
);

/** Recipients, newest first. */
export async function listRecipients(
  tx: Transaction,
  scope: Scope,
  query: Static<typeof ListRecipientsQuery>,
) {
  const { limit, cursor, ...given } = query;
  const page = readPage(isContent, given, {
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  const { kind, status, reference, subscribed_to } = page.filters;
  const rows = await tx.rows(
    Row,
    `select ${columns} from notifications.recipients
     where tenant_id = $1 and environment = $2 and ($3::uuid is null or id < $3)
       and ($4::text is null or kind = $4) and ($5::text is null or status = $5)
       and ($6::text is null or reference = $6) and ($7::text is null or subscriptions @> array[$7])
     order by id desc limit $8`,
    [
      scope.tenant_id,
      scope.environment,
      page.after ?? null,
      kind ?? null,
      status ?? null,
      reference ?? null,
      subscribed_to ?? null,
      page.limit + 1,
    ],
  );
  return pageOf(rows, page, shown, ({ id }) => id);
}

/** What is a time zone: the names that the runtime's copy of the IANA database has, and UTC, which it leaves out. */
const timeZones: ReadonlySet<string> = new Set(['UTC', ...Intl.supportedValuesOf('timeZone')]);

function assertSound(body: Static<typeof EditRecipientRequest>): void {
  const { time_zone, quiet_hours, preferences } = body;
  if (time_zone !== undefined && !timeZones.has(time_zone)) {
    throw refuse('recipient_not_sound', `${time_zone} is no time zone of the IANA database.`);
  }
  if (quiet_hours?.from !== undefined && quiet_hours.from === quiet_hours.to) {
    throw refuse(
      'recipient_not_sound',
      `Quiet hours from ${quiet_hours.from} to ${quiet_hours.to} have no length.`,
    );
  }
  if (preferences !== undefined) assertPreferences(preferences);
}

/** Registers a recipient. */
export async function registerRecipient(
  db: Database,
  caller: Caller,
  body: Static<typeof RecipientRequest>,
  attempt: Attempt,
): Promise<VersionedRecipient & { replayed: boolean }> {
  const { kind, reference, ...rest } = body;
  const { id, replayed } = await once(
    db,
    caller,
    { ...attempt, request: canonicalRequest(body) },
    refuse,
    async (tx) => {
      assertSound(rest);
      const uuid = newUuid();
      const created = await tx.run(
        `insert into notifications.recipients (tenant_id, environment, id, kind, name, reference, language, time_zone,
           email, phone, push_token, webhook_url, quiet_from, quiet_to, digest_at, preferences, subscriptions, created_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
         on conflict (reference, tenant_id, environment) do nothing`,
        [
          caller.tenant_id,
          caller.environment,
          uuid,
          kind,
          body.name,
          reference ?? null,
          body.language ?? DEFAULT_LANGUAGE,
          body.time_zone ?? DEFAULT_TIME_ZONE,
          body.email ?? null,
          body.phone ?? null,
          body.push_token ?? null,
          body.webhook_url ?? null,
          body.quiet_hours?.from ?? null,
          body.quiet_hours?.to ?? null,
          body.digest_at ?? DEFAULT_DIGEST_AT,
          JSON.stringify(body.preferences ?? {}),
          body.subscriptions ?? [],
          caller.principal.id,
        ],
      );
      if (created === 0) {
        throw refuse('recipient_exists', `There is a recipient with the reference ${reference} already.`);
      }
      return uuid;
    },
  );
  return { ...(await db.read(caller, (tx) => getRecipient(tx, caller, id))), replayed };
}

/**
 * Registers a recipient that another service knows by a reference, or corrects the name and address of the one there is;
 * what they wish themselves stays. Returns the UUID.
 */
export async function putRecipient(
  tx: Transaction,
  caller: Caller,
  known: { reference: string; kind: Static<typeof Kind>; name: string; email: string; language: string },
): Promise<string> {
  const [row] = await tx.rows(
    Type.Object({ id: Type.String() }),
    `insert into notifications.recipients as r (tenant_id, environment, id, kind, name, reference, language, time_zone,
       email, digest_at, preferences, subscriptions, created_by)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, '{}', '{}', $11)
     on conflict (reference, tenant_id, environment) do update
       set name = excluded.name, email = excluded.email, version = r.version + 1, updated_at = now()
     returning id`,
    [
      caller.tenant_id,
      caller.environment,
      newUuid(),
      known.kind,
      known.name,
      known.reference,
      known.language,
      DEFAULT_TIME_ZONE,
      known.email,
      DEFAULT_DIGEST_AT,
      caller.principal.id,
    ],
  );
  if (row === undefined) throw new Error(`the recipient ${known.reference} was not kept`);
  return row.id;
}

/** What an edit leaves of what there was: null takes it away. */
function edited<T>(given: T | null | undefined, before: T | undefined): T | null {
  return given === undefined ? (before ?? null) : given;
}

/** Edits a recipient. What waits is sent to the addresses that it has by then. */
export function editRecipient(
  db: Database,
  scope: Scope,
  uuid: string,
  body: Static<typeof EditRecipientRequest>,
  ifMatch: string | undefined,
): Promise<{ before: Recipient; after: Recipient; version: number }> {
  return db.write(scope, async (tx) => {
    await lockRecipient(tx, scope, uuid);
    const { recipient: before, version } = await getRecipient(tx, scope, uuid);
    assertMatches(ifMatch, version, 'the recipient');
    assertSound(body);
    const quiet = edited(body.quiet_hours, before.quiet_hours);
    await tx.run(
      `update notifications.recipients
       set name = $4, language = $5, time_zone = $6, email = $7, phone = $8, push_token = $9, webhook_url = $10,
         quiet_from = $11, quiet_to = $12, digest_at = $13, preferences = $14, subscriptions = $15, status = $16,
         version = version + 1, updated_at = now()
       where tenant_id = $1 and environment = $2 and id = $3`,
      [
        scope.tenant_id,
        scope.environment,
        uuid,
        body.name ?? before.name,
        body.language ?? before.language,
        body.time_zone ?? before.time_zone,
        edited(body.email, before.email),
        edited(body.phone, before.phone),
        edited(body.push_token, before.push_token),
        edited(body.webhook_url, before.webhook_url),
        quiet?.from ?? null,
        quiet?.to ?? null,
        body.digest_at ?? before.digest_at,
        JSON.stringify(body.preferences ?? before.preferences),
        body.subscriptions ?? before.subscriptions,
        body.status ?? before.status,
      ],
    );
    const { recipient, version: now } = await getRecipient(tx, scope, uuid);
    return { before, after: recipient, version: now };
  });
}

const Removed = Type.Object({ id: Type.String() });

/**
 * Removes a recipient, and with them what messages said and where they went: that there were messages, and what became of
 * them, stays. What waits is sent to nobody; what is being handed over at this moment may still arrive.
 */
export function removeRecipient(
  db: Database,
  scope: Scope,
  uuid: string,
  ifMatch: string | undefined,
): Promise<Recipient> {
  return db.write(scope, async (tx) => {
    const key = [scope.tenant_id, scope.environment, uuid];
    await lockRecipient(tx, scope, uuid);
    const { recipient, version } = await getRecipient(tx, scope, uuid);
    assertMatches(ifMatch, version, 'the recipient');
    await tx.run(
      'delete from notifications.webhook_secrets where tenant_id = $1 and environment = $2 and recipient_id = $3',
      key,
    );
    await tx.run(
      'delete from notifications.recipients where tenant_id = $1 and environment = $2 and id = $3',
      key,
    );
    const suppressed = await tx.rows(
      Removed,
      `update notifications.messages set state = 'suppressed', settled_at = platform.now_of($1, $2)
       where tenant_id = $1 and environment = $2 and recipient_id = $3 and state = 'waiting' returning id`,
      key,
    );
    for (const { id } of suppressed) await addStep(tx, scope, id, recipientGone);
    await tx.run(
      `update notifications.messages
       set data = null, subject = null, text = null, html = null, address = null, forgotten_at = platform.now_of($1, $2)
       where tenant_id = $1 and environment = $2 and recipient_id = $3 and forgotten_at is null`,
      key,
    );
    return recipient;
  });
}
