/** Carries an operation out on the model and on the real system, through its API, and compares what both say. */
import assert from 'node:assert/strict';
import type { Client } from 'pg';
import type { Answer, TestTenant } from '../../src/testing.ts';
import {
  type Account,
  availableOf,
  type BatchItem,
  type Books,
  balanceOf,
  type Edit,
  editAccount,
  expireHolds,
  type HoldRequest,
  type Leg,
  placeHold,
  postBatch,
  postTransfer,
  type Refusal,
  reverse,
  type Side,
  setStatus,
  stepHold,
  type Transfer,
  wholeReversal,
} from './ledger.ts';
import { type Amount, type Form, type Operation, type Pair, type Terms, UNKNOWN } from './operations.ts';

/** What the real system is reached by, and its ids in the order of the model's numbers. */
export interface World {
  bank: TestTenant;
  /** As superuser: lets time pass in the ledger. */
  sql: Client;
  /** Lets the system expire what is due, as its job does. */
  expire: () => Promise<void>;
  /** Told what each operation came to. */
  tally: (what: string) => void;
  accounts: string[];
  transfers: string[];
  holds: string[];
}

/** A request with an idempotency key, and what it should do. */
interface Intent {
  url: string;
  body: Record<string, unknown>;
  carryOut: (books: Books) => Outcome;
  /** The same with another description, where it has one. */
  redescribe?: (description: string) => Intent;
  /** A batch with the same transfers, of which others are posted all or none. */
  regroup?: () => Intent;
}

/** `kept`: whether it is kept under the key; what was never an attempt is not. */
type Outcome =
  | { kept: boolean; refusal: Refusal }
  | { kept: true; transfer: number }
  | { kept: true; batch: (number | Refusal)[] }
  | { kept: true; hold: number; transfer?: number };

interface Attempt {
  key: string;
  intent: Intent;
  answer: Answer;
}

export interface Model {
  books: Books;
  attempts: Attempt[];
  /** Attempts whose outcome is kept, by key. */
  kept: Map<string, Attempt>;
  keys: number;
}

const MAX_AMOUNT = 999_999_999_999_999_999n;
const exponents: Record<string, number> = { BRL: 2, JPY: 0, KWD: 3 };
const currencies = Object.keys(exponents);
/** The ledger's time at second 0. It is moved by hand, so that no test waits. */
const EPOCH_MS = Date.parse('2100-01-01T00:00:00Z');

function exponentOf(currency: string): number {
  const exponent = exponents[currency];
  assert.ok(exponent !== undefined, currency);
  return exponent;
}

function money(minor: bigint, currency: string): { amount: string; currency: string } {
  const digits = exponentOf(currency);
  const text = (minor < 0n ? -minor : minor).toString().padStart(digits + 1, '0');
  const [whole, fraction] = [text.slice(0, text.length - digits), text.slice(text.length - digits)];
  return { amount: `${minor < 0n ? '-' : ''}${whole}${digits === 0 ? '' : `.${fraction}`}`, currency };
}

function timeOf(seconds: number): string {
  return new Date(EPOCH_MS + seconds * 1_000).toISOString().replace('.000Z', 'Z');
}

function statusOf(code: string): number {
  if (/^(account|transfer|hold)_not_found$/.test(code)) return 404;
  return { malformed_request: 400, precondition_required: 428, precondition_failed: 412 }[code] ?? 422;
}

/** Well formed, and nobody's. */
const stranger = (prefix: string) => `${prefix}_7zzzzzzzzzzzzzzzzzzzzzzzzz`;

function idOf(ids: readonly string[], prefix: string, number: number): string {
  return ids[number] ?? stranger(prefix);
}

/** The n-th of `count`; -1, which is none, for `UNKNOWN`. */
function pick(n: number, count: number): number {
  return n === UNKNOWN || count === 0 ? -1 : n % count;
}

function pickFrom(n: number, numbers: readonly number[]): number {
  return numbers[pick(n, numbers.length)] ?? -1;
}

function numbersOf(books: Books, wanted: (account: Account, number: number) => boolean): number[] {
  return books.accounts.flatMap((account, number) => (wanted(account, number) ? [number] : []));
}

function currencyOf(books: Books, account: number): string {
  return books.accounts[account]?.currency ?? 'BRL';
}

function resolvePair(books: Books, pair: Pair): { debit: number; credit: number; currency: string } {
  const debit = pick(pair.debit, books.accounts.length);
  const currency = currencyOf(books, debit);
  const partners = numbersOf(
    books,
    (account, number) => !pair.same_currency || (number !== debit && account.currency === currency),
  );
  return { debit, credit: pickFrom(pair.credit, partners), currency };
}

