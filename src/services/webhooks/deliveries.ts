/** Deliveries as those who look after endpoints see them: what was sent, and what was answered. */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import { type Caller, may } from '../../platform/access/caller.ts';
import { Personal } from '../../platform/access/redaction.ts';
import type { EventCatalogue } from '../../platform/bus/catalogue.ts';
import type { CloudEvent } from '../../platform/bus/event.ts';
import { type CursorContent, pageOf, pageQuery, readPage } from '../../platform/cursor.ts';
import type { Transaction } from '../../platform/db.ts';
import { formatId, Id, uuidOf } from '../../platform/ids.ts';
import { confinedTo } from './endpoints.ts';
import { refuse } from './errors.ts';

const Status = Type.Union(
  [
    Type.Literal('waiting'),
    Type.Literal('pending'),
    Type.Literal('delivered'),
    Type.Literal('failed'),
    Type.Literal('missed'),
  ],
  {
    description:
      'waiting: an earlier one about the same thing comes first; pending: to be sent, or to be tried again; failed: given up; missed: the endpoint was disabled',
  },
);

export const Delivery = Type.Object({
  id: Id('dlv'),
  endpoint_id: Id('whk'),
  event_id: Id('evt', 'Id of the event, which is the webhook-id'),
  event_type: Type.String(),
  event_time: Type.String(),
  subject: Type.String({ description: 'What the event is about' }),
  is_test: Type.Boolean(),
  status: Status,
  attempts: Type.Integer(),
  next_attempt_at: Type.Optional(Type.String()),
  created_at: Type.String(),
  finished_at: Type.Optional(Type.String()),
});
export type Delivery = Static<typeof Delivery>;

const Headers = Type.Record(Type.String(), Type.String());
export const DeliveryInFull = Type.Object({
  ...Delivery.properties,
  body: Type.Unknown({ description: 'The event as it is sent, without personal data that one may not see' }),
  attempted: Type.Array(
    Type.Object({
      number: Type.Integer(),
      started_at: Type.String(),
      took_ms: Type.Integer({ description: 'Until the whole answer was there, or none came' }),
      request: Type.Object({
        url: Type.String({ description: 'Without its query' }),
        headers: Type.Record(Type.String(), Type.String(), { description: 'All but webhook-signature' }),
      }),
      answer: Type.Optional(
        Type.Object({
          status: Type.Integer(),
          headers: Headers,
          body: Personal(Type.String({ description: 'Its first 1,024 characters' })),
        }),
      ),
      failure: Type.Optional(Type.String({ description: 'Why it failed' })),
    }),
    { description: 'Every attempt, the first one first' },
  ),
});

const Nullable = Type.Union([Type.String(), Type.Null()]);
const Row = Type.Object({
  id: Type.String(),
  endpoint_id: Type.String(),
  event_id: Type.String(),
  event_type: Type.String(),
  event_time: Type.String(),
  subject: Type.String(),
  is_test: Type.Boolean(),
  status: Status,
  attempts: Type.Integer(),
  next_attempt_at: Nullable,
  created_at: Type.String(),
  finished_at: Nullable,
});

const columns = `d.id, d.endpoint_id, d.event_id, d.event_type, d.event_time, d.subject, d.is_test, d.status, d.attempts,
  case when d.status = 'pending' then d.next_attempt_at end as next_attempt_at, d.created_at, d.finished_at`;

/** Conditions under which a caller sees a delivery; parameters: tenant, environment, the caller's application. */
const visible = `d.tenant_id = $1 and d.environment = $2 and ($3::text is null or exists (
  select from webhooks.endpoints e where e.tenant_id = $1 and e.environment = $2 and e.id = d.endpoint_id
    and e.application_id = $3))`;

function shown({ next_attempt_at, finished_at, ...row }: Static<typeof Row>): Delivery {
  return {
    ...row,
    id: formatId('dlv', row.id),
    endpoint_id: formatId('whk', row.endpoint_id),
    event_id: formatId('evt', row.event_id),
    ...(next_attempt_at === null ? {} : { next_attempt_at }),
    ...(finished_at === null ? {} : { finished_at }),
  };
}

