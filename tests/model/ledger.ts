/**
 * What the ledger should do, in memory and in the plainest way: the reference of the model test. It is written from
 * the documented rules and imports nothing from the product. Accounts, transfers and holds are numbered in the order
 * in which they came; amounts are minor units; time is whole seconds.
 */

export type Side = 'debit' | 'credit';

export interface Account {
  currency: string;
  chart_code: string;
  normal_side: Side;
  status: 'open' | 'frozen' | 'closed';
  may_send: boolean;
  may_receive: boolean;
  /** Null without limit. */
  credit_limit: bigint | null;
  debits_posted: bigint;
  credits_posted: bigint;
  debits_pending: bigint;
  credits_pending: bigint;
  version: number;
}

export interface Leg {
  /** Number of the account; one that does not exist stands for an unknown id. */
  account: number;
  side: Side;
  amount: bigint;
  currency: string;
  reverses_leg?: number;
}

export interface Transfer {
  kind: 'transfer' | 'reversal' | 'capture';
  position: number;
  legs: (Leg & { balance: bigint; reversed: bigint })[];
  reverses?: number;
  hold?: number;
  /** Numbers of the reversals. */
  reversed_by: number[];
}

interface HoldStep {
  kind: 'place' | 'increment' | 'extend' | 'capture' | 'release' | 'expire';
  position: number;
  change: bigint;
  /** The expiry that the step leaves. */
  expires_at: number | null;
  transfer?: number;
}

interface Hold {
  debit: number;
  credit: number;
  currency: string;
  amount: bigint;
  captured: bigint;
  released: bigint;
  expires_at: number | null;
  expired: boolean;
  steps: HoldStep[];
}

export interface Books {
  now: number;
  position: number;
  accounts: Account[];
  transfers: Transfer[];
  holds: Hold[];
}

export interface Refusal {
  refused: string;
  /** The place of the refused member within its link. */
  refused_index?: number;
  /** By how much funds are short. */
  short?: bigint;
}

const MAX_COUNTER = 9_223_372_036_854_775_807n;

export function balanceOf(account: Account): bigint {
  const debits = account.debits_posted - account.credits_posted;
  return account.normal_side === 'debit' ? debits : -debits;
}

function heldOf(account: Account): bigint {
  return account.normal_side === 'debit' ? account.credits_pending : account.debits_pending;
}

/** What can still leave the account; null without limit. */
export function availableOf(account: Account): bigint | null {
  return account.credit_limit === null ? null : balanceOf(account) - heldOf(account) + account.credit_limit;
}

/** Why a leg cannot be posted to its account whatever the amount, if so. */
function gate(account: Account | undefined, leg: Leg, withPermissions: boolean): string | undefined {
  if (account === undefined) return 'account_not_found';
  if (account.status === 'frozen') return 'account_frozen';
  if (account.status === 'closed') return 'account_closed';
  const increases = leg.side === account.normal_side;
  if (withPermissions && !increases && !account.may_send) return 'account_may_not_send';
  if (withPermissions && increases && !account.may_receive) return 'account_may_not_receive';
  if (account.currency !== leg.currency) return 'currency_mismatch';
  return undefined;
}

/** Puts `books` back to what they were before, keeping the object. */
function restore(books: Books, before: Books): void {
  Object.assign(books, before);
}

/** Posts legs as one transfer and returns its number, or changes nothing and says why. */
function post(
  books: Books,
  legs: readonly Leg[],
  terms: Pick<Transfer, 'kind' | 'reverses' | 'hold'>,
): number | Refusal {
  const accounts = structuredClone(books.accounts);
  const posted: Transfer['legs'] = [];
  for (const leg of legs) {
    const account = accounts[leg.account];
    const refused = gate(account, leg, true);
    if (refused !== undefined || account === undefined) return { refused: refused ?? 'account_not_found' };
    const counter = leg.side === 'debit' ? 'debits_posted' : 'credits_posted';
    if (account[counter] + leg.amount > MAX_COUNTER) return { refused: 'balance_overflow' };
    account[counter] += leg.amount;
    posted.push({ ...leg, balance: balanceOf(account), reversed: 0n });
  }
  for (const leg of legs) {
    const account = accounts[leg.account];
    if (account === undefined || leg.side === account.normal_side) continue;
    const available = availableOf(account);
    if (available !== null && available < 0n) return { refused: 'insufficient_funds', short: -available };
  }
  books.accounts = accounts;
  books.position += 1;
  books.transfers.push({ ...terms, position: books.position, legs: posted, reversed_by: [] });
  return books.transfers.length - 1;
}

export function postTransfer(books: Books, legs: readonly Leg[]): number | Refusal {
  return post(books, legs, { kind: 'transfer' });
}

export interface BatchItem {
  /** Why the item cannot be posted for what it says itself. */
  refused?: string;
  legs: readonly Leg[];
  /** Items side by side with one number are posted all or none; undefined stands for itself. */
  link: number | undefined;
}

