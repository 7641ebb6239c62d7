import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { Client } from 'pg';
import { Check } from 'typebox/value';
import { type Database, openDatabase } from '../../platform/db.ts';
import { formatId, newUuid, parseId } from '../../platform/ids.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';
import { checkIntegrity, IntegrityReport } from './integrity.ts';
import { sealAll } from './seal.ts';

let platform: TestPlatform;
let superuser: Client;
let db: Database;
let bank: TestTenant;

const brl = (amount: string) => ({ amount, currency: 'BRL' });
const usd = (amount: string) => ({ amount, currency: 'USD' });

before(async () => {
  // A ledger that was tampered with is logged as an error while it is sealed, and would look like one of the test.
  platform = await openTestPlatform({ LOG_LEVEL: 'fatal' });
  superuser = new Client({ connectionString: platform.url });
  await superuser.connect();
  db = openDatabase({
    url: platform.url,
    role: 'ledger',
    pool_size: 2,
    statement_timeout_ms: 10_000,
    lock_timeout_ms: 5_000,
    onError: () => {},
  });
});
after(async () => {
  await superuser.end();
  await db.close();
  await platform.close();
});

/** What the tests name of a small ledger that has every kind of operation in it. */
interface Books {
  cash: string;
  ana: string;
  bia: string;
  /** Transfers with their positions. */
  funding: Posted;
  payment: Posted;
  split: Posted;
  reversal: Posted;
  capture: Posted;
  hold: string;
  last: number;
}
interface Posted {
  id: string;
  position: number;
}
let books: Books;

const transfer = (debit: string, credit: string, amount: object, more: object = {}) =>
  bank.post('/api/v2/transfers', { debit_account_id: debit, credit_account_id: credit, amount, ...more });

async function account(options: object): Promise<string> {
  const { id } = await bank.post('/api/v2/accounts', {
    name: 'A',
    currency: 'BRL',
    chart_code: '2100',
    ...options,
  });
  return id;
}

async function fill(): Promise<Books> {
  await bank.post('/api/v2/chart-of-accounts', { code: '1100', name: 'Cash', type: 'asset' });
  await bank.post('/api/v2/chart-of-accounts', { code: '2100', name: 'Deposits', type: 'liability' });
  const cash = await account({ chart_code: '1100', credit_limit: null });
  const [ana, bia, fees] = [await account({}), await account({}), await account({})];
  const dollars = await account({ currency: 'USD' });
  const [inReais, inDollars] = [
    await account({ credit_limit: null }),
    await account({ currency: 'USD', credit_limit: null }),
  ];

  const funding = await transfer(cash, ana, brl('1000.00'));
  const payment = await transfer(ana, bia, brl('250.00'), { description: 'rent', metadata: { order: '7' } });
  const split = await bank.post('/api/v2/transfers', {
    effective_date: '2020-02-29',
    legs: [
      { account_id: ana, side: 'debit', amount: brl('60.00') },
      { account_id: bia, side: 'credit', amount: brl('50.00') },
      { account_id: fees, side: 'credit', amount: brl('10.00') },
    ],
  });
  await transfer(ana, dollars, brl('50.00'), {
    exchange: {
      rate: '0.2',
      credited: usd('10.00'),
      credit_exchange_account_id: inReais,
      debit_exchange_account_id: inDollars,
    },
  });
  await bank.post(`/api/v2/transfers/${payment.id}/reversals`, { amount: brl('100.00') });
  const reversal = await bank.post(`/api/v2/transfers/${payment.id}/reversals`, {});
  await bank.post(`/api/v2/transfers/${split.id}/reversals`, {});

  const line = (debit: string, amount: string, more: object = {}) => ({
    debit_account_id: debit,
    credit_account_id: bia,
    amount: brl(amount),
    ...more,
  });
  const batch = await bank.post('/api/v2/transfers/batch', {
    transfers: [
      line(ana, '1.00'),
      line(ana, '2.00', { link: 'a' }),
      line(fees, '99999.00', { link: 'a' }),
      line(ana, '3.00', { link: 'b' }),
      line(ana, '4.00', { link: 'b' }),
    ],
  });
  assert.equal(batch.posted, 3);
  const refused = await bank.ask('POST', '/api/v2/transfers', line(bia, '99999.00'));
  assert.equal(refused.status, 422);

  const place = async (more: object = {}): Promise<string> => {
    const { id } = await bank.post('/api/v2/holds', line(ana, '100.00', more));
    return id;
  };
  const hold = await place({ expires_at: '2999-01-01T00:00:00Z', description: 'hotel' });
  await bank.post(`/api/v2/holds/${hold}/increments`, { amount: brl('20.00') });
  await bank.post(`/api/v2/holds/${hold}/extensions`, { expires_at: '2999-02-01T00:00:00Z' });
  const { transfer: capture } = await bank.post(`/api/v2/holds/${hold}/captures`, { amount: brl('30.00') });
  await bank.post(`/api/v2/holds/${hold}/releases`, { amount: brl('5.00') });
  const other = await place();
  await bank.post(`/api/v2/holds/${other}/captures`, { amount: brl('40.00'), final: true });
  const released = await place();
  await bank.post(`/api/v2/holds/${released}/releases`, {});
  const { position: last } = await transfer(ana, bia, brl('1.00'));
  return { cash, ana, bia, funding, payment, split, reversal, capture, hold, last };
}

