/** Proposals: requests that wait for a second person, as they are kept and shown. */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import type { Caller, Principal } from '../access/caller.ts';
import { Personal } from '../access/redaction.ts';
import { type CursorContent, pageOf, pageQuery, readPage } from '../cursor.ts';
import type { Scope, Transaction } from '../db.ts';
import { Text } from '../http.ts';
import { formatId, Id } from '../ids.ts';
import { Money } from '../money.ts';
import { behind } from './behind.ts';
import { refuse } from './errors.ts';

/** As they are shown: those that are not yet, or never came to be, are nobody's business. */
const Status = Type.Union(
  [
    Type.Literal('pending'),
    Type.Literal('approved'),
    Type.Literal('executed'),
    Type.Literal('failed'),
    Type.Literal('rejected'),
    Type.Literal('cancelled'),
    Type.Literal('expired'),
  ],
  {
    description:
      'pending: waits for a decision. approved: is being carried out, or waits for the proposer to repeat the request where only they may see the answer. executed: done. failed: approved, but refused when it was carried out; `result` says why',
  },
);

const Who = Type.Object({
  kind: Type.Union([
    Type.Literal('key'),
    Type.Literal('person'),
    Type.Literal('application'),
    Type.Literal('service'),
    Type.Literal('device'),
  ]),
  id: Type.String(),
  name: Type.String(),
});

export const Result = Type.Object({
  status: Type.Integer({ description: 'HTTP status that the request was answered with' }),
  location: Type.Optional(Type.String({ description: 'What it created' })),
  body: Type.Optional(
    Personal(
      Type.Unknown({ description: 'The answer, if nothing in it is secret; problem details if it failed' }),
    ),
  ),
});
export type Result = Static<typeof Result>;

export const Proposal = Type.Object({
  id: Id('prp'),
  status: Status,
  action: Type.String({ description: 'Permission that the request needs, and whoever approves it as well' }),
  policy: Type.String({ description: 'Action of the policy that it waits for' }),
  summary: Type.String({ description: 'What the request does, in words' }),
  request: Type.Object(
    {
      method: Type.String(),
      url: Type.String(),
      body: Type.Optional(Personal(Type.Unknown({ description: 'Left out of lists' }))),
      idempotency_key: Type.Optional(Type.String()),
      if_match: Type.Optional(Type.String()),
    },
    { description: 'What was asked, and is carried out as it stands here' },
  ),
  amounts: Type.Array(Money, { description: 'The largest amount that it moves at once, for each currency' }),
  reserved: Type.Array(Id('hld'), {
    description: 'Holds that keep the money while it waits; none where nothing could be set aside',
  }),
  proposed_by: Who,
  on_behalf_of: Type.Optional(Who),
  created_at: Type.String(),
  expires_at: Type.String(),
  decided_by: Type.Optional(Who),
  decided_at: Type.Optional(Type.String()),
  reason: Type.Optional(Type.String()),
  result: Type.Optional(Result),
});
export type Proposal = Static<typeof Proposal>;

const OptionalText = Type.Union([Type.String(), Type.Null()]);

export const ProposalRow = Type.Object({
  id: Type.String(),
  status: Type.Union([Type.Literal('reserving'), Type.Literal('refused'), ...Status.anyOf]),
  action: Type.String(),
  policy: Type.String(),
  summary: Type.String(),
  route: Type.String(),
  method: Type.String(),
  url: Type.String(),
  body: OptionalText,
  if_match: OptionalText,
  key: Type.String(),
  keyed: Type.Boolean(),
  proposed_by: Who,
  on_behalf_of: Type.Union([Who, Type.Null()]),
  behind: Type.Array(Type.String()),
  amounts: Type.Array(Money),
  reserved: Type.Array(Type.String()),
  created_at: Type.String(),
  expires_at: Type.String(),
  decided_by: Type.Union([Who, Type.Null()]),
  decided_at: OptionalText,
  reason: OptionalText,
  result: Type.Union([Result, Type.Null()]),
  is_over: Type.Boolean(),
});
export type ProposalRow = Static<typeof ProposalRow>;

const shown = `id, status, action, policy, summary, route, method, url, if_match, key, keyed, proposed_by, on_behalf_of,
  behind, amounts, reserved, created_at, expires_at, decided_by, decided_at, reason, result,
  expires_at <= statement_timestamp() as is_over`;
export const proposalColumns = `${shown}, body`;

/** Whom a record names. */
export function who({ kind, id, name }: Principal): Principal {
  return { kind, id, name };
}