/** Outcomes of a batch in its order. */
export function postBatch(books: Books, items: readonly BatchItem[]): (number | Refusal)[] {
  const outcomes: (number | Refusal)[] = [];
  for (let start = 0; start < items.length; ) {
    const link = items[start]?.link;
    const following = items.slice(start + 1).findIndex((item) => link === undefined || item.link !== link);
    const end = following < 0 ? items.length : start + 1 + following;
    const group = items.slice(start, end);
    const before = structuredClone(books);
    const posted: number[] = [];
    let first: Refusal | undefined;
    for (const { refused, legs } of group) {
      const outcome = refused === undefined ? postTransfer(books, legs) : { refused };
      if (typeof outcome !== 'number') {
        first = outcome;
        break;
      }
      posted.push(outcome);
    }
    if (first === undefined) {
      outcomes.push(...posted);
    } else {
      restore(books, before);
      for (const [index, { refused }] of group.entries()) {
        if (index === posted.length) outcomes.push(first);
        // What is wrong in itself is told as that, whether or not another was refused before it.
        else if (refused !== undefined) outcomes.push({ refused });
        else outcomes.push({ refused: 'linked_transfer_refused', refused_index: posted.length });
      }
    }
    start = end;
  }
  return outcomes;
}

const other: Record<Side, Side> = { debit: 'credit', credit: 'debit' };

/** Legs that take back what is left of a transfer; all of it where nothing is left, which is then refused. */
export function wholeReversal(transfer: Transfer): { leg: number; amount: bigint }[] {
  const left = transfer.legs.map(({ amount, reversed }, index) => ({
    leg: index + 1,
    amount: amount - reversed,
  }));
  return left.every(({ amount }) => amount === 0n)
    ? transfer.legs.map(({ amount }, index) => ({ leg: index + 1, amount }))
    : left.filter(({ amount }) => amount > 0n);
}

export function reverse(
  books: Books,
  number: number,
  parts: readonly { leg: number; amount: bigint; currency?: string }[],
): number | Refusal {
  const original = books.transfers[number];
  if (original === undefined) return { refused: 'transfer_not_found' };
  if (original.kind === 'reversal') return { refused: 'reversal_of_reversal' };
  const legs: Leg[] = [];
  for (const { leg, amount, currency } of parts) {
    const found = original.legs[leg - 1];
    if (found === undefined || amount > found.amount - found.reversed)
      return { refused: 'reversal_exceeds_transfer' };
    legs.push({
      account: found.account,
      side: other[found.side],
      amount,
      currency: currency ?? found.currency,
      reverses_leg: leg,
    });
  }
  const outcome = post(books, legs, { kind: 'reversal', reverses: number });
  if (typeof outcome !== 'number') return outcome;
  for (const { leg, amount } of parts) {
    const found = original.legs[leg - 1];
    if (found !== undefined) found.reversed += amount;
  }
  original.reversed_by.push(outcome);
  return outcome;
}

function remainingOf(hold: Hold): bigint {
  return hold.amount - hold.captured - hold.released;
}

function legsOfHold(hold: Pick<Hold, 'debit' | 'credit'>, amount: bigint, currency: string): Leg[] {
  return [
    { account: hold.debit, side: 'debit', amount, currency },
    { account: hold.credit, side: 'credit', amount, currency },
  ];
}

/** Why accounts of a hold cannot take a step, if so. */
function gates(books: Books, legs: readonly Leg[], withPermissions: boolean): Refusal | undefined {
  for (const leg of legs) {
    const refused = gate(books.accounts[leg.account], leg, withPermissions);
    if (refused !== undefined) return { refused };
  }
  return undefined;
}

/** Changes what both accounts have pending, if there is room and money for it. */
function changePending(
  books: Books,
  hold: Pick<Hold, 'debit' | 'credit'>,
  change: bigint,
): Refusal | undefined {
  const accounts = structuredClone(books.accounts);
  for (const leg of legsOfHold(hold, change, '')) {
    const account = accounts[leg.account];
    if (account === undefined) return { refused: 'account_not_found' };
    const counter = leg.side === 'debit' ? 'debits_pending' : 'credits_pending';
    if (account[counter] + change > MAX_COUNTER) return { refused: 'balance_overflow' };
    account[counter] += change;
    const available = availableOf(account);
    if (change > 0n && leg.side !== account.normal_side && available !== null && available < 0n) {
      return { refused: 'insufficient_funds', short: -available };
    }
  }
  books.accounts = accounts;
  return undefined;
}

function addStep(books: Books, hold: Hold, step: Omit<HoldStep, 'position' | 'expires_at'>): void {
  hold.steps.push({ ...step, position: books.position, expires_at: hold.expires_at });
}

export function placeHold(
  books: Books,
  asked: { debit: number; credit: number; amount: bigint; currency: string; expires_at: number | null },
): number | Refusal {
  const { debit, credit, amount, currency, expires_at } = asked;
  const refused = gates(books, legsOfHold(asked, amount, currency), true);
  if (refused !== undefined) return refused;
  if (expires_at !== null && expires_at <= books.now) return { refused: 'expiry_in_the_past' };
  const short = changePending(books, asked, amount);
  if (short !== undefined) return short;
  const hold: Hold = {
    debit,
    credit,
    currency,
    amount,
    captured: 0n,
    released: 0n,
    expires_at,
    expired: false,
    steps: [],
  };
  books.holds.push(hold);
  books.position += 1;
  addStep(books, hold, { kind: 'place', change: amount });
  return books.holds.length - 1;
}