beforeEach(async () => {
  bank = await platform.newTenant();
  const seal = await takeSealing();
  books = await fill();
  await seal(1_000);
  await leaveSealing();
});

const sealLock = "hashtextextended('ledger.seal/' || $1 || '/' || $2, 0)";

/**
 * Leaves the sealing of these books to the superuser's session: the server, which seals about every second and might
 * do so midway through filling them, passes them over.
 */
async function takeSealing(): Promise<(limit: number) => Promise<number>> {
  const { tenant_id, environment } = bank.scope;
  await superuser.query(`select pg_advisory_lock(${sealLock})`, [tenant_id, environment]);
  return async (limit) => {
    const { rows } = await superuser.query('select ledger.seal($1, $2, $3) as sealed', [
      tenant_id,
      environment,
      limit,
    ]);
    return Number(rows[0].sealed);
  };
}

async function leaveSealing(): Promise<void> {
  await superuser.query(`select pg_advisory_unlock(${sealLock})`, [
    bank.scope.tenant_id,
    bank.scope.environment,
  ]);
}

/** Changes rows behind the back of every rule and trigger; `$1` and `$2` are tenant and environment. */
async function tamper(sql: string, parameters: unknown[] = []): Promise<void> {
  await superuser.query('begin');
  await superuser.query("set local session_replication_role = 'replica'");
  const { rowCount } = await superuser.query(sql, [
    bank.scope.tenant_id,
    bank.scope.environment,
    ...parameters,
  ]);
  await superuser.query('commit');
  assert.ok((rowCount ?? 0) > 0, 'nothing was tampered with');
}

const uuid = (id: string) => parseId(id.startsWith('trf') ? 'trf' : id.startsWith('hld') ? 'hld' : 'acc', id);

/** What a check that failed said first. */
type Told = Record<string, { subject: string; detail: string }>;

async function told(): Promise<Told> {
  const report = await checkIntegrity(db, bank.scope, { deep: true });
  assert.ok(Check(IntegrityReport, report), 'a report that its schema does not describe');
  assert.equal(
    report.ok,
    report.checks.every(({ ok }) => ok),
  );
  const failed = report.checks.filter(({ ok }) => !ok);
  return Object.fromEntries(
    failed.map(({ name, findings }) => [
      name,
      { subject: findings[0]?.subject ?? '', detail: findings[0]?.detail ?? '' },
    ]),
  );
}

/** Asserts that exactly these checks fail, each first naming this subject with a detail like this. */
async function expectFound(expected: Record<string, [subject: string, detail: RegExp]>): Promise<void> {
  const found = await told();
  assert.deepEqual(
    Object.keys(found).sort(),
    Object.keys(expected).sort(),
    `found ${JSON.stringify(found, undefined, 1)}`,
  );
  for (const [name, [subject, detail]] of Object.entries(expected)) {
    assert.equal(found[name]?.subject, subject, name);
    assert.match(found[name]?.detail ?? '', detail, name);
  }
}

const mine = 'tenant_id = $1 and environment = $2';

/** Forgets what was sealed and leaves the sealing to the test, block by block. */
async function sealByHand(): Promise<(limit: number) => Promise<number>> {
  const seal = await takeSealing();
  await tamper(`delete from ledger.seals where ${mine}`);
  return seal;
}

