/** What every command on a hold says of it. */
import { formatId } from '../../platform/ids.ts';
import { formatMoney } from '../../platform/money.ts';
import type { HoldStep } from './contract.ts';
import type { Leg } from './posting.ts';

/**
 * Label of a hold that stands for something decided elsewhere, and names it. Clients cannot set it, and the steps that
 * they ask for leave such a hold alone: it ends with what it stands for.
 */
export const RESERVED_LABEL = 'financialapi:reserved_for';

/** What never changes of a hold, ids as bare UUIDs. */
export interface HoldTerms {
  id: string;
  debit_account_id: string;
  credit_account_id: string;
  currency: string;
}

/** Legs of any command on a hold: the debit account, then the credit account. */
export function holdLegs(terms: HoldTerms, amount: bigint, currency: string): Leg[] {
  return [
    { account_id: terms.debit_account_id, side: 'debit', amount, currency },
    { account_id: terms.credit_account_id, side: 'credit', amount, currency },
  ];
}

/**
 * The part of a hold step's event that is known before it is posted. `ledger.hold_event` adds to it the state that the
 * step leaves, and takes away `unit`, by which it writes amounts.
 */
export function holdEvent(
  terms: HoldTerms,
  step: { id: string; kind: HoldStep['kind'] },
  more: Record<string, unknown> = {},
): string {
  return JSON.stringify({
    id: formatId('hld', terms.id),
    debit_account_id: formatId('acc', terms.debit_account_id),
    credit_account_id: formatId('acc', terms.credit_account_id),
    step: { id: formatId('hst', step.id), kind: step.kind },
    ...more,
    unit: formatMoney(1n, terms.currency),
  });
}