/** Ids under which a caller proposes. */
export function namesOf({ principal, on_behalf_of }: Pick<Caller, 'principal' | 'on_behalf_of'>): string[] {
  return on_behalf_of === undefined ? [principal.id] : [principal.id, on_behalf_of.id];
}

/** A row as it is shown. One that is being reserved was asked a moment ago: it is shown to nobody but who asked. */
export function proposalOf(row: ProposalRow): Proposal {
  const { id, status, decided_by, decided_at, reason, result, on_behalf_of, body, if_match } = row;
  if (status === 'reserving' || status === 'refused') throw new Error(`proposal ${id} is ${status}`);
  return {
    id: formatId('prp', id),
    status,
    action: row.action,
    policy: row.policy,
    summary: row.summary,
    request: {
      method: row.method,
      url: row.url,
      ...(body === null ? {} : { body: JSON.parse(body) }),
      ...(row.keyed ? { idempotency_key: row.key } : {}),
      ...(if_match === null ? {} : { if_match }),
    },
    amounts: row.amounts,
    reserved: row.reserved.map((hold) => formatId('hld', hold)),
    proposed_by: row.proposed_by,
    ...(on_behalf_of === null ? {} : { on_behalf_of }),
    created_at: row.created_at,
    expires_at: row.expires_at,
    ...(decided_by === null ? {} : { decided_by }),
    ...(decided_at === null ? {} : { decided_at }),
    ...(reason === null ? {} : { reason }),
    ...(result === null ? {} : { result }),
  };
}

/** A row by its id, or undefined. */
export async function findRow(tx: Transaction, scope: Scope, uuid: string): Promise<ProposalRow | undefined> {
  const [row] = await tx.rows(
    ProposalRow,
    `select ${proposalColumns} from platform.proposals where tenant_id = $1 and environment = $2 and id = $3`,
    [scope.tenant_id, scope.environment, uuid],
  );
  return row;
}

/** A row that is shown. Throws `proposal_not_found`. */
export async function getRow(tx: Transaction, scope: Scope, uuid: string): Promise<ProposalRow> {
  const row = await findRow(tx, scope, uuid);
  if (row === undefined || row.status === 'reserving' || row.status === 'refused') {
    throw refuse(
      'proposal_not_found',
      `There is no proposal ${formatId('prp', uuid)} in ${scope.environment}.`,
    );
  }
  return row;
}

const Filters = Type.Object(
  {
    status: Type.Optional(Status),
    action: Type.Optional(Text({ min: 3, max: 128, description: 'Permission that the request needs' })),
    mine: Type.Optional(
      Type.Boolean({ description: 'Only those that the caller, or one it acts for, proposed' }),
    ),
    awaiting_me: Type.Optional(Type.Boolean({ description: 'Only those that the caller can decide' })),
  },
  { additionalProperties: false },
);
const Content = Type.Object(
  { filters: Filters, after: Type.String({ format: 'uuid' }) },
  { additionalProperties: false },
);
const isContent = (content: unknown): content is CursorContent<Static<typeof Filters>, string> =>
  Check(Content, content);

export const ListProposalsQuery = Type.Object(
  { ...Filters.properties, ...pageQuery },
  { additionalProperties: false },
);

/** Proposals, newest first. */
export async function listProposals(
  tx: Transaction,
  caller: Caller,
  query: Static<typeof ListProposalsQuery>,
) {
  const { limit, cursor, ...given } = query;
  const page = readPage(isContent, given, {
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  const { status, action, mine, awaiting_me } = page.filters;
  const rows = await tx.rows(
    ProposalRow,
    `select ${shown}, null as body from platform.proposals
     where tenant_id = $1 and environment = $2 and status not in ('reserving', 'refused')
       and ($3::uuid is null or id < $3) and ($4::text is null or status = $4) and ($5::text is null or action = $5)
       and ($6::text[] is null or proposed_by ->> 'id' = any ($6) or on_behalf_of ->> 'id' = any ($6))
       and ($7::text[] is null or (
         status = 'pending' and expires_at > statement_timestamp() and action = any ($7) and not behind && $8::text[]))
     order by id desc limit $9`,
    [
      caller.tenant_id,
      caller.environment,
      page.after ?? null,
      status ?? null,
      action ?? null,
      mine === true ? namesOf(caller) : null,
      awaiting_me === true ? [...caller.permissions] : null,
      awaiting_me === true ? await behind(tx, caller, caller) : [],
      page.limit + 1,
    ],
  );
  return pageOf(rows, page, proposalOf, ({ id }) => id);
}