test('a ledger with every kind of operation in it is clean, sealed or not', async () => {
  const soon = new Date(Date.now() + 1_000).toISOString();
  const { id } = await bank.post('/api/v2/holds', {
    debit_account_id: books.ana,
    credit_account_id: books.bia,
    amount: brl('10.00'),
    expires_at: soon,
  });
  while ((await bank.get(`/api/v2/holds/${id}`)).status !== 'expired') await setTimeout(50);
  const closing = await account({});
  await bank.post(`/api/v2/accounts/${closing}/close`);
  const unsealed = await checkIntegrity(db, bank.scope, { deep: true });
  assert.deepEqual(
    unsealed.checks.flatMap(({ findings }) => findings),
    [],
  );
  await sealAll(db, bank.scope);
  for (const deep of [true, false]) {
    const names: string[] = [];
    const report = await checkIntegrity(db, bank.scope, { deep, onCheck: ({ name }) => names.push(name) });
    assert.ok(report.ok);
    assert.ok(report.position > books.last);
    assert.equal(report.sealed_position, report.position);
    assert.match(report.sealed_hash ?? '', /^[0-9a-f]{64}$/);
    assert.deepEqual(
      report.checks.map(({ name }) => name),
      names,
    );
    for (const { name, checked } of report.checks) assert.ok(checked > 0, `${name} looked at nothing`);
  }
});

test('the books of a tenant that has none are clean', async () => {
  const nobody = await platform.newTenant();
  const report = await checkIntegrity(db, nobody.scope, { deep: true });
  assert.ok(report.ok);
  assert.deepEqual(
    [report.position, report.sealed_position, report.sealed_hash, report.checks[0]?.checked],
    [0, 0, null, 0],
  );
});

test('an altered amount: the entry, its account, its transfer and the seal', async () => {
  await tamper(`update ledger.entries set amount = amount + 1 where ${mine} and position = $3 and leg = 2`, [
    books.payment.position,
  ]);
  await expectFound({
    account_counters: [books.bia, /^credits_posted is \d+, its entries come to \d+$/],
    running_balances: [
      books.payment.id,
      new RegExp(`^leg 2 leaves account ${books.bia} at 25000; .* 25001$`),
    ],
    balanced_transfers: [books.payment.id, /^debits less credits are -1 of BRL$/],
    hash_chain: [books.payment.id, /is not as it was sealed/],
  });
});

test('an altered account counter', async () => {
  await tamper(`update ledger.accounts set credits_posted = credits_posted + 5 where ${mine} and id = $3`, [
    uuid(books.bia),
  ]);
  await expectFound({
    account_counters: [books.bia, /^credits_posted is \d+, its entries come to \d+$/],
    trial_balance: ['BRL', /debits less credits of all accounts are -5$/],
  });
});

test('an altered running balance', async () => {
  await tamper(
    `update ledger.entries set balance = balance + 1 where ${mine} and position = $3 and leg = 1`,
    [books.payment.position],
  );
  await expectFound({
    running_balances: [books.payment.id, /^leg 1 leaves account acc_\w+ at 75001; .* come to 75000$/],
    hash_chain: [books.payment.id, /is not as it was sealed/],
  });
});

test('a deleted entry', async () => {
  await tamper(`delete from ledger.entries where ${mine} and position = $3 and leg = 2`, [
    books.funding.position,
  ]);
  await expectFound({
    account_counters: [books.ana, /^credits_posted is/],
    running_balances: [books.payment.id, new RegExp(`account ${books.ana} `)],
    balanced_transfers: [books.funding.id, /^has a single entry; debits less credits are 100000 of BRL$/],
    hash_chain: [books.funding.id, /is not as it was sealed/],
  });
});

test('a deleted transfer', async () => {
  await tamper(`delete from ledger.transfers where ${mine} and position = $3`, [books.funding.position]);
  const place = `position ${books.funding.position}`;
  await expectFound({
    balanced_transfers: [place, /^has 2 entries, but no transfer$/],
    positions: [place, /^is missing$/],
    outbox: [place, /has an event, but nothing is recorded there/],
    attempts: [place, /^is the result of the attempt with key .*, but nothing is recorded there$/],
    hash_chain: [place, /^is missing, though it was sealed$/],
  });
});

