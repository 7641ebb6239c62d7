/** Setting money aside for something that is decided elsewhere, by holds that end with it. */
import { Type } from 'typebox';
import type { Scope, Transaction } from '../../platform/db.ts';
import { canonicalRequest } from '../../platform/idempotency.ts';
import { formatId, newUuid } from '../../platform/ids.ts';
import type { Books } from './books.ts';
import { holdEvent, holdLegs, RESERVED_LABEL } from './hold-terms.ts';
import { lockHead } from './once.ts';
import type { Command, Leg } from './posting.ts';
import { refusalOf } from './refusal.ts';
import { releaseCommand, termsOfHolds } from './submit.ts';

/** What one hold is to keep. */
interface Part {
  id: string;
  debit_account_id: string;
  credit_account_id: string;
  currency: string;
  amount: bigint;
  /** Number of the command that it is part of. */
  command: number;
}

/** What the legs of a command come to for each account, positive where it is debited. */
function netOf(legs: readonly Leg[], currency: string): [string, bigint][] {
  const nets = new Map<string, bigint>();
  for (const leg of legs) {
    if (leg.currency !== currency) continue;
    const amount = leg.side === 'debit' ? leg.amount : -leg.amount;
    nets.set(leg.account_id, (nets.get(leg.account_id) ?? 0n) + amount);
  }
  return [...nets].filter(([, net]) => net !== 0n);
}

/**
 * Holds that keep what commands would move: in each currency what is debited is paired with what is credited, until
 * nothing is left of either. A transfer between two accounts is one hold.
 */
export function partsOf(commands: readonly Command[]): Part[] {
  return commands.flatMap(({ legs }, command) =>
    [...new Set(legs.map(({ currency }) => currency))].flatMap((currency) => {
      const nets = netOf(legs, currency);
      const credited = nets.flatMap(([account_id, net]) => (net < 0n ? [{ account_id, left: -net }] : []));
      const parts: Part[] = [];
      for (const [debit_account_id, net] of nets) {
        let left = net;
        while (left > 0n) {
          const credit = credited.find((candidate) => candidate.left > 0n);
          if (credit === undefined) throw new Error('legs that are not balanced');
          const amount = left < credit.left ? left : credit.left;
          left -= amount;
          credit.left -= amount;
          parts.push({
            id: newUuid(),
            debit_account_id,
            credit_account_id: credit.account_id,
            currency,
            amount,
            command,
          });
        }
      }
      return parts;
    }),
  );
}

function placeCommand(part: Part, reserved_for: string, expires_at: string): Command {
  const metadata = { [RESERVED_LABEL]: reserved_for };
  return {
    id: part.id,
    kind: 'place',
    key: `reservation ${reserved_for} place ${part.id}`,
    item: 0,
    operation: 'system:reserve',
    request: canonicalRequest({ hold_id: formatId('hld', part.id), reserved_for }),
    amount: part.amount,
    expires_at,
    metadata: JSON.stringify(metadata),
    event: holdEvent(part, { id: part.id, kind: 'place' }, { metadata }),
    legs: holdLegs(part, part.amount, part.currency),
  };
}

const ExpiryRow = Type.Object({ expires_at: Type.String() });

/** A moment of the real time, by which proposals wait, as the clock shows it that holds go by. */
async function byClockOf(tx: Transaction, scope: Scope, moment: string): Promise<string> {
  const [row] = await tx.rows(
    ExpiryRow,
    `select $3::timestamptz + make_interval(secs => coalesce((
       select c.offset_s from platform.clocks c where c.tenant_id = $1 and c.environment = $2), 0)) as expires_at`,
    [scope.tenant_id, scope.environment, moment],
  );
  return row?.expires_at ?? moment;
}

/**
 * Places holds, all in one commit; returns the ids of those that stand.
 *
 * @param terms.each whether each command stands for itself: what is refused of one is then not set aside, and the others
 *   are. Otherwise the first refusal is thrown, and none stands.
 */
export async function reserveParts(
  { db, posting }: Books,
  scope: Scope,
  parts: readonly Part[],
  terms: { reserved_for: string; expires_at: string; dry_run: boolean; each: boolean },
): Promise<string[]> {
  const work = async (tx: Transaction): Promise<string[]> => {
    if (parts.length === 0) return [];
    const expires_at = await byClockOf(tx, scope, terms.expires_at);
    const commands = parts.map((part) => placeCommand(part, terms.reserved_for, expires_at));
    await lockHead(tx, scope);
    const outcomes = await posting.postWithin(tx, scope, commands);
    return commands.flatMap((command, index) => {
      const outcome = outcomes[index];
      if (outcome === undefined) throw new Error('a command without an outcome');
      if (outcome.code === null) return [command.id];
      if (terms.each) return [];
      throw refusalOf(command, outcome);
    });
  };
  return terms.dry_run ? db.rehearse(scope, work) : db.write(scope, work);
}

const gone = new Set(['hold_closed', 'hold_expired', 'hold_not_found']);

/** Gives back what was set aside. Holds that are over are no error. */
export async function releaseReserved(
  { db, posting }: Books,
  scope: Scope,
  reserved_for: string,
  holds: readonly string[],
): Promise<void> {
  const terms = await db.read(scope, (tx) => termsOfHolds(tx, scope, holds));
  // Each for itself, so that the queue may gather them as it can.
  const outcomes = await Promise.all(
    terms.map((hold) => posting.submit(scope, [releaseCommand(reserved_for, hold)])),
  );
  for (const [outcome] of outcomes) {
    if (outcome !== undefined && outcome.code !== null && !gone.has(outcome.code)) {
      throw new Error(`releasing what was reserved for ${reserved_for} came to ${outcome.code}`);
    }
  }
}

/** Whether anything is kept under an idempotency key. */
export async function wasAttempted({ db }: Books, scope: Scope, key: string): Promise<boolean> {
  const found = await db.read(scope, (tx) =>
    tx.run('select from ledger.attempts where tenant_id = $1 and environment = $2 and key = $3', [
      scope.tenant_id,
      scope.environment,
      key,
    ]),
  );
  return found > 0;
}
