/** How the commands of a request get to `ledger.post`. */
import { Type } from 'typebox';
import type { Scope, Transaction } from '../../platform/db.ts';
import { canonicalRequest } from '../../platform/idempotency.ts';
import { formatId, newUuid } from '../../platform/ids.ts';

import { type Asker, isNoted, noteAsker } from './asker.ts';
import type { Books } from './books.ts';
import { unclaimWithin } from './claim-hold.ts';
import { refuse } from './errors.ts';
import { type HoldTerms, holdEvent, holdLegs } from './hold-terms.ts';
import { lockHead } from './once.ts';
import type { Command, Outcome, Poster, PostingQueue } from './posting.ts';

/** Holds that were placed beforehand for what is posted now, or the one that is captured. */
export interface Reserved {
  /** What they stand for, as their label says: the same text each time, and no two of one text at once. */
  reserved_for: string;
  /** UUIDs. */
  holds: readonly string[];
}

export interface PostOptions {
  /** Tells what would happen and keeps nothing, not even the key. */
  dry_run: boolean;
  /** Released in the same commit, so that nobody else takes the money in between. */
  reserved?: Reserved | undefined;
}

const TermsRow = Type.Object({
  id: Type.String(),
  debit_account_id: Type.String(),
  credit_account_id: Type.String(),
  currency: Type.String(),
});

/** What never changes of holds, in the order of their ids; those that are not there are left out. */
export function termsOfHolds(tx: Transaction, scope: Scope, holds: readonly string[]): Promise<HoldTerms[]> {
  return tx.rows(
    TermsRow,
    `select id, debit_account_id, credit_account_id, currency from ledger.holds
     where tenant_id = $1 and environment = $2 and id = any ($3) order by id`,
    [scope.tenant_id, scope.environment, holds],
  );
}

/**
 * The command that gives back all that remains of a reserved hold. Its key follows from the hold, so that it is safe to
 * repeat, and has a space in it, which no key of a client can have.
 */
export function releaseCommand(reserved_for: string, hold: HoldTerms): Command {
  const id = newUuid();
  return {
    id,
    kind: 'release',
    key: `reservation ${reserved_for} release ${hold.id}`,
    item: 0,
    operation: 'system:release',
    request: canonicalRequest({ hold_id: formatId('hld', hold.id), reserved_for }),
    ref: hold.id,
    event: holdEvent(hold, { id, kind: 'release' }),
    legs: holdLegs(hold, 0n, hold.currency),
  };
}

/**
 * Posts commands in the commit that releases what was reserved for them. The release stands whatever they come to: if
 * they are refused, that is the end of what was reserved for, too.
 */
async function submitReserved(
  { db, posting }: Books,
  scope: Scope,
  { reserved_for, holds }: Reserved,
  commands: readonly Command[],
): Promise<Outcome[]> {
  // What the system does is bound to nothing that a caller is bound to.
  const system: Scope = { tenant_id: scope.tenant_id, environment: scope.environment };
  return db.write(scope, async (tx) => {
    await lockHead(tx, scope);
    if (commands.some(({ kind, ref }) => kind === 'capture' && ref !== undefined && holds.includes(ref))) {
      // The money is taken from the hold that kept it.
      await unclaimWithin(tx, reserved_for, holds);
      return posting.postWithin(tx, scope, commands);
    }
    const terms = await termsOfHolds(tx, scope, holds);
    const releases = terms.map((hold) => releaseCommand(reserved_for, hold));
    // Groups with hold steps in them could not be taken back, so these are a call of their own.
    const released = releases.length === 0 ? [] : await posting.postWithin(tx, system, releases);
    const lost =
      terms.length < holds.length ||
      // What ran out is free, and whether there is enough is seen when it is posted.
      released.some(({ code }) => code !== null && code !== 'hold_expired');
    if (lost)
      throw refuse('reservation_lost', `What was set aside for ${reserved_for} is not there any more.`);
    return posting.postWithin(tx, scope, commands);
  });
}

/** The way that commands of a request take: a rehearsal, the queue, or a commit together with what was reserved. */
export function submitterOf(books: Books, { dry_run, reserved }: PostOptions): PostingQueue['submit'] {
  if (dry_run) return books.posting.rehearse;
  const submit: PostingQueue['submit'] = (scope, commands) =>
    reserved === undefined || reserved.holds.length === 0
      ? books.posting.submit(scope, commands)
      : submitReserved(books, scope, reserved, commands);
  return async (scope: Poster & Asker, commands) => {
    const [first] = commands;
    // Before it is posted: postings of others are in the same commit.
    if (first !== undefined && isNoted(scope))
      await books.db.write(scope, (tx) => noteAsker(tx, scope, first));
    return submit(scope, commands);
  };
}