test('a transfer deleted with its entries', async () => {
  await tamper(
    `with gone as (delete from ledger.transfers where ${mine} and position = $3)
     delete from ledger.entries where ${mine} and position = $3`,
    [books.payment.position],
  );
  const found = await told();
  assert.deepEqual(found['positions'], {
    subject: `position ${books.payment.position}`,
    detail: 'is missing',
  });
  assert.equal(found['hash_chain']?.detail, 'is missing, though it was sealed');
  assert.match(found['reversals']?.detail ?? '', /^reverses trf_\w+, which does not exist$/);
});

for (const [column, value] of [
  ['description', "'loan'"],
  ['metadata', `'{"order":"8"}'`],
  ['link_id', 'id'],
]) {
  test(`an altered ${column} is known by the seal alone`, async () => {
    await tamper(`update ledger.transfers set ${column} = ${value} where ${mine} and position = $3`, [
      books.payment.position,
    ]);
    await expectFound({ hash_chain: [books.payment.id, /^is not as it was sealed$/] });
  });
}

test('an altered description of a hold', async () => {
  await tamper(`update ledger.holds set description = 'motel' where ${mine} and id = $3`, [uuid(books.hold)]);
  const { rows } = await superuser.query(
    'select id, position from ledger.hold_steps where hold_id = $1 and step = 1',
    [uuid(books.hold)],
  );
  await expectFound({ hash_chain: [formatId('hst', rows[0].id), /^is not as it was sealed$/] });
});

test('an altered time', async () => {
  await tamper(
    `update ledger.transfers set created_at = created_at - interval '1 day' where ${mine} and position = $3`,
    [books.payment.position],
  );
  await expectFound({
    balanced_transfers: [
      books.payment.id,
      /^is effective on .* and recorded on .*, yet 0 of its 2 entries are/,
    ],
    positions: [books.payment.id, /^is recorded at .*Z, earlier than the position before it, at .*Z$/],
    outbox: [books.payment.id, /^the time of its event is .*Z, it was recorded at .*Z$/],
    attempts: [books.payment.id, /^the time of its attempt is .*Z, it was recorded at .*Z$/],
    hash_chain: [books.payment.id, /^is not as it was sealed$/],
  });
});

test('an altered effective date', async () => {
  await tamper(`update ledger.transfers set effective_date = '2020-02-28' where ${mine} and position = $3`, [
    books.split.position,
  ]);
  await expectFound({
    balanced_transfers: [books.split.id, /^is effective on 2020-02-28, its entries on 2020-02-29/],
    hash_chain: [books.split.id, /^is not as it was sealed$/],
  });
});

test('a hold that says it captured more', async () => {
  await tamper(`update ledger.holds set captured = captured + 1 where ${mine} and id = $3`, [
    uuid(books.hold),
  ]);
  await expectFound({
    holds: [books.hold, /^captured is 3001, its last step says 3000$/],
    pending_amounts: [books.ana, /^debits_pending is 8500, its holds have left 8499$/],
  });
});

test('an altered hold step', async () => {
  await tamper(
    `update ledger.hold_steps set captured_after = captured_after - 1, released_after = released_after + 1
     where ${mine} and position = $3`,
    [books.capture.position],
  );
  await expectFound({
    holds: [books.hold, /^step 4 captures 2999, its transfer 3000$/],
    hash_chain: [books.capture.id, /^is not as it was sealed$/],
  });
});

test('a removed hold step', async () => {
  await tamper(`delete from ledger.hold_steps where ${mine} and hold_id = $3 and step = 2`, [
    uuid(books.hold),
  ]);
  const found = await told();
  assert.deepEqual(found['holds'], { subject: books.hold, detail: 'step 3 follows step 1' });
  assert.equal(found['positions']?.detail, 'is missing');
  assert.equal(found['hash_chain']?.detail, 'is missing, though it was sealed');
});

test('a removed capture transfer', async () => {
  await tamper(`delete from ledger.transfers where ${mine} and position = $3`, [books.capture.position]);
  const found = await told();
  assert.deepEqual(found['holds'], {
    subject: books.hold,
    detail: 'step 4 captures, but no transfer stands with it',
  });
  assert.match(found['balanced_transfers']?.detail ?? '', /but no transfer/);
});

test('an altered amount pending', async () => {
  await tamper(`update ledger.accounts set debits_pending = debits_pending - 1 where ${mine} and id = $3`, [
    uuid(books.ana),
  ]);
  await expectFound({ pending_amounts: [books.ana, /^debits_pending is 8499, its holds have left 8500$/] });
});

