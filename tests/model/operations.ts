/**
 * What the model test does to the ledger: operations as data, so that fast-check can generate, shrink and print them.
 * They name accounts, transfers, holds and earlier attempts by numbers that are taken modulo how many there are, and
 * so mean something in every state.
 */
import fc from 'fast-check';
import type { Side } from './ledger.ts';

/** An amount as it is asked for; what it comes to depends on the books. */
export type Amount =
  | { is: 'minor'; value: bigint }
  /** What is available of the debited account, or left of a transfer or hold, and a few minor units more. */
  | { is: 'limit'; plus: bigint }
  | { is: 'huge' }
  /** Refused for what they say themselves. */
  | { is: 'zero' }
  | { is: 'negative' }
  | { is: 'decimals' };

/** Two accounts: the second of the same currency as the first, or any. */
export interface Pair {
  debit: number;
  credit: number;
  same_currency: boolean;
}

export type Form =
  | { form: 'simple'; pair: Pair; amount: Amount }
  | {
      form: 'legs';
      lines: { account: number; side: Side; amount: bigint }[];
      closing: number;
      /** What the last line is off by. */
      off: bigint;
    }
  | {
      form: 'exchange';
      debit: number;
      credit: number;
      amount: bigint;
      /** The rate in thousandths. */
      rate: bigint;
      /** Minor units that are credited beyond the rounded-down product. */
      off: bigint;
    };

export interface Terms {
  effective_date?: string;
  description?: string;
  metadata?: Record<string, string>;
}

export type Operation =
  | {
      does: 'open';
      currency: string;
      chart_code: string;
      credit_limit: bigint | null;
      may_send: boolean;
      may_receive: boolean;
    }
  | { does: 'status'; account: number; verb: 'freeze' | 'unfreeze' | 'close' }
  | {
      does: 'edit';
      account: number;
      etag: 'current' | 'stale' | 'absent';
      change: 'may_send' | 'may_receive' | 'limit' | 'no_limit' | 'foreign_limit';
      on: boolean;
      limit: bigint;
    }
  | { does: 'transfer'; form: Form; terms: Terms; dry_run: boolean }
  | { does: 'batch'; items: { form: Form; link: number }[]; atomic: boolean; dry_run: boolean }
  | {
      does: 'reverse';
      transfer: number;
      how: 'all' | 'amount' | 'legs';
      amount: Amount;
      off: bigint;
      terms: Terms;
      dry_run: boolean;
    }
  | { does: 'place'; pair: Pair; amount: Amount; expires_in_s: number | null; terms: Terms; dry_run: boolean }
  | {
      does: 'hold';
      hold: number;
      kind: 'increment' | 'extend' | 'capture' | 'release';
      /** Null: all that remains. */
      amount: Amount | null;
      final: boolean;
      expires_in_s: number;
      dry_run: boolean;
    }
  /** Time passes, and the system expires the holds that are due. */
  | { does: 'wait'; seconds: number; expire: boolean }
  /** An earlier attempt is sent again: as it was, or with something else under its key. */
  | {
      does: 'repeat';
      attempt: number;
      change: 'nothing' | 'description' | 'grouping' | 'all_else';
      form: Form;
      dry_run: boolean;
    };

/** Draws the n-th of what there is; now and then one that does not exist. */
export const UNKNOWN = 999;
const thing = fc.oneof({ weight: 40, arbitrary: fc.nat(60) }, { weight: 1, arbitrary: fc.constant(UNKNOWN) });
const small = fc.bigInt({ min: 1n, max: 900n });

const soundAmount: fc.Arbitrary<Amount> = fc.oneof(
  { weight: 10, arbitrary: small.map((value): Amount => ({ is: 'minor', value })) },
  { weight: 3, arbitrary: fc.bigInt({ min: -1n, max: 1n }).map((plus): Amount => ({ is: 'limit', plus })) },
  { weight: 1, arbitrary: fc.constant<Amount>({ is: 'huge' }) },
);
const amount: fc.Arbitrary<Amount> = fc.oneof(
  { weight: 30, arbitrary: soundAmount },
  { weight: 1, arbitrary: fc.constantFrom<Amount[]>({ is: 'zero' }, { is: 'negative' }, { is: 'decimals' }) },
);

const pair: fc.Arbitrary<Pair> = fc.record({
  debit: thing,
  credit: thing,
  same_currency: fc.integer({ min: 0, max: 9 }).map((draw) => draw > 0),
});

const side = fc.constantFrom<Side[]>('debit', 'credit');
const off = fc.oneof(
  { weight: 9, arbitrary: fc.constant(0n) },
  { weight: 1, arbitrary: fc.constantFrom(1n, -1n) },
);

const form: fc.Arbitrary<Form> = fc.oneof(
  { weight: 9, arbitrary: fc.record({ form: fc.constant('simple' as const), pair, amount }) },
  {
    weight: 4,
    arbitrary: fc.record({
      form: fc.constant('legs' as const),
      lines: fc.array(
        fc.record({
          account: thing,
          side,
          amount: fc.oneof(
            { weight: 20, arbitrary: small },
            { weight: 1, arbitrary: fc.constant(999_999_999_999_999_999n) },
          ),
        }),
        { minLength: 1, maxLength: 5 },
      ),
      closing: thing,
      off,
    }),
  },
  {
    // Twice to one account, and its counter is full.
    weight: 1,
    arbitrary: fc.record({
      form: fc.constant('legs' as const),
      lines: fc
        .record({ account: thing, side, amount: fc.constant(999_999_999_999_999_999n) })
        .map((line) => Array.from({ length: 5 }, () => line)),
      closing: thing,
      off: fc.constant(0n),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      form: fc.constant('exchange' as const),
      debit: thing,
      credit: thing,
      amount: small,
      rate: fc.bigInt({ min: 1n, max: 50_000n }),
      off: fc.constantFrom(0n, 0n, 1n, 4n, -3n),
    }),
  },
);