/** The amount as sent, in minor units, and why it cannot be taken, if so. */
function resolveAmount(
  amount: Amount,
  limit: bigint | null,
  currency: string,
): { sent: { amount: string; currency: string }; minor: bigint; refused?: string } {
  if (amount.is === 'decimals') {
    return {
      sent: { amount: `1.${'0'.repeat(exponentOf(currency))}1`, currency },
      minor: 0n,
      refused: 'too_many_decimals',
    };
  }
  const wanted = {
    minor: amount.is === 'minor' ? amount.value : 0n,
    limit: (limit ?? 100n) + (amount.is === 'limit' ? amount.plus : 0n),
    huge: MAX_AMOUNT,
    zero: 0n,
    negative: -5n,
  }[amount.is];
  const minor = wanted > MAX_AMOUNT ? MAX_AMOUNT : wanted < -MAX_AMOUNT ? -MAX_AMOUNT : wanted;
  const sent = money(minor, currency);
  return minor > 0n ? { sent, minor } : { sent, minor, refused: 'amount_not_positive' };
}

/** A transfer's body, its legs, and why it is refused for what it says itself, if so. */
interface Built {
  body: Record<string, unknown>;
  legs: Leg[];
  refused?: string;
}

function buildSimple(world: World, books: Books, form: Extract<Form, { form: 'simple' }>): Built {
  const { debit, credit, currency } = resolvePair(books, form.pair);
  const account = books.accounts[debit];
  const amount = resolveAmount(form.amount, account === undefined ? null : availableOf(account), currency);
  const [debit_account_id, credit_account_id] = [debit, credit].map((n) => idOf(world.accounts, 'acc', n));
  const refused = debit === credit ? 'same_account' : amount.refused;
  return {
    body: { debit_account_id, credit_account_id, amount: amount.sent },
    legs: [
      { account: debit, side: 'debit', amount: amount.minor, currency },
      { account: credit, side: 'credit', amount: amount.minor, currency },
    ],
    ...(refused === undefined ? {} : { refused }),
  };
}

function buildLegs(world: World, books: Books, form: Extract<Form, { form: 'legs' }>): Built {
  const legs = form.lines.map(({ account: n, side, amount }): Leg => {
    const account = pick(n, books.accounts.length);
    return { account, side, amount, currency: currencyOf(books, account) };
  });
  for (const currency of new Set(legs.map((leg) => leg.currency))) {
    let difference = legs
      .filter((leg) => leg.currency === currency)
      .reduce((sum, { side, amount }) => sum + (side === 'debit' ? amount : -amount), 0n);
    const side: Side = difference > 0n ? 'credit' : 'debit';
    if (difference < 0n) difference = -difference;
    const account = pickFrom(
      form.closing,
      numbersOf(books, (candidate) => candidate.currency === currency),
    );
    while (difference > 0n) {
      const amount = difference > MAX_AMOUNT ? MAX_AMOUNT : difference;
      legs.push({ account, side, amount, currency });
      difference -= amount;
    }
  }
  const last = legs.at(-1);
  const off = last !== undefined && last.amount + form.off <= MAX_AMOUNT ? form.off : 0n;
  if (last !== undefined) last.amount += off;
  const refused =
    last !== undefined && last.amount <= 0n
      ? 'amount_not_positive'
      : off !== 0n
        ? 'unbalanced_transfer'
        : undefined;
  return {
    body: {
      legs: legs.map(({ account, side, amount, currency }) => ({
        account_id: idOf(world.accounts, 'acc', account),
        side,
        amount: money(amount, currency),
      })),
    },
    legs,
    ...(refused === undefined ? {} : { refused }),
  };
}

function buildExchange(world: World, books: Books, form: Extract<Form, { form: 'exchange' }>): Built {
  const debit = pick(form.debit, books.accounts.length);
  const from = currencyOf(books, debit);
  const credit = pickFrom(
    form.credit,
    numbersOf(books, ({ currency }) => currency !== from),
  );
  const to = credit < 0 ? 'JPY' : currencyOf(books, credit);
  // The first account of each currency is its exchange account.
  const [takesIn, paysOut] = [from, to].map((currency) =>
    books.accounts.findIndex((account) => account.currency === currency),
  );
  assert.ok(takesIn !== undefined && paysOut !== undefined);
  const product =
    (form.amount * form.rate * 10n ** BigInt(exponentOf(to))) / (1_000n * 10n ** BigInt(exponentOf(from)));
  const credited = product + form.off;
  const refused =
    debit === credit
      ? 'same_account'
      : credited <= 0n
        ? 'amount_not_positive'
        : form.off < 0n || form.off > 1n
          ? 'exchange_mismatch'
          : undefined;
  return {
    body: {
      debit_account_id: idOf(world.accounts, 'acc', debit),
      credit_account_id: idOf(world.accounts, 'acc', credit),
      amount: money(form.amount, from),
      exchange: {
        rate: `${form.rate / 1_000n}.${(form.rate % 1_000n).toString().padStart(3, '0')}`,
        credit_exchange_account_id: idOf(world.accounts, 'acc', takesIn),
        debit_exchange_account_id: idOf(world.accounts, 'acc', paysOut),
        credited: money(credited, to),
      },
    },
    legs: [
      { account: debit, side: 'debit', amount: form.amount, currency: from },
      { account: takesIn, side: 'credit', amount: form.amount, currency: from },
      { account: paysOut, side: 'debit', amount: credited, currency: to },
      { account: credit, side: 'credit', amount: credited, currency: to },
    ],
    ...(refused === undefined ? {} : { refused }),
  };
}