test('an overdrawn account, and a closed one that is not empty', async () => {
  await superuser.query('alter table ledger.accounts drop constraint accounts_not_overdrawn');
  await superuser.query('alter table ledger.accounts drop constraint accounts_closed_is_empty');
  try {
    // Ana's balance is 50.00, of which 85.00 are held.
    await tamper(
      `update ledger.accounts set debits_posted = credits_posted - 5000 where ${mine} and id = $3`,
      [uuid(books.ana)],
    );
    await tamper(`update ledger.accounts set status = 'closed' where ${mine} and id = $3`, [uuid(books.bia)]);
    const report = await checkIntegrity(db, bank.scope, { deep: false });
    const rules = report.checks.find(({ name }) => name === 'balance_rules')?.findings ?? [];
    assert.deepEqual(
      new Set(rules.map(({ subject, detail }) => `${subject} ${detail}`)),
      new Set([
        `${books.ana} its balance less what is held is -3500, its credit limit 0`,
        `${books.bia} is closed, but not empty`,
      ]),
    );
  } finally {
    await superuser.query('delete from ledger.accounts where tenant_id = $1', [bank.scope.tenant_id]);
    await superuser.query(
      `alter table ledger.accounts add constraint accounts_not_overdrawn check (
         credit_limit is null or case normal_side when 'credit' then credits_posted - debits_posted - debits_pending
         else debits_posted - credits_posted - credits_pending end >= -credit_limit)`,
    );
    await superuser.query(
      `alter table ledger.accounts add constraint accounts_closed_is_empty check (
         status <> 'closed' or (debits_posted = credits_posted and debits_pending = 0 and credits_pending = 0))`,
    );
  }
});

test('a head that was moved', async () => {
  await tamper(`update ledger.heads set position = position + 1 where ${mine}`);
  const detail = new RegExp(`^position is ${books.last + 1}, the last one recorded is ${books.last}$`);
  await expectFound({ positions: ['head', detail] });
});

test('a head that was moved back', async () => {
  await tamper(`update ledger.heads set position = position - 1 where ${mine}`);
  await expectFound({
    positions: ['head', new RegExp(`^position is ${books.last - 1}, `)],
    hash_chain: [`seal of positions 1 to ${books.last}`, /goes beyond the head, which stands at position/],
  });
});

test('a removed event', async () => {
  const { rows } = await superuser.query(
    'select sequence from ledger.outbox where tenant_id = $1 and position = $2',
    [bank.scope.tenant_id, books.payment.position],
  );
  await tamper(`delete from ledger.outbox where ${mine} and position = $3`, [books.payment.position]);
  await expectFound({ outbox: [books.payment.id, /^has no event$/] });
  const report = await checkIntegrity(db, bank.scope, { deep: false });
  assert.deepEqual(
    report.checks.find(({ name }) => name === 'outbox')?.findings.map(({ subject }) => subject),
    [books.payment.id, `event ${rows[0].sequence}`],
  );
});

test('the last event removed', async () => {
  await tamper(`delete from ledger.outbox where ${mine} and position = $3`, [books.last]);
  const report = await checkIntegrity(db, bank.scope, { deep: false });
  const outbox = report.checks.find(({ name }) => name === 'outbox')?.findings;
  assert.match(outbox?.at(-1)?.detail ?? '', /^outbox_sequence is \d+, the last event is \d+$/);
});

test('a removed attempt', async () => {
  await tamper(`delete from ledger.attempts where ${mine} and $3 = any (positions)`, [
    books.payment.position,
  ]);
  await expectFound({ attempts: [books.payment.id, /^is the result of no attempt$/] });
});

test('an altered outcome of an attempt', async () => {
  await tamper(
    `update ledger.attempts set result_ids = array[$4::uuid] where ${mine} and $3 = any (positions)`,
    [books.payment.position, newUuid()],
  );
  await expectFound({ attempts: [books.payment.id, /^the attempt with key .* has another result/] });
});

