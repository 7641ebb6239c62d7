import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import { type CursorContent, pageOf, pageQuery, readPage } from '../../platform/cursor.ts';
import type { Scope, Transaction } from '../../platform/db.ts';
import { formatId, Id, uuidOf } from '../../platform/ids.ts';
import { formatMoney } from '../../platform/money.ts';
import { type Hold, HoldStatus, HoldStep, Timestamp } from './contract.ts';
import { refuse } from './errors.ts';
import { instantOf } from './instant.ts';

const HoldRow = Type.Object({
  id: Type.String(),
  debit_account_id: Type.String(),
  credit_account_id: Type.String(),
  currency: Type.String(),
  created_at: Type.String(),
  description: Type.Union([Type.String(), Type.Null()]),
  metadata: Type.Union([Type.Record(Type.String(), Type.String()), Type.Null()]),
});
type HoldRow = Static<typeof HoldRow>;

/** What a hold is from its first step on; the rest is in its steps. */
const columns = 'id, debit_account_id, credit_account_id, currency, created_at, description, metadata';

const StepRow = Type.Object({
  hold_id: Type.String(),
  id: Type.String(),
  step: Type.Integer(),
  position: Type.BigInt(),
  kind: HoldStep.properties.kind,
  pending_change: Type.BigInt(),
  created_at: Type.String(),
  amount_after: Type.BigInt(),
  captured_after: Type.BigInt(),
  released_after: Type.BigInt(),
  expires_at: Type.Union([Type.String(), Type.Null()]),
});
type StepRow = Static<typeof StepRow>;

function stepOf(row: StepRow, currency: string): HoldStep {
  return {
    id: formatId('hst', row.id),
    step: row.step,
    position: Number(row.position),
    kind: row.kind,
    pending_change: formatMoney(row.pending_change, currency),
    created_at: row.created_at,
    ...(row.expires_at === null ? {} : { expires_at: row.expires_at }),
    // A capture and the transfer it posts are one thing and have one id.
    ...(row.kind === 'capture' ? { transfer_id: formatId('trf', row.id) } : {}),
  };
}

/** The status after a step: as long as something remains, active; then what took the last of it. */
function statusAfter({ kind }: StepRow, remaining: bigint): Hold['status'] {
  if (remaining > 0n) return 'active';
  if (kind === 'capture') return 'captured';
  return kind === 'expire' ? 'expired' : 'released';
}

function holdOf(row: HoldRow, steps: readonly StepRow[]): Hold {
  const last = steps.at(-1);
  if (last === undefined) throw new Error(`hold ${row.id} has no step`);
  const money = (minor: bigint) => formatMoney(minor, row.currency);
  const remaining = last.amount_after - last.captured_after - last.released_after;
  return {
    id: formatId('hld', row.id),
    debit_account_id: formatId('acc', row.debit_account_id),
    credit_account_id: formatId('acc', row.credit_account_id),
    status: statusAfter(last, remaining),
    amount: money(last.amount_after),
    captured: money(last.captured_after),
    released: money(last.released_after),
    remaining: money(remaining),
    ...(last.expires_at === null ? {} : { expires_at: last.expires_at }),
    ...(row.description === null ? {} : { description: row.description }),
    metadata: row.metadata ?? {},
    created_at: row.created_at,
    updated_at: last.created_at,
    steps: steps.map((step) => stepOf(step, row.currency)),
  };
}

const steps = {
  name: 'ledger.hold_steps',
  text: `
    select s.* from unnest($3::uuid[]) wanted (id)
    cross join lateral (
      select hold_id, id, step, position, kind, pending_change, created_at, amount_after, captured_after,
             released_after, expires_at
      from ledger.hold_steps
      where hold_id = wanted.id and tenant_id = $1 and environment = $2 and ($4::bigint is null or position <= $4)
      order by step
    ) s`,
};