function build(world: World, books: Books, form: Form): Built {
  switch (form.form) {
    case 'simple':
      return buildSimple(world, books, form);
    case 'legs':
      return buildLegs(world, books, form);
    default:
      return buildExchange(world, books, form);
  }
}

function datesRefused({ effective_date }: Terms): string | undefined {
  return effective_date === '2025-02-30' ? 'effective_date_invalid' : undefined;
}

function transferIntent({ body, legs, refused }: Built, terms: Terms): Intent {
  const itself = refused ?? datesRefused(terms);
  return {
    url: '/api/v2/transfers',
    body: { ...body, ...terms },
    carryOut(books) {
      if (itself !== undefined) return { kept: true, refusal: { refused: itself } };
      const outcome = postTransfer(books, legs);
      return typeof outcome === 'number'
        ? { kept: true, transfer: outcome }
        : { kept: true, refusal: outcome };
    },
    redescribe: (description) =>
      transferIntent(
        { body, legs, ...(refused === undefined ? {} : { refused }) },
        { ...terms, description },
      ),
  };
}

function batchIntent(
  items: readonly { built: Built; link: number; description?: string }[],
  atomic: boolean,
): Intent {
  const links = items.map(({ link }) => link).filter((link) => link > 0);
  const runs = items.filter(({ link }, index) => link > 0 && items[index - 1]?.link !== link).length;
  const scattered = !atomic && runs > new Set(links).size;
  return {
    url: '/api/v2/transfers/batch',
    body: {
      ...(atomic ? { atomic } : {}),
      transfers: items.map(({ built, link, description }) => ({
        ...built.body,
        ...(link > 0 ? { link: `link ${link}` } : {}),
        ...(description === undefined ? {} : { description }),
      })),
    },
    carryOut(books) {
      if (scattered) return { kept: false, refusal: { refused: 'links_not_adjacent' } };
      const outcomes = postBatch(
        books,
        items.map(({ built: { legs, refused }, link }): BatchItem => {
          const group = atomic ? 0 : link > 0 ? link : undefined;
          return { legs, link: group, ...(refused === undefined ? {} : { refused }) };
        }),
      );
      return { kept: true, batch: outcomes };
    },
    redescribe: (description) =>
      batchIntent(
        items.map((item) => ({ ...item, description })),
        atomic,
      ),
    regroup: () => batchIntent(items, !atomic),
  };
}

function reversalIntent(
  world: World,
  books: Books,
  asked: Extract<Operation, { does: 'reverse' }>,
  terms: Terms,
): Intent {
  const number = pick(asked.transfer, books.transfers.length);
  const original = books.transfers[number];
  const url = `/api/v2/transfers/${idOf(world.transfers, 'trf', number)}/reversals`;
  let refused = datesRefused(terms);
  let body: Record<string, unknown> = {};
  let parts: { leg: number; amount: bigint; currency?: string }[] | undefined;
  const leftOf = (leg: number) => {
    const found = original?.legs[leg - 1];
    return found === undefined ? null : found.amount - found.reversed;
  };
  if (asked.how === 'amount') {
    const currency = original?.legs[0]?.currency ?? 'BRL';
    const amount = resolveAmount(asked.amount, leftOf(1), currency);
    if (original !== undefined) {
      refused ??= original.legs.length === 2 ? amount.refused : 'partial_reversal_ambiguous';
    }
    body = { amount: amount.sent };
    parts = [1, 2].map((leg) => ({ leg, amount: amount.minor, currency }));
  } else if (asked.how === 'legs') {
    const first = original?.legs.findIndex(({ side }) => side === 'debit') ?? 0;
    const currency = original?.legs[first]?.currency ?? 'BRL';
    const second = original?.legs.findIndex((leg) => leg.side === 'credit' && leg.currency === currency) ?? 1;
    const [left, right] = [leftOf(first + 1) ?? 0n, leftOf(second + 1) ?? 0n];
    const amount = resolveAmount(asked.amount, left < right ? left : right, currency);
    const off = amount.refused === undefined && amount.minor + asked.off <= MAX_AMOUNT ? asked.off : 0n;
    const lastly = amount.minor + off;
    if (original !== undefined) {
      refused ??=
        amount.refused ??
        (lastly <= 0n ? 'amount_not_positive' : off === 0n ? undefined : 'unbalanced_transfer');
    }
    body = {
      legs: [
        { leg: first + 1, amount: amount.sent },
        { leg: second + 1, amount: amount.refused === undefined ? money(lastly, currency) : amount.sent },
      ],
    };
    parts = [
      { leg: first + 1, amount: amount.minor, currency },
      { leg: second + 1, amount: lastly, currency },
    ];
  }
  return {
    url,
    body: { ...body, ...terms },
    carryOut(now) {
      if (refused !== undefined) return { kept: true, refusal: { refused } };
      const known = now.transfers[number];
      const outcome = reverse(now, number, parts ?? (known === undefined ? [] : wholeReversal(known)));
      return typeof outcome === 'number'
        ? { kept: true, transfer: outcome }
        : { kept: true, refusal: outcome };
    },
    redescribe: (description) => reversalIntent(world, books, asked, { ...terms, description }),
  };
}