test('an entry put in for another account', async () => {
  const stranger = newUuid();
  await tamper(
    `insert into ledger.entries (tenant_id, environment, position, leg, account_id, side, amount, currency, balance, effective_date)
     select tenant_id, environment, position, 3, $4, 'credit', 7, 'BRL', 7, effective_date
     from ledger.entries where ${mine} and position = $3 and leg = 1`,
    [books.payment.position, stranger],
  );
  const name = formatId('acc', stranger);
  await expectFound({
    account_counters: [name, /^is no account, and yet has 1 entries$/],
    entry_accounts: [books.payment.id, new RegExp(`^leg 3 is on account ${name}, which does not exist$`)],
    balanced_transfers: [books.payment.id, /^debits less credits are -7 of BRL$/],
    hash_chain: [books.payment.id, /^is not as it was sealed$/],
  });
});

test('an entry moved to another account', async () => {
  await tamper(`update ledger.entries set account_id = $4 where ${mine} and position = $3 and leg = 2`, [
    books.last,
    uuid(books.cash),
  ]);
  const found = await told();
  assert.deepEqual(Object.keys(found), ['account_counters', 'running_balances', 'hash_chain']);
});

test('a mark of backdating', async () => {
  await tamper(`update ledger.entries set backdated = true where ${mine} and position = 1 and leg = 1`, []);
  const { checks } = await checkIntegrity(db, bank.scope, { deep: true });
  const found = checks.find(({ name }) => name === 'balanced_transfers')?.findings ?? [];
  assert.match(found[0]?.detail ?? '', /yet 1 of its \d+ entries are marked as backdated/);
});

test('a swapped currency', async () => {
  await tamper(`update ledger.entries set currency = 'USD' where ${mine} and position = $3 and leg = 2`, [
    books.payment.position,
  ]);
  await expectFound({
    balanced_transfers: [books.payment.id, /^debits less credits are 25000 of BRL, -25000 of USD$/],
    entry_accounts: [books.payment.id, new RegExp(`^leg 2 is in USD, its account ${books.bia} in BRL$`)],
    hash_chain: [books.payment.id, /^is not as it was sealed$/],
  });
});

test('a reversal that takes back more than its original', async () => {
  await tamper(`update ledger.entries set amount = amount + 1 where ${mine} and position = $3`, [
    books.reversal.position,
  ]);
  const found = await told();
  assert.deepEqual(found['reversals'], {
    subject: books.payment.id,
    detail: 'its reversals take back 25001 of leg 1, which is 25000',
  });
});

test('a reversal of nothing', async () => {
  await tamper(`update ledger.transfers set reverses_id = $4 where ${mine} and position = $3`, [
    books.reversal.position,
    newUuid(),
  ]);
  await expectFound({
    reversals: [books.reversal.id, /^reverses trf_\w+, which does not exist$/],
    hash_chain: [books.reversal.id, /^is not as it was sealed$/],
  });
});

test('seals: an altered hash, altered digests, a removed one', async () => {
  // Five positions a block, so that there are some to tell apart.
  const seal = await sealByHand();
  while ((await seal(5)) === 5);
  assert.deepEqual(await told(), {});

  const { rows } = await superuser.query(
    'select hash, digests from ledger.seals where tenant_id = $1 and last_position = 10',
    [bank.scope.tenant_id],
  );
  const [{ hash, digests }] = rows;
  await tamper(`update ledger.seals set hash = sha256(hash) where ${mine} and last_position = 10`);
  await expectFound({ hash_chain: ['seal of positions 6 to 10', /^its hash was altered/] });
  // The block after it is linked to the hash that was altered, and not reported for that.
  const report = await checkIntegrity(db, bank.scope, { deep: true });
  assert.equal(report.checks.at(-1)?.findings.length, 1);

  await tamper(
    `update ledger.seals set hash = $3, digests = digests || '\\x00' where ${mine} and last_position = 10`,
    [hash],
  );
  await expectFound({ hash_chain: ['seal of positions 6 to 10', /^has not one digest for each position$/] });

  await tamper(
    `update ledger.seals set digests = overlay($3::bytea placing '\\x0000000000000000' from 1) where ${mine} and last_position = 10`,
    [digests],
  );
  await expectFound({ hash_chain: ['seal of positions 6 to 10', /^its digests were altered/] });

  await tamper(`delete from ledger.seals where ${mine} and last_position = 10`);
  await expectFound({
    hash_chain: [
      'seal of positions 11 to 15',
      /^does not follow the seal before it, which ends at position 5$/,
    ],
  });
});