export type HoldRequest =
  | { kind: 'increment'; amount: bigint; currency: string }
  | { kind: 'extend'; expires_at: number }
  /** Without an amount: all that remains. */
  | { kind: 'capture'; amount?: bigint; currency?: string; final: boolean }
  | { kind: 'release'; amount?: bigint; currency?: string };

/** Takes a step of a hold and returns the number of the transfer that a capture posts, else -1. */
export function stepHold(books: Books, number: number, asked: HoldRequest): number | Refusal {
  const hold = books.holds[number];
  if (hold === undefined) return { refused: 'hold_not_found' };
  if (remainingOf(hold) === 0n) return { refused: hold.expired ? 'hold_expired' : 'hold_closed' };
  if (asked.kind !== 'release' && hold.expires_at !== null && hold.expires_at <= books.now) {
    return { refused: 'hold_expired' };
  }
  const remaining = remainingOf(hold);
  const amount = asked.kind === 'extend' ? 0n : (asked.amount ?? remaining);
  const currency = (asked.kind === 'extend' ? undefined : asked.currency) ?? hold.currency;
  const legs = legsOfHold(hold, amount, currency);
  if (asked.kind !== 'release') {
    const refused = gates(books, legs, asked.kind === 'increment');
    if (refused !== undefined) return refused;
  }
  switch (asked.kind) {
    case 'increment': {
      if (hold.amount + amount > MAX_COUNTER) return { refused: 'balance_overflow' };
      const short = changePending(books, hold, amount);
      if (short !== undefined) return short;
      hold.amount += amount;
      books.position += 1;
      addStep(books, hold, { kind: 'increment', change: amount });
      return -1;
    }
    case 'extend':
      if (hold.expires_at === null || asked.expires_at <= hold.expires_at)
        return { refused: 'expiry_not_later' };
      hold.expires_at = asked.expires_at;
      books.position += 1;
      addStep(books, hold, { kind: 'extend', change: 0n });
      return -1;
    case 'release':
      if (amount > remaining) return { refused: 'amount_exceeds_hold' };
      changePending(books, hold, -amount);
      hold.released += amount;
      books.position += 1;
      addStep(books, hold, { kind: 'release', change: -amount });
      return -1;
    default: {
      if (amount > remaining) return { refused: 'amount_exceeds_hold' };
      const change = asked.final ? -remaining : -amount;
      const before = structuredClone(books.accounts);
      // What was held is free for the moment in which it is spent: a capture can only fail for want of room.
      changePending(books, hold, change);
      const allowed = books.accounts.map(({ may_send, may_receive }) => ({ may_send, may_receive }));
      for (const account of books.accounts) Object.assign(account, { may_send: true, may_receive: true });
      const outcome = post(books, legs, { kind: 'capture', hold: number });
      for (const [index, rules] of allowed.entries()) Object.assign(books.accounts[index] ?? {}, rules);
      if (typeof outcome !== 'number') {
        books.accounts = before;
        return outcome;
      }
      hold.captured += amount;
      if (asked.final) hold.released = hold.amount - hold.captured;
      addStep(books, hold, { kind: 'capture', change, transfer: outcome });
      return outcome;
    }
  }
}

/** Releases what remains of the holds whose time has come, in their order. */
export function expireHolds(books: Books): void {
  for (const hold of books.holds) {
    const remaining = remainingOf(hold);
    if (remaining === 0n || hold.expires_at === null || hold.expires_at > books.now) continue;
    changePending(books, hold, -remaining);
    hold.released += remaining;
    hold.expired = true;
    books.position += 1;
    addStep(books, hold, { kind: 'expire', change: -remaining });
  }
}

/** Freezes, unfreezes or closes an account. */
export function setStatus(account: Account, status: Account['status']): Refusal | undefined {
  if (account.status === status) return undefined;
  if (account.status === 'closed') return { refused: 'account_closed' };
  const empty = balanceOf(account) === 0n && account.debits_pending === 0n && account.credits_pending === 0n;
  if (status === 'closed' && !empty) return { refused: 'account_not_empty' };
  account.status = status;
  account.version += 1;
  return undefined;
}

export interface Edit {
  may_send?: boolean;
  may_receive?: boolean;
  credit_limit?: bigint | null;
}

export function editAccount(account: Account, edit: Edit): Refusal | undefined {
  if (account.status === 'closed') return { refused: 'account_closed' };
  const { credit_limit } = edit;
  const spent = heldOf(account) - balanceOf(account);
  if (credit_limit !== undefined && credit_limit !== null && spent > credit_limit) {
    return { refused: 'credit_limit_in_use' };
  }
  Object.assign(account, edit);
  account.version += 1;
  return undefined;
}