function placeIntent(
  world: World,
  books: Books,
  asked: Extract<Operation, { does: 'place' }>,
  { description, metadata }: Terms,
): Intent {
  const terms = {
    ...(description === undefined ? {} : { description }),
    ...(metadata === undefined ? {} : { metadata }),
  };
  const { debit, credit, currency } = resolvePair(books, asked.pair);
  const account = books.accounts[debit];
  const amount = resolveAmount(asked.amount, account === undefined ? null : availableOf(account), currency);
  const refused = debit === credit ? 'same_account' : amount.refused;
  const expires_at = asked.expires_in_s === null ? null : books.now + asked.expires_in_s;
  return {
    url: '/api/v2/holds',
    body: {
      debit_account_id: idOf(world.accounts, 'acc', debit),
      credit_account_id: idOf(world.accounts, 'acc', credit),
      amount: amount.sent,
      ...(expires_at === null ? {} : { expires_at: timeOf(expires_at) }),
      ...terms,
    },
    carryOut(now) {
      if (refused !== undefined) return { kept: true, refusal: { refused } };
      const outcome = placeHold(now, { debit, credit, amount: amount.minor, currency, expires_at });
      return typeof outcome === 'number' ? { kept: true, hold: outcome } : { kept: true, refusal: outcome };
    },
    redescribe: (description) => placeIntent(world, books, asked, { ...terms, description }),
  };
}

function holdIntent(world: World, books: Books, asked: Extract<Operation, { does: 'hold' }>): Intent {
  const number = pick(asked.hold, books.holds.length);
  const hold = books.holds[number];
  const currency = hold?.currency ?? 'BRL';
  const debited = books.accounts[hold?.debit ?? -1];
  const limit =
    asked.kind === 'increment'
      ? debited === undefined
        ? null
        : availableOf(debited)
      : hold === undefined
        ? null
        : hold.amount - hold.captured - hold.released;
  const wanted = asked.amount ?? (asked.kind === 'increment' ? ({ is: 'minor', value: 7n } as const) : null);
  const amount = wanted === null ? undefined : resolveAmount(wanted, limit, currency);
  const expires_at = (hold?.expires_at ?? books.now) + asked.expires_in_s;
  const part = amount === undefined ? {} : { amount: amount.sent };
  const [name, body] = ((): [string, Record<string, unknown>] => {
    switch (asked.kind) {
      case 'increment':
        return ['increments', part];
      case 'extend':
        return ['extensions', { expires_at: timeOf(expires_at) }];
      case 'capture':
        return ['captures', { ...part, ...(asked.final ? { final: true } : {}) }];
      default:
        return ['releases', part];
    }
  })();
  const request = (): HoldRequest => {
    const given = amount === undefined ? {} : { amount: amount.minor, currency };
    switch (asked.kind) {
      case 'increment':
        return { kind: 'increment', amount: amount?.minor ?? 0n, currency };
      case 'extend':
        return { kind: 'extend', expires_at };
      case 'capture':
        return { kind: 'capture', final: asked.final, ...given };
      default:
        return { kind: 'release', ...given };
    }
  };
  return {
    url: `/api/v2/holds/${idOf(world.holds, 'hld', number)}/${name}`,
    body,
    carryOut(now) {
      if (asked.kind !== 'extend' && amount?.refused !== undefined) {
        return { kept: true, refusal: { refused: amount.refused } };
      }
      const outcome = stepHold(now, number, request());
      if (typeof outcome !== 'number') return { kept: true, refusal: outcome };
      return { kept: true, hold: number, ...(outcome < 0 ? {} : { transfer: outcome }) };
    },
  };
}

/** What a transfer of the model is answered as, beside its id and what was said of it. */
function shownTransfer(world: World, books: Books, number: number, withReversals: boolean) {
  const transfer = books.transfers[number];
  assert.ok(transfer !== undefined);
  return {
    position: transfer.position,
    kind: transfer.kind,
    entries: transfer.legs.map((leg, index) => ({
      leg: index + 1,
      account_id: world.accounts[leg.account],
      side: leg.side,
      amount: money(leg.amount, leg.currency),
      balance: money(leg.balance, leg.currency),
      ...(leg.reverses_leg === undefined ? {} : { reverses_leg: leg.reverses_leg }),
    })),
    ...(transfer.reverses === undefined ? {} : { reverses_id: world.transfers[transfer.reverses] }),
    ...(transfer.hold === undefined ? {} : { hold_id: world.holds[transfer.hold] }),
    reversed_by: withReversals ? transfer.reversed_by.map((by) => world.transfers[by]) : [],
  };
}

