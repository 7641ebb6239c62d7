/** What others may know of the ledger: what it answers other services, and the resources it answers clients with. */
import { type Static, Type } from 'typebox';
import { Personal } from '../../platform/access/redaction.ts';
import { Text } from '../../platform/http.ts';
import { Id } from '../../platform/ids.ts';
import { Currency, Money } from '../../platform/money.ts';
import { definePort } from '../../platform/port/port.ts';

export const ledgerPort = definePort({
  service: 'ledger',
  operations: {
    getPosition: {
      meaning: 'How far the books have come: how many transfers and steps of holds there were',
      input: Type.Object({}, { additionalProperties: false }),
      output: Type.Object({ position: Type.Integer({ minimum: 0 }) }),
      timeout_ms: 2_000,
      idempotent: true,
      writes: false,
      permission: 'transfers:read',
    },
    plantSeed: {
      meaning: 'Fills the books of a sandbox with a seed, for whoever may do each of its steps',
      input: Type.Object(
        {
          seed: Type.String({ minLength: 1, maxLength: 64 }),
          key: Type.String({
            pattern: '^[A-Za-z0-9_-]{1,100}$',
            description:
              'Chosen by the caller. With the same one it goes on where it ended, and is done once',
          }),
        },
        { additionalProperties: false },
      ),
      output: Type.Object({ requests: Type.Integer({ minimum: 0 }) }),
      timeout_ms: 120_000,
      idempotent: true,
      writes: true,
      permission: 'sandbox:reset',
    },
  },
});

/** Labels of the caller's own. Flat, and texts only, so that they can be searched, bounded and shown. */
export const Metadata = Personal(
  Type.Record(Type.String({ pattern: '^[A-Za-z0-9_.:-]{1,64}$' }), Text({ max: 500 }), {
    additionalProperties: false,
    maxProperties: 50,
    description: "The caller's own labels: up to 50, names of 1 to 64 characters, values of up to 500",
    examples: [{ order_id: 'A-1042' }],
  }),
);

export const IsoDate = Type.String({
  pattern: '^[0-9]{4}-[0-9]{2}-[0-9]{2}$',
  description: 'YYYY-MM-DD',
  examples: ['2026-01-31'],
});

export const Timestamp = Type.String({
  format: 'date-time',
  maxLength: 40,
  description: 'RFC 3339 time',
  examples: ['2026-01-31T12:00:00Z'],
});

export const Position = Type.Integer({
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  description: "Place in the tenant's ledger: every transfer and hold step has one, without gaps",
});

export const AccountType = Type.Union(
  [
    Type.Literal('asset'),
    Type.Literal('liability'),
    Type.Literal('equity'),
    Type.Literal('income'),
    Type.Literal('expense'),
  ],
  { description: 'Assets and expenses grow by debits, the others by credits' },
);

export const Side = Type.Union([Type.Literal('debit'), Type.Literal('credit')]);

export const AccountStatus = Type.Union([
  Type.Literal('open'),
  Type.Literal('frozen'),
  Type.Literal('closed'),
]);

export const ChartCode = Type.String({
  pattern: '^[0-9A-Za-z][0-9A-Za-z._-]{0,31}$',
  description: 'Code in the chart of accounts',
  examples: ['2100'],
});

export const Account = Type.Object({
  id: Id('acc'),
  name: Personal(Type.String()),
  currency: Currency,
  chart_code: ChartCode,
  type: AccountType,
  normal_side: Side,
  status: AccountStatus,
  may_send: Type.Boolean({ description: 'Whether the balance may be decreased' }),
  may_receive: Type.Boolean({ description: 'Whether the balance may be increased' }),
  credit_limit: Type.Union([Money, Type.Null()], {
    description: 'How far below zero the balance may go: 0 not at all, null without limit',
  }),
  balance: Type.Object(Money.properties, { description: 'Posted balance on the normal side' }),
  available: Type.Union([Money, Type.Null()], {
    description:
      'What can still leave the account: balance less what is held, plus the credit limit; null without limit',
  }),
  debits_posted: Money,
  credits_posted: Money,
  debits_pending: Money,
  credits_pending: Money,
  metadata: Metadata,
  created_at: Timestamp,
  updated_at: Timestamp,
});
export type Account = Static<typeof Account>;

/** One line of a posted transfer. */
export const Entry = Type.Object({
  leg: Type.Integer({ description: 'Number of the line within its transfer, from 1 on' }),
  account_id: Id('acc'),
  side: Side,
  amount: Money,
  balance: Type.Object(Money.properties, {
    description: 'Balance of the account on its normal side, after this entry',
  }),
  reverses_leg: Type.Optional(
    Type.Integer({ description: 'Leg of the reversed transfer that this entry takes back' }),
  ),
});
export type Entry = Static<typeof Entry>;

