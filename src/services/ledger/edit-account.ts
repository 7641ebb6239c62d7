import { type Static, Type } from 'typebox';
import { Personal } from '../../platform/access/redaction.ts';
import type { Scope, Transaction } from '../../platform/db.ts';
import { assertMatches } from '../../platform/etag.ts';
import { Text } from '../../platform/http.ts';
import { formatId, newUuid } from '../../platform/ids.ts';
import { Money } from '../../platform/money.ts';
import type { Books } from './books.ts';
import { type Account, Metadata } from './contract.ts';
import { refuse } from './errors.ts';
import type { events } from './events.ts';
import { addEvent, lockHead } from './once.ts';
import { creditLimitOf } from './open-account.ts';
import { assertWithinReach } from './reach.ts';
import { getAccount } from './read-accounts.ts';

export const EditAccountRequest = Type.Object(
  {
    name: Type.Optional(Personal(Text({ min: 1, max: 255 }))),
    credit_limit: Type.Optional(Type.Union([Money, Type.Null()], { description: 'Null: without limit' })),
    may_send: Type.Optional(Type.Boolean()),
    may_receive: Type.Optional(Type.Boolean()),
    metadata: Type.Optional(Metadata),
  },
  { additionalProperties: false, minProperties: 1 },
);
export type EditAccountRequest = Static<typeof EditAccountRequest>;

/** An account after an attempt to change it, and as it was before. */
interface Changed {
  account: Account;
  version: bigint;
  before: Account;
}

/** An account before and after a change, for the audit trail. */
export interface AccountChange {
  before: Account;
  after: Account;
}

/** What an edit may set: the columns of an account that are no counters. */
interface Change {
  name?: string;
  credit_limit?: bigint | null;
  may_send?: boolean;
  may_receive?: boolean;
  metadata?: Record<string, string>;
  status?: Account['status'];
}

function constraintOf(error: unknown): string | undefined {
  return error instanceof Error && 'constraint' in error ? String(error.constraint) : undefined;
}

async function applyChange(tx: Transaction, scope: Scope, uuid: string, change: Change): Promise<void> {
  const entries = Object.entries(change).filter(([, value]) => value !== undefined);
  const sets = entries.map(([column], index) => `${column} = $${index + 4}`);
  const values = entries.map(([column, value]) => (column === 'metadata' ? JSON.stringify(value) : value));
  await tx
    .run(
      `update ledger.accounts set ${sets.join(', ')}, version = version + 1, updated_at = now()
       where tenant_id = $1 and environment = $2 and id = $3`,
      [scope.tenant_id, scope.environment, uuid, ...values],
    )
    .catch((error: unknown) => {
      const account = formatId('acc', uuid);
      switch (constraintOf(error) ?? '') {
        case 'accounts_not_overdrawn':
          throw refuse('credit_limit_in_use', `Account ${account} uses more than the new limit.`);
        case 'accounts_closed_is_empty':
          throw refuse('account_not_empty', `Account ${account} has a balance or holds.`);
        default:
          throw error;
      }
    });
}

/**
 * Changes an account in a transaction that has locked the head of its books, so that no posting decides by what is
 * being changed.
 *
 * @param type of the event that tells of it
 * @param decide what to change, seeing the account as it is; an empty change does nothing
 */
export async function changeWithin(
  tx: Transaction,
  scope: Scope,
  uuid: string,
  type: keyof typeof events,
  decide: (account: Account, version: bigint) => Change,
): Promise<Changed> {
  const before = await getAccount(tx, scope, uuid);
  const wanted = decide(before.account, before.version);
  if (Object.keys(wanted).length === 0) return { ...before, before: before.account };
  await applyChange(tx, scope, uuid, wanted);
  const after = await getAccount(tx, scope, uuid);
  await addEvent(tx, scope, { id: newUuid(), type, subject: uuid, data: after.account });
  return { ...after, before: before.account };
}

async function change(
  books: Books,
  scope: Scope,
  uuid: string,
  type: keyof typeof events,
  decide: (account: Account, version: bigint) => Change,
): Promise<Changed> {
  return books.db.write(scope, async (tx) => {
    await lockHead(tx, scope);
    return changeWithin(tx, scope, uuid, type, decide);
  });
}

/** Edits name, labels and rules. The caller says by `If-Match` which version it means to change. */
export function editAccount(
  books: Books,
  scope: Scope,
  uuid: string,
  body: EditAccountRequest,
  ifMatch: string | undefined,
): Promise<Changed> {
  return change(books, scope, uuid, 'ledger.account.edited', (account, version) => {
    assertMatches(ifMatch, version, 'the account');
    if (account.status === 'closed') throw refuse('account_closed', `Account ${account.id} is closed.`);
    if (body.metadata !== undefined) assertWithinReach(scope, body.metadata);
    const { credit_limit, ...rest } = body;
    return credit_limit === undefined
      ? rest
      : { ...rest, credit_limit: creditLimitOf(credit_limit, account.currency) };
  });
}

/** Sets whether anything may move on an account. What is so already stays so. */
export function setStatus(
  books: Books,
  scope: Scope,
  uuid: string,
  status: Account['status'],
): Promise<Changed> {
  const told = {
    open: 'ledger.account.unfrozen',
    frozen: 'ledger.account.frozen',
    closed: 'ledger.account.closed',
  } as const;
  return change(books, scope, uuid, told[status], (account) => {
    if (account.status === status) return {};
    if (account.status === 'closed')
      throw refuse('account_closed', `Account ${account.id} is closed for good.`);
    return { status };
  });
}