type Shown = Record<string, unknown>;

function without(answer: Shown, ...names: string[]): Shown {
  return Object.fromEntries(Object.entries(answer).filter(([name]) => !names.includes(name)));
}

/** What a body said that is told again. */
function told(books: Books, body: Shown): Shown {
  const exchange: Shown | undefined = body['exchange'] === undefined ? undefined : Object(body['exchange']);
  return {
    metadata: body['metadata'] ?? {},
    ...(body['description'] === undefined ? {} : { description: body['description'] }),
    effective_date: body['effective_date'] ?? timeOf(books.now).slice(0, 10),
    ...(exchange === undefined ? {} : { exchange: without(exchange, 'credited') }),
    created_at: timeOf(books.now),
  };
}

function compareTransfer(world: World, books: Books, number: number, body: Shown, answer: Shown): void {
  assert.deepEqual(without(answer, 'id', 'link_id'), {
    ...shownTransfer(world, books, number, false),
    ...told(books, body),
  });
}

function shownHold(world: World, books: Books, number: number): Shown {
  const hold = books.holds[number];
  assert.ok(hold !== undefined);
  const remaining = hold.amount - hold.captured - hold.released;
  const last = hold.steps.at(-1)?.kind;
  const expiry = (at: number | null) => (at === null ? {} : { expires_at: timeOf(at) });
  return {
    debit_account_id: world.accounts[hold.debit],
    credit_account_id: world.accounts[hold.credit],
    status:
      remaining > 0n
        ? 'active'
        : last === 'capture'
          ? 'captured'
          : last === 'expire'
            ? 'expired'
            : 'released',
    amount: money(hold.amount, hold.currency),
    captured: money(hold.captured, hold.currency),
    released: money(hold.released, hold.currency),
    remaining: money(remaining, hold.currency),
    ...expiry(hold.expires_at),
    steps: hold.steps.map((step, index) => ({
      step: index + 1,
      position: step.position,
      kind: step.kind,
      pending_change: money(step.change, hold.currency),
      ...expiry(step.expires_at),
      ...(step.transfer === undefined ? {} : { transfer_id: world.transfers[step.transfer] }),
    })),
  };
}

/** A hold's answer without what the model does not know: ids and times of steps. */
function knownOfHold(answer: Shown): Shown {
  const steps: Shown[] = Array.isArray(answer['steps']) ? answer['steps'] : [];
  return {
    ...without(answer, 'id', 'description', 'metadata', 'created_at', 'updated_at', 'steps'),
    steps: steps.map((step) => without(step, 'id', 'created_at')),
  };
}

function compareRefusal(refusal: Refusal, problem: Shown): void {
  assert.equal(problem['code'], refusal.refused, JSON.stringify(problem));
  assert.equal(problem['status'], statusOf(refusal.refused));
  if (refusal.refused_index !== undefined) assert.equal(problem['refused_index'], refusal.refused_index);
  if (refusal.short !== undefined) {
    const short: Shown = Object(problem['short']);
    assert.deepEqual(short, money(refusal.short, String(short['currency'])));
  }
}

/** Compares an answer with the outcome, where `after` are the books that it led to, and learns new ids from it. */
function compare(
  world: World,
  after: Books,
  intent: Intent,
  outcome: Outcome,
  answer: Answer,
  learn: boolean,
): void {
  const keep = (ids: string[], number: number, id: unknown) => {
    if (!learn) return;
    assert.match(String(id), /^(trf|hld)_[0-9a-z]{26}$/);
    ids[number] = String(id);
  };
  if ('refusal' in outcome) {
    assert.equal(answer.status, statusOf(outcome.refusal.refused), answer.text);
    compareRefusal(outcome.refusal, answer.body);
  } else if ('batch' in outcome) {
    assert.equal(answer.status, 200, answer.text);
    const items: Shown[] = answer.body.outcomes;
    const bodies: Shown[] = Array.isArray(intent.body['transfers']) ? intent.body['transfers'] : [];
    assert.equal(items.length, outcome.batch.length);
    const links = new Map<unknown, Set<unknown>>();
    for (const [index, expected] of outcome.batch.entries()) {
      const item = items[index] ?? {};
      const body = bodies[index] ?? {};
      if (typeof expected !== 'number') {
        assert.equal(item['status'], statusOf(expected.refused), JSON.stringify(item));
        compareRefusal(expected, Object(item['problem']));
        continue;
      }
      assert.equal(item['status'], 201, JSON.stringify(item));
      const transfer: Shown = Object(item['transfer']);
      compareTransfer(world, after, expected, body, transfer);
      keep(world.transfers, expected, transfer['id']);
      const link = intent.body['atomic'] === true ? 'all' : body['link'];
      if (link === undefined) assert.equal(transfer['link_id'], undefined);
      else links.set(link, (links.get(link) ?? new Set()).add(transfer['link_id']));
    }
    for (const ids of links.values()) assert.equal(ids.size, 1, 'transfers of one link share its id');
    const posted = outcome.batch.filter((item) => typeof item === 'number').length;
    assert.equal(answer.body.posted, posted);
    assert.equal(answer.body.refused, items.length - posted);
  } else if ('hold' in outcome) {
    assert.equal(answer.status, 201, answer.text);
    const { transfer, hold } = outcome;
    const shown: Shown = transfer === undefined ? answer.body : answer.body.hold;
    if (after.holds[hold]?.steps.length === 1) keep(world.holds, hold, shown['id']);
    const known = knownOfHold(shown);
    if (transfer !== undefined) {
      const shownCapture: Shown = answer.body.transfer;
      const hold_id = learn ? world.holds[hold] : shown['id'];
      keep(world.transfers, transfer, shownCapture['id']);
      assert.deepEqual(without(shownCapture, 'id'), {
        ...shownTransfer(world, after, transfer, false),
        ...told(after, intent.body),
        hold_id,
      });
    }
    const expected = shownHold(world, after, hold);
    if (transfer !== undefined && !learn) {
      // Of a rehearsal the transfer's id is not kept.
      const last = Object(Array.isArray(known['steps']) ? known['steps'].at(-1) : {});
      Object.assign(Object(Array.isArray(expected['steps']) ? expected['steps'].at(-1) : {}), {
        transfer_id: last['transfer_id'],
      });
    }
    assert.deepEqual(known, expected);
    assert.equal(answer.headers['ledger-position'], String(after.position));
  } else {
    assert.equal(answer.status, 201, answer.text);
    compareTransfer(world, after, outcome.transfer, intent.body, answer.body);
    assert.equal(answer.headers['ledger-position'], String(after.position));
    keep(world.transfers, outcome.transfer, answer.body.id);
  }
  assert.equal(answer.headers['idempotent-replayed'], undefined, 'done for the first time');
}