export const Exchange = Type.Object({
  rate: Type.String({
    pattern: '^(0|[1-9][0-9]{0,11})(\\.[0-9]{1,12})?$',
    description: 'Units of the credited currency for one unit of the debited currency',
    examples: ['5.4321'],
  }),
  debit_exchange_account_id: Id(
    'acc',
    'Exchange account in the credited currency: debited for what is paid out',
  ),
  credit_exchange_account_id: Id(
    'acc',
    'Exchange account in the debited currency: credited with what is taken in',
  ),
});
export type Exchange = Static<typeof Exchange>;

export const Transfer = Type.Object({
  id: Id('trf'),
  position: Position,
  kind: Type.Union([Type.Literal('transfer'), Type.Literal('reversal'), Type.Literal('capture')]),
  created_at: Timestamp,
  effective_date: IsoDate,
  description: Type.Optional(Personal(Type.String())),
  metadata: Metadata,
  entries: Type.Array(Entry),
  exchange: Type.Optional(Exchange),
  reverses_id: Type.Optional(Id('trf', 'The transfer that this one takes back')),
  reversed_by: Type.Array(Id('trf'), {
    description: 'Reversals of this transfer, in the order they were posted',
  }),
  hold_id: Type.Optional(Id('hld', 'The hold that was captured')),
  link_id: Type.Optional(Type.String({ description: 'Shared by transfers that were posted all or none' })),
});
export type Transfer = Static<typeof Transfer>;

export const HoldStatus = Type.Union([
  Type.Literal('active'),
  Type.Literal('captured'),
  Type.Literal('released'),
  Type.Literal('expired'),
]);

export const HoldStep = Type.Object({
  id: Id('hst'),
  step: Type.Integer(),
  position: Position,
  kind: Type.Union([
    Type.Literal('place'),
    Type.Literal('increment'),
    Type.Literal('extend'),
    Type.Literal('capture'),
    Type.Literal('release'),
    Type.Literal('expire'),
  ]),
  pending_change: Type.Object(Money.properties, { description: 'What the step added to the amount held' }),
  created_at: Timestamp,
  expires_at: Type.Optional(Timestamp),
  transfer_id: Type.Optional(Id('trf', 'The transfer that a capture posted')),
});

export type HoldStep = Static<typeof HoldStep>;

export const Hold = Type.Object({
  id: Id('hld'),
  debit_account_id: Id('acc'),
  credit_account_id: Id('acc'),
  status: HoldStatus,
  amount: Type.Object(Money.properties, { description: 'Placed and incremented' }),
  captured: Money,
  released: Type.Object(Money.properties, {
    description: 'Released by the caller, by a final capture or on expiry',
  }),
  remaining: Type.Object(Money.properties, {
    description: 'Held now: not spendable, and all that can be captured',
  }),
  expires_at: Type.Optional(Timestamp),
  description: Type.Optional(Personal(Type.String())),
  metadata: Metadata,
  created_at: Timestamp,
  updated_at: Timestamp,
  steps: Type.Array(HoldStep),
});
export type Hold = Static<typeof Hold>;

export const ChartEntry = Type.Object({
  code: ChartCode,
  name: Type.String(),
  type: AccountType,
  normal_side: Side,
  parent_code: Type.Optional(ChartCode),
  created_at: Timestamp,
});
export type ChartEntry = Static<typeof ChartEntry>;

export const PeriodCloseHash = Type.String({
  pattern: '^[0-9a-f]{64}$',
  description:
    'SHA-256 of the lines and totals of the trial balance in canonical JSON (RFC 8785), without the names of codes, which may change',
});

export const PeriodClose = Type.Object({
  id: Id('pcl'),
  through: IsoDate,
  previous_through: Type.Optional(
    Type.String({
      ...IsoDate,
      description: 'The last day that was closed before, and is again if it is reopened',
    }),
  ),
  position: Type.Integer({ ...Position, description: 'Last position of the ledger when it was closed' }),
  closed_at: Timestamp,
  closed_by: Type.String({ description: 'Public id of who closed it' }),
  hash: Type.Optional(PeriodCloseHash),
  reopened_at: Type.Optional(Timestamp),
  reopened_by: Type.Optional(Type.String()),
  reopen_reason: Type.Optional(Type.String()),
});
export type PeriodClose = Static<typeof PeriodClose>;