const effective_date = fc.oneof(
  { weight: 9, arbitrary: fc.constantFrom('2024-02-29', '2026-01-31', '2199-12-31') },
  { weight: 1, arbitrary: fc.constant('2025-02-30') },
);
const terms: fc.Arbitrary<Terms> = fc.record(
  {
    effective_date,
    description: fc
      .string({ unit: 'grapheme', maxLength: 12 })
      .filter((text) => !/[\0\p{Surrogate}]/u.test(text)),
    metadata: fc.dictionary(
      fc.stringMatching(/^[a-z_.:-]{1,4}$/),
      fc.string({ maxLength: 4 }).filter((text) => !text.includes('\0')),
      { maxKeys: 2, noNullPrototype: true },
    ),
  },
  { requiredKeys: [] },
);

const dry_run = fc.integer({ min: 0, max: 7 }).map((draw) => draw === 0);
const does = <Name extends string>(name: Name) => fc.constant(name);

const open = fc.record({
  does: does('open'),
  currency: fc.constantFrom('BRL', 'BRL', 'JPY', 'KWD'),
  chart_code: fc.constantFrom('1', '2', '2', '3', '4', '5'),
  credit_limit: fc.oneof(
    { weight: 4, arbitrary: fc.constant(0n) },
    { weight: 2, arbitrary: fc.bigInt({ min: 1n, max: 500n }) },
    { weight: 1, arbitrary: fc.constant(null) },
  ),
  may_send: fc.integer({ min: 0, max: 9 }).map((draw) => draw > 0),
  may_receive: fc.integer({ min: 0, max: 9 }).map((draw) => draw > 0),
});
const status = fc.record({
  does: does('status'),
  account: thing,
  verb: fc.constantFrom('freeze' as const, 'unfreeze' as const, 'unfreeze' as const, 'close' as const),
});
const edit = fc.record({
  does: does('edit'),
  account: thing,
  etag: fc.constantFrom(
    'current' as const,
    'current' as const,
    'current' as const,
    'stale' as const,
    'absent' as const,
  ),
  change: fc.constantFrom(
    'may_send' as const,
    'may_receive' as const,
    'limit' as const,
    'limit' as const,
    'no_limit' as const,
    'foreign_limit' as const,
  ),
  on: fc.integer({ min: 0, max: 3 }).map((draw) => draw > 0),
  limit: fc.bigInt({ min: 0n, max: 900n }),
});
const transfer = fc.record({ does: does('transfer'), form, terms, dry_run });
const batch = fc.record({
  does: does('batch'),
  // Mostly side by side; a link that is taken up again is refused.
  items: fc
    .array(fc.record({ form, link: fc.constantFrom(0, 0, 1, 1, 2) }), { minLength: 1, maxLength: 6 })
    .chain((items) =>
      fc
        .integer({ min: 0, max: 7 })
        .map((draw) => (draw === 0 ? items : items.toSorted((left, right) => left.link - right.link))),
    ),
  atomic: fc.integer({ min: 0, max: 3 }).map((draw) => draw === 0),
  dry_run,
});
const reverse = fc.record({
  does: does('reverse'),
  transfer: thing,
  how: fc.constantFrom(
    'all' as const,
    'amount' as const,
    'amount' as const,
    'legs' as const,
    'legs' as const,
  ),
  amount,
  off,
  terms,
  dry_run,
});
const seconds = fc.integer({ min: 1, max: 100 });
const place = fc.record({
  does: does('place'),
  pair,
  amount,
  expires_in_s: fc.oneof(
    { weight: 4, arbitrary: fc.constant(null) },
    { weight: 6, arbitrary: seconds },
    { weight: 1, arbitrary: fc.constantFrom(0, -5) },
  ),
  terms,
  dry_run,
});
const hold = fc.record({
  does: does('hold'),
  hold: thing,
  kind: fc.constantFrom(
    'increment' as const,
    'extend' as const,
    'capture' as const,
    'capture' as const,
    'release' as const,
  ),
  amount: fc.oneof({ weight: 3, arbitrary: amount }, { weight: 1, arbitrary: fc.constant(null) }),
  final: fc.boolean(),
  expires_in_s: fc.oneof(
    { weight: 3, arbitrary: seconds },
    { weight: 1, arbitrary: fc.constantFrom(0, -5, 500) },
  ),
  dry_run,
});
const wait = fc.record({ does: does('wait'), seconds, expire: fc.boolean() });
const repeat = fc.record({
  does: does('repeat'),
  attempt: fc.nat(60),
  change: fc.constantFrom(
    'nothing' as const,
    'nothing' as const,
    'description' as const,
    'grouping' as const,
    'all_else' as const,
  ),
  form,
  dry_run,
});

/** Operations to choose from, each as often as its number says. */
export const operations: readonly [weight: number, fc.Arbitrary<Operation>][] = [
  [1, open],
  [2, status],
  [2, edit],
  [10, transfer],
  [4, batch],
  [5, reverse],
  [6, place],
  [12, hold],
  [2, wait],
  [5, repeat],
];