/** JSON with its members in order, so that equal requests are equal texts. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).toSorted(([left], [right]) => (left < right ? -1 : 1)))
      : member,
  );
}

const comparable = (answer: Answer) =>
  typeof answer.body === 'object' ? without(answer.body, 'request_id') : answer.text;

function namesOf(outcome: Outcome): string[] {
  if ('refusal' in outcome) return [outcome.refusal.refused];
  if ('batch' in outcome) {
    return outcome.batch.map((item) => `batch: ${typeof item === 'number' ? 'posted' : item.refused}`);
  }
  return 'hold' in outcome ? ['hold step'] : ['posted'];
}

/** Sends an intent under a key and compares what comes of it. */
async function attempt(
  model: Model,
  world: World,
  intent: Intent,
  key: string,
  dry_run: boolean,
): Promise<void> {
  const after = structuredClone(model.books);
  const outcome = intent.carryOut(after);
  const url = dry_run ? `${intent.url}?dry_run=true` : intent.url;
  const answer = await world.bank.ask('POST', url, intent.body, { 'idempotency-key': key });
  const earlier = model.kept.get(key);
  for (const what of namesOf(outcome)) world.tally(`${dry_run ? 'dry run: ' : ''}${what}`);
  if (!outcome.kept || earlier === undefined) {
    compare(world, after, intent, outcome, answer, !dry_run);
    if (dry_run) return;
    Object.assign(model.books, after);
    const made: Attempt = { key, intent, answer };
    model.attempts.push(made);
    if (outcome.kept) model.kept.set(key, made);
  } else if (earlier.intent.url === intent.url && canonical(earlier.intent.body) === canonical(intent.body)) {
    assert.equal(answer.status, earlier.answer.status, answer.text);
    assert.deepEqual(comparable(answer), comparable(earlier.answer));
    assert.equal(answer.headers['idempotent-replayed'], 'true');
  } else {
    assert.equal(answer.status, 422, answer.text);
    assert.equal(answer.body.code, 'idempotency_key_reused');
    assert.ok(answer.body.differs.length > 0);
    assert.equal(answer.headers['idempotent-replayed'], undefined);
  }
}

async function openAccount(
  model: Model,
  world: World,
  asked: Omit<Extract<Operation, { does: 'open' }>, 'does'>,
): Promise<void> {
  const { currency, chart_code, credit_limit, may_send, may_receive } = asked;
  const answer = await world.bank.ask('POST', '/api/v2/accounts', {
    name: `account ${model.books.accounts.length}`,
    currency,
    chart_code,
    may_send,
    may_receive,
    credit_limit: credit_limit === null ? null : money(credit_limit, currency),
  });
  assert.equal(answer.status, 201, answer.text);
  assert.equal(answer.headers['etag'], '"1"');
  world.accounts.push(answer.body.id);
  model.books.accounts.push({
    currency,
    chart_code,
    normal_side: chart_code === '1' || chart_code === '5' ? 'debit' : 'credit',
    status: 'open',
    may_send,
    may_receive,
    credit_limit,
    debits_posted: 0n,
    credits_posted: 0n,
    debits_pending: 0n,
    credits_pending: 0n,
    version: 1,
  });
}