/** Steps of each hold, in their order, up to a position of the ledger if one is given. */
async function stepsOf(
  tx: Transaction,
  scope: Scope,
  uuids: readonly string[],
  upTo?: bigint,
): Promise<Map<string, StepRow[]>> {
  const rows = await tx.rows(StepRow, steps, [scope.tenant_id, scope.environment, uuids, upTo ?? null]);
  return Map.groupBy(rows, (row) => row.hold_id);
}

const holdById = {
  name: 'ledger.hold',
  text: `select ${columns} from ledger.holds where tenant_id = $1 and environment = $2 and id = $3`,
};

/**
 * A hold with its steps. Throws `hold_not_found`.
 *
 * @param upTo position of the ledger as of which the hold is told; absent, as it is now
 */
export async function getHold(tx: Transaction, scope: Scope, uuid: string, upTo?: bigint): Promise<Hold> {
  const [row] = await tx.rows(HoldRow, holdById, [scope.tenant_id, scope.environment, uuid]);
  if (row === undefined) throw refuse('hold_not_found', `There is no hold ${formatId('hld', uuid)}.`);
  return holdOf(row, (await stepsOf(tx, scope, [uuid], upTo)).get(uuid) ?? []);
}

const Filters = Type.Object(
  {
    account_id: Type.Optional(Id('acc', 'Holds that debit or credit this account')),
    status: Type.Optional(HoldStatus),
    created_from: Type.Optional(Timestamp),
    created_to: Type.Optional(Timestamp),
  },
  { additionalProperties: false },
);
const Content = Type.Object(
  { filters: Filters, after: Type.String({ format: 'uuid' }) },
  { additionalProperties: false },
);
const isContent = (content: unknown): content is CursorContent<Static<typeof Filters>, string> =>
  Check(Content, content);

export const ListHoldsQuery = Type.Object(
  { ...Filters.properties, ...pageQuery },
  { additionalProperties: false },
);

/** A page of holds of which `own` is true. */
function pageSql(own: string): string {
  return `
    select ${columns} from ledger.holds h
    where h.tenant_id = $1 and h.environment = $2 and ${own} and ($3::uuid is null or h.id < $3)
      and ($4::text is null or $4 = case
        when h.captured + h.released < h.amount then 'active'
        when h.expired then 'expired'
        when (select s.kind from ledger.hold_steps s
              where s.hold_id = h.id and s.tenant_id = $1 and s.environment = $2 and s.step = h.steps) = 'capture'
          then 'captured'
        else 'released' end)
      and ($5::timestamptz is null or h.created_at >= $5)
      and ($6::timestamptz is null or h.created_at <= $6)
    order by h.id desc limit $7`;
}

const ofAllAccounts = pageSql('true');
// Each side has an index that gives its holds in order; one condition with OR would sort all holds of the account.
const ofOneAccount = `
  select * from (
    (${pageSql('h.debit_account_id = $8')}) union all (${pageSql('h.credit_account_id = $8')})
  ) sides order by id desc limit $7`;

/** Holds, newest first. */
export async function listHolds(tx: Transaction, scope: Scope, query: Static<typeof ListHoldsQuery>) {
  const { limit, cursor, ...given } = query;
  const page = readPage(isContent, given, {
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  const { account_id, status, created_from, created_to } = page.filters;
  const rows = await tx.rows(HoldRow, account_id === undefined ? ofAllAccounts : ofOneAccount, [
    scope.tenant_id,
    scope.environment,
    page.after ?? null,
    status ?? null,
    created_from === undefined ? null : instantOf(created_from, '?created_from'),
    created_to === undefined ? null : instantOf(created_to, '?created_to'),
    page.limit + 1,
    ...(account_id === undefined ? [] : [uuidOf('acc', account_id)]),
  ]);
  const stepsById = await stepsOf(
    tx,
    scope,
    rows.slice(0, page.limit).map(({ id }) => id),
  );
  return pageOf(
    rows,
    page,
    (row) => holdOf(row, stepsById.get(row.id) ?? []),
    (row) => row.id,
  );
}
