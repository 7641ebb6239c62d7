/** What the ledger tells others: every event type, with its data. Its transfers and hold steps tell their position beside it. */
import { Type } from 'typebox';
import type { EventType, EventTypes } from '../../platform/bus/catalogue.ts';
import { Id } from '../../platform/ids.ts';
import { Money } from '../../platform/money.ts';
import { Account, Entry, Hold, HoldStep, PeriodClose, Transfer } from './contract.ts';

const acc = (last: string) => `acc_01h455vb4pex5vsknk084sn0${last}`;
const brl = (amount: string) => ({ amount, currency: 'BRL' });

const posted = Type.Object({
  ...Type.Pick(Transfer, ['id', 'description', 'exchange', 'reverses_id', 'hold_id', 'link_id']).properties,
  metadata: Type.Optional(Transfer.properties.metadata),
  effective_date: Type.Optional(Transfer.properties.effective_date),
  entries: Type.Array(Type.Pick(Entry, ['leg', 'account_id', 'side', 'amount'])),
});
const transfer = {
  id: 'trf_01h455vb4pex5vsknk084sn02q',
  entries: [
    { leg: 1, account_id: acc('1a'), side: 'debit', amount: brl('12.50') },
    { leg: 2, account_id: acc('1b'), side: 'credit', amount: brl('12.50') },
  ],
  metadata: { order_id: 'A-1042' },
};

const held = Type.Object({
  ...Type.Pick(Hold, [
    'id',
    'debit_account_id',
    'credit_account_id',
    'status',
    'amount',
    'captured',
    'released',
    'remaining',
    'expires_at',
    'description',
  ]).properties,
  metadata: Type.Optional(Hold.properties.metadata),
  step: Type.Pick(HoldStep, ['id', 'kind', 'step', 'pending_change']),
  transfer: Type.Optional(posted),
});

function holdEvent(summary: string, kind: string, change: string): EventType {
  return {
    version: 1,
    summary,
    aggregate: 'hold',
    data: held,
    example: {
      id: 'hld_01h455vb4pex5vsknk084sn02q',
      debit_account_id: acc('1a'),
      credit_account_id: acc('1b'),
      status: 'active',
      amount: brl('20.00'),
      captured: brl('0.00'),
      released: brl('0.00'),
      remaining: brl('20.00'),
      step: { id: 'hst_01h455vb4pex5vsknk084sn02r', kind, step: 1, pending_change: brl(change) },
    },
  };
}

const account = {
  id: acc('1a'),
  name: 'Ana Souza',
  currency: 'BRL',
  chart_code: '2100',
  type: 'liability',
};

function accountChanged(summary: string): EventType {
  return {
    version: 1,
    summary,
    aggregate: 'account',
    data: Account,
    example: {
      ...account,
      normal_side: 'credit',
      status: 'open',
      may_send: true,
      may_receive: true,
      credit_limit: brl('0.00'),
      balance: brl('100.00'),
      available: brl('80.00'),
      debits_posted: brl('0.00'),
      credits_posted: brl('100.00'),
      debits_pending: brl('20.00'),
      credits_pending: brl('0.00'),
      metadata: {},
      created_at: '2026-01-31T12:00:00Z',
      updated_at: '2026-01-31T12:05:00Z',
    },
  };
}

/** Without what only the auditor reads: why it was reopened. */
const period = Type.Omit(PeriodClose, ['hash', 'reopen_reason']);
const close = {
  id: 'pcl_01h455vb4pex5vsknk084sn02q',
  through: '2026-01-31',
  previous_through: '2025-12-31',
  position: 48_211,
  closed_at: '2026-02-03T09:00:00Z',
  closed_by: 'usr_01h455vb4pex5vsknk084sn02p',
};

export const events = {
  'ledger.transfer.posted': {
    version: 1,
    summary: 'Money was moved',
    aggregate: 'transfer',
    data: posted,
    example: transfer,
  },
  'ledger.transfer.reversed': {
    version: 1,
    summary: 'A transfer was taken back, in whole or in part, by this one',
    aggregate: 'transfer',
    data: posted,
    example: { ...transfer, reverses_id: 'trf_01h455vb4pex5vsknk084sn02p' },
  },
  'ledger.hold.placed': holdEvent('Money was set aside', 'place', '20.00'),
  'ledger.hold.incremented': holdEvent('More money was set aside', 'increment', '5.00'),
  'ledger.hold.extended': holdEvent('Money is set aside for longer', 'extend', '0.00'),
  'ledger.hold.captured': holdEvent('Money that was set aside was moved', 'capture', '-20.00'),
  'ledger.hold.released': holdEvent('Money that was set aside is free again', 'release', '-20.00'),
  'ledger.hold.expired': holdEvent('Money is free again because its time was over', 'expire', '-20.00'),
  'ledger.account.opened': {
    version: 1,
    summary: 'An account was opened',
    aggregate: 'account',
    data: Type.Object({
      ...Type.Pick(Account, ['id', 'name', 'currency', 'chart_code', 'type']).properties,
      credit_limit: Type.Optional(Type.Union([Money, Type.Null()])),
      may_send: Type.Optional(Account.properties.may_send),
      may_receive: Type.Optional(Account.properties.may_receive),
      metadata: Type.Optional(Account.properties.metadata),
      id: Id('acc'),
    }),
    example: account,
  },
  'ledger.account.edited': accountChanged('An account was renamed, or what it may do was changed'),
  'ledger.account.frozen': accountChanged('An account was frozen: nothing moves on it'),
  'ledger.account.unfrozen': accountChanged('A frozen account is open again'),
  'ledger.account.closed': accountChanged('An account was closed for good'),
  'ledger.period.closed': {
    version: 1,
    summary: 'The books were closed up to a day: nothing is posted on it or before any more',
    aggregate: 'period',
    data: period,
    example: close,
  },
  'ledger.period.reopened': {
    version: 1,
    summary: 'The last period that was closed is open again',
    aggregate: 'period',
    data: period,
    example: {
      ...close,
      reopened_at: '2026-02-04T10:30:00Z',
      reopened_by: 'usr_01h455vb4pex5vsknk084sn02r',
    },
  },
} satisfies EventTypes;