test('data and seal altered together are known by the seal after it', async () => {
  const seal = await sealByHand();
  await seal(5);
  await seal(1_000);
  const kept = await checkIntegrity(db, bank.scope, { deep: true });
  await tamper(`update ledger.transfers set description = 'loan' where ${mine} and position = $3`, [
    books.payment.position,
  ]);
  await tamper(
    `update ledger.seals s set hash = ledger.seal_hash(ledger.seal_root($1, $2), 1, 5, d.digests), digests = d.short_digests
     from (select string_agg(digest, '' order by position) as digests,
             string_agg(substr(digest, 1, 8), '' order by position) as short_digests
           from ledger.digests($1, $2, 1, 5)) d
     where ${mine} and last_position = 5`,
  );
  await expectFound({ hash_chain: [`seal of positions 6 to ${books.last}`, /^its hash was altered/] });

  // Only who rewrites all seals to the end goes unnoticed here; the hash that was kept elsewhere tells it.
  await tamper(`delete from ledger.seals where ${mine} and last_position > 5`);
  await seal(1_000);
  const rewritten = await checkIntegrity(db, bank.scope, { deep: true });
  assert.ok(rewritten.ok);
  assert.equal(rewritten.sealed_position, kept.sealed_position);
  assert.notEqual(rewritten.sealed_hash, kept.sealed_hash);
});

test('items of an attempt with both a result and a refusal, and with neither', async () => {
  const refusal = `'{"code": "x", "detail": null}'::jsonb`;
  await tamper(
    `insert into ledger.attempts (tenant_id, environment, key, first_item, created_at, operation, request, positions,
       result_ids, refusals)
     values ($1, $2, 'mixed', 1, now(), '', '', array[null::bigint, null], array[gen_random_uuid(), null],
             array[${refusal}, null])`,
  );
  const report = await checkIntegrity(db, bank.scope, { deep: false });
  const found = report.checks
    .find(({ name }) => name === 'attempts')
    ?.findings.map(({ subject, detail }) => `${subject}: ${detail}`);
  assert.deepEqual(found?.sort(), [
    'attempt mixed: item 1 has a result and a refusal',
    'attempt mixed: item 2 has neither a result nor a refusal',
  ]);
});

test('findings are bounded, and it is said that there are more', async () => {
  await tamper(
    `insert into ledger.attempts (tenant_id, environment, key, first_item, created_at, operation, request, positions, result_ids)
     select $1, $2, 'forged', 1, now(), '', '', array_agg(1000 + n), array_agg(gen_random_uuid()) from generate_series(1, 150) n`,
  );
  const report = await checkIntegrity(db, bank.scope, { deep: false });
  const attempts = report.checks.find(({ name }) => name === 'attempts');
  assert.equal(attempts?.findings.length, 100);
  assert.equal(attempts?.more, true);
});

/** Runs the command and tells its exit code and output. */
async function command(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, ['scripts/integrity.ts', ...args], {
    env: { ...process.env, DATABASE_URL: platform.url },
  });
  const output = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.err += text;
  });
  const code = await new Promise<number | null>((settle) => child.once('close', settle));
  return { code, ...output };
}

test('the command exits with 0 when all is well, 1 when something is wrong, 2 when it could not look', async () => {
  const tenant = formatId('ten', bank.scope.tenant_id);
  const clean = await command('--tenant', tenant);
  assert.equal(clean.code, 0, clean.err);
  assert.match(clean.out, new RegExp(`^${tenant} sandbox: all is well at position ${books.last}, `, 'm'));
  assert.match(clean.out, new RegExp(`^${tenant} live: all is well at position 0, `, 'm'));
  assert.match(clean.err, new RegExp(`^${tenant} sandbox hash_chain ok `, 'm'));

  await tamper(`update ledger.transfers set description = 'loan' where ${mine} and position = $3`, [
    books.payment.position,
  ]);
  const wrong = await command('--tenant', tenant, '--environment', 'sandbox');
  assert.equal(wrong.code, 1, wrong.err);
  assert.match(
    wrong.out,
    new RegExp(
      `^ +${books.payment.id} \\(position ${books.payment.position}\\): is not as it was sealed$`,
      'm',
    ),
  );

  for (const args of [
    ['--tenant', formatId('ten', newUuid())],
    ['--tenant', 'nobody'],
    ['--environment', 'test'],
    ['--unknown'],
  ]) {
    const { code, out, err } = await command(...args);
    assert.deepEqual([code, out], [2, '']);
    assert.match(err, /^integrity: [^\n]+\n$/);
  }
});