async function changeStatus(
  model: Model,
  world: World,
  { account: n, verb }: Extract<Operation, { does: 'status' }>,
): Promise<void> {
  const number = pick(n, model.books.accounts.length);
  const account = model.books.accounts[number];
  const answer = await world.bank.ask(
    'POST',
    `/api/v2/accounts/${idOf(world.accounts, 'acc', number)}/${verb}`,
  );
  const status = ({ freeze: 'frozen', unfreeze: 'open', close: 'closed' } as const)[verb];
  const refusal = account === undefined ? { refused: 'account_not_found' } : setStatus(account, status);
  if (refusal !== undefined) {
    compareRefusal(refusal, answer.body);
    return;
  }
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.headers['etag'], `"${account?.version}"`);
}

async function edit(model: Model, world: World, asked: Extract<Operation, { does: 'edit' }>): Promise<void> {
  const number = pick(asked.account, model.books.accounts.length);
  const account = model.books.accounts[number];
  const currency = account?.currency ?? 'BRL';
  const version = (account?.version ?? 1) + (asked.etag === 'stale' ? 1 : 0);
  const foreign = currencies.find((code) => code !== currency) ?? 'USD';
  const [body, change] = ((): [object, Edit] => {
    switch (asked.change) {
      case 'may_send':
        return [{ may_send: asked.on }, { may_send: asked.on }];
      case 'may_receive':
        return [{ may_receive: asked.on }, { may_receive: asked.on }];
      case 'limit':
        return [{ credit_limit: money(asked.limit, currency) }, { credit_limit: asked.limit }];
      case 'no_limit':
        return [{ credit_limit: null }, { credit_limit: null }];
      default:
        return [{ credit_limit: money(asked.limit, foreign) }, {}];
    }
  })();
  const answer = await world.bank.ask(
    'PATCH',
    `/api/v2/accounts/${idOf(world.accounts, 'acc', number)}`,
    body,
    asked.etag === 'absent' ? {} : { 'if-match': `"${version}"` },
  );
  const refusal = ((): Refusal | undefined => {
    if (account === undefined) return { refused: 'account_not_found' };
    if (asked.etag === 'absent') return { refused: 'precondition_required' };
    if (asked.etag === 'stale') return { refused: 'precondition_failed' };
    if (asked.change === 'foreign_limit' && account.status !== 'closed')
      return { refused: 'currency_mismatch' };
    return editAccount(account, change);
  })();
  if (refusal !== undefined) {
    compareRefusal(refusal, answer.body);
    return;
  }
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.headers['etag'], `"${account?.version}"`);
}

/** Moves the ledger's time, which never goes back behind that of its last record. */
async function setTime(world: World, seconds: number): Promise<void> {
  const { tenant_id, environment } = world.bank.scope;
  await world.sql.query(
    'update ledger.heads set recorded_at = $3 where tenant_id = $1 and environment = $2',
    [tenant_id, environment, timeOf(seconds)],
  );
}

/** Gives the ledger's time back what moved it beyond its last record, which the integrity check would name. */
export async function returnTime(world: World): Promise<void> {
  const { tenant_id, environment } = world.bank.scope;
  await world.sql.query(
    `update ledger.heads h set recorded_at = greatest(
       (select max(created_at) from ledger.transfers t where t.tenant_id = $1 and t.environment = $2),
       (select max(created_at) from ledger.hold_steps s where s.tenant_id = $1 and s.environment = $2))
     where h.tenant_id = $1 and h.environment = $2`,
    [tenant_id, environment],
  );
}

async function wait(
  model: Model,
  world: World,
  { seconds, expire }: Extract<Operation, { does: 'wait' }>,
): Promise<void> {
  model.books.now += seconds;
  await setTime(world, model.books.now);
  if (!expire) return;
  expireHolds(model.books);
  await world.expire();
}

async function repeat(
  model: Model,
  world: World,
  asked: Extract<Operation, { does: 'repeat' }>,
): Promise<void> {
  const earlier = model.attempts[pick(asked.attempt, model.attempts.length)];
  if (earlier === undefined) return;
  const { intent, key } = earlier;
  const again = {
    nothing: intent,
    description: intent.redescribe?.('another description') ?? intent,
    grouping: intent.regroup?.() ?? intent,
    all_else: transferIntent(build(world, model.books, asked.form), {}),
  }[asked.change];
  await attempt(model, world, again, key, asked.dry_run);
}