export async function getDelivery(tx: Transaction, caller: Caller, uuid: string): Promise<Delivery> {
  const [row] = await tx.rows(
    Row,
    `select ${columns} from webhooks.deliveries d where ${visible} and d.id = $4`,
    [caller.tenant_id, caller.environment, confinedTo(caller), uuid],
  );
  if (row === undefined) {
    throw refuse(
      'webhook_delivery_not_found',
      `There is no delivery ${formatId('dlv', uuid)} in ${caller.environment}.`,
    );
  }
  return shown(row);
}

const BodyRow = Type.Object({ body: Type.String() });
const AttemptRow = Type.Object({
  number: Type.Integer(),
  started_at: Type.String(),
  took_ms: Type.Integer(),
  url: Type.String(),
  request_headers: Headers,
  status: Type.Union([Type.Integer(), Type.Null()]),
  answer_headers: Type.Union([Headers, Type.Null()]),
  answer_body: Nullable,
  failure: Nullable,
});

function attemptOf(row: Static<typeof AttemptRow>) {
  const { number, started_at, took_ms, url, request_headers, status, answer_headers, answer_body, failure } =
    row;
  return {
    number,
    started_at,
    took_ms,
    request: { url, headers: request_headers },
    ...(status === null
      ? {}
      : { answer: { status, headers: answer_headers ?? {}, body: answer_body ?? '' } }),
    ...(failure === null ? {} : { failure }),
  };
}

/** A delivery with what was sent and every attempt. */
export async function getDeliveryInFull(
  tx: Transaction,
  catalogue: EventCatalogue,
  caller: Caller,
  uuid: string,
): Promise<Static<typeof DeliveryInFull>> {
  const delivery = await getDelivery(tx, caller, uuid);
  const key = [caller.tenant_id, caller.environment, uuid];
  const [kept] = await tx.rows(
    BodyRow,
    'select body from webhooks.deliveries where tenant_id = $1 and environment = $2 and id = $3',
    key,
  );
  const rows = await tx.rows(
    AttemptRow,
    `select number, started_at, took_ms, url, request_headers, status, answer_headers, answer_body, failure
     from webhooks.attempts where tenant_id = $1 and environment = $2 and delivery_id = $3 order by number`,
    key,
  );
  const event: CloudEvent = JSON.parse(kept?.body ?? '{}');
  // Who may not read what happens does not read it here.
  const data = may(caller, 'events:read')
    ? { data: catalogue.showData(delivery.event_type, event.data, caller) }
    : {};
  const { data: _, ...attributes } = event;
  return { ...delivery, body: { ...attributes, ...data }, attempted: rows.map(attemptOf) };
}

const Filters = Type.Object(
  {
    endpoint_id: Type.Optional(Id('whk')),
    status: Type.Optional(Status),
    event_id: Type.Optional(Id('evt')),
    event_type: Type.Optional(Type.String({ pattern: '^[a-z_]+(\\.[a-z_]+){1,4}$', maxLength: 100 })),
  },
  { additionalProperties: false },
);
const Content = Type.Object(
  { filters: Filters, after: Type.String({ format: 'uuid' }) },
  { additionalProperties: false },
);
const isContent = (content: unknown): content is CursorContent<Static<typeof Filters>, string> =>
  Check(Content, content);
export const ListDeliveriesQuery = Type.Object(
  { ...Filters.properties, ...pageQuery },
  { additionalProperties: false },
);

/** Deliveries, newest first. */
export async function listDeliveries(
  tx: Transaction,
  caller: Caller,
  query: Static<typeof ListDeliveriesQuery>,
) {
  const { limit, cursor, ...given } = query;
  const page = readPage(isContent, given, {
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  const { endpoint_id, status, event_id, event_type } = page.filters;
  const rows = await tx.rows(
    Row,
    `select ${columns} from webhooks.deliveries d
     where ${visible} and ($4::uuid is null or d.id < $4) and ($5::uuid is null or d.endpoint_id = $5)
       and ($6::text is null or d.status = $6) and ($7::uuid is null or d.event_id = $7)
       and ($8::text is null or d.event_type = $8)
     order by d.id desc limit $9`,
    [
      caller.tenant_id,
      caller.environment,
      confinedTo(caller),
      page.after ?? null,
      endpoint_id === undefined ? null : uuidOf('whk', endpoint_id),
      status ?? null,
      event_id === undefined ? null : uuidOf('evt', event_id),
      event_type ?? null,
      page.limit + 1,
    ],
  );
  return pageOf(rows, page, shown, ({ id }) => id);
}