async function carryOut(model: Model, world: World, operation: Operation): Promise<void> {
  const { books } = model;
  const fresh = () => `key-${(model.keys += 1)}`;
  switch (operation.does) {
    case 'open':
      return openAccount(model, world, operation);
    case 'status':
      return changeStatus(model, world, operation);
    case 'edit':
      return edit(model, world, operation);
    case 'wait':
      return wait(model, world, operation);
    case 'repeat':
      return repeat(model, world, operation);
    case 'transfer': {
      const intent = transferIntent(build(world, books, operation.form), operation.terms);
      return attempt(model, world, intent, fresh(), operation.dry_run);
    }
    case 'batch': {
      const items = operation.items.map(({ form, link }) => ({ built: build(world, books, form), link }));
      return attempt(model, world, batchIntent(items, operation.atomic), fresh(), operation.dry_run);
    }
    case 'reverse': {
      const intent = reversalIntent(world, books, operation, operation.terms);
      return attempt(model, world, intent, fresh(), operation.dry_run);
    }
    case 'place':
      return attempt(
        model,
        world,
        placeIntent(world, books, operation, operation.terms),
        fresh(),
        operation.dry_run,
      );
    case 'hold':
      return attempt(model, world, holdIntent(world, books, operation), fresh(), operation.dry_run);
  }
}

/** Every account as the API shows it, and the position that it was read at. */
async function compareAccounts({ books }: Model, world: World): Promise<void> {
  const { bank } = world;
  const { status, body, headers, text } = await bank.ask('GET', '/api/v2/accounts?limit=100');
  assert.equal(status, 200, text);
  assert.equal(headers['ledger-position'], String(books.position));
  const shown = new Map<unknown, Shown>(body.data.map((account: Shown) => [account['id'], account]));
  assert.equal(shown.size, books.accounts.length);
  for (const [number, account] of books.accounts.entries()) {
    const found = shown.get(world.accounts[number]);
    const of = (minor: bigint | null) => (minor === null ? null : money(minor, account.currency));
    assert.deepEqual(
      without(found ?? {}, 'id', 'name', 'type', 'metadata', 'created_at', 'updated_at'),
      {
        currency: account.currency,
        chart_code: account.chart_code,
        normal_side: account.normal_side,
        status: account.status,
        may_send: account.may_send,
        may_receive: account.may_receive,
        credit_limit: of(account.credit_limit),
        balance: of(balanceOf(account)),
        available: of(availableOf(account)),
        debits_posted: of(account.debits_posted),
        credits_posted: of(account.credits_posted),
        debits_pending: of(account.debits_pending),
        credits_pending: of(account.credits_pending),
      },
      `account ${number}`,
    );
  }
}

/** Carries an operation out on both and compares its outcome and all accounts after it. */
export async function step(model: Model, world: World, operation: Operation): Promise<void> {
  await carryOut(model, world, operation);
  await compareAccounts(model, world);
}

/** Every transfer and hold as the API shows it in the end. */
export async function compareRecords({ books }: Model, world: World): Promise<void> {
  let url = '/api/v2/transfers?limit=100';
  const transfers: Shown[] = [];
  for (;;) {
    const page = await world.bank.get(url);
    transfers.unshift(...page.data.toReversed());
    if (page.next_cursor === null || page.next_cursor === undefined) break;
    url = `/api/v2/transfers?limit=100&cursor=${encodeURIComponent(page.next_cursor)}`;
  }
  assert.deepEqual(
    transfers.map(({ id, ...transfer }) => ({
      id,
      ...without(transfer, 'metadata', 'description', 'effective_date', 'exchange', 'created_at', 'link_id'),
    })),
    books.transfers.map((_: Transfer, number) => ({
      id: world.transfers[number],
      ...shownTransfer(world, books, number, true),
    })),
  );
  for (const number of books.holds.keys()) {
    const hold: Shown = await world.bank.get(`/api/v2/holds/${world.holds[number]}`);
    assert.deepEqual(knownOfHold(hold), shownHold(world, books, number));
  }
}

/** The books that every run starts from: a chart, an account without limit for each currency, and some customers. */
export async function openBooks(world: World): Promise<Model> {
  const model: Model = {
    books: { now: 0, position: 0, accounts: [], transfers: [], holds: [] },
    attempts: [],
    kept: new Map(),
    keys: 0,
  };
  for (const [index, type] of ['asset', 'liability', 'equity', 'income', 'expense'].entries()) {
    await world.bank.post('/api/v2/chart-of-accounts', { code: String(index + 1), name: type, type });
  }
  const open = (currency: string, chart_code: string, credit_limit: bigint | null) =>
    openAccount(model, world, { currency, chart_code, credit_limit, may_send: true, may_receive: true });
  for (const currency of currencies) await open(currency, '1', null);
  for (const limit of [0n, 0n, 300n]) await open('BRL', '2', limit);
  await open('JPY', '2', 0n);
  await open('BRL', '1', 0n);
  await setTime(world, 0);
  for (const [account, value] of [
    [3, 900n],
    [4, 400n],
    [6, 700n],
  ] as const) {
    const currency = currencyOf(model.books, account);
    const debit = currencies.indexOf(currency);
    const legs: Leg[] = [
      { account: debit, side: 'debit', amount: value, currency },
      { account, side: 'credit', amount: value, currency },
    ];
    const body = {
      debit_account_id: world.accounts[debit],
      credit_account_id: world.accounts[account],
      amount: money(value, currency),
    };
    await attempt(model, world, transferIntent({ body, legs }, {}), `opening-${account}`, false);
  }
  return model;
}
