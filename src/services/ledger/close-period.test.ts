import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client } from 'pg';
import { createKey } from '../../platform/access/access.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';

let platform: TestPlatform;
let sql: Client;

before(async () => {
  platform = await openTestPlatform();
  sql = new Client({ connectionString: platform.url });
  await sql.connect();
});
after(async () => {
  await sql.end();
  await platform.close();
});

const brl = (amount: string) => ({ amount, currency: 'BRL' });

interface Bank extends TestTenant {
  cash: string;
  ana: string;
  pay: (effective_date?: string, more?: object, key?: string) => ReturnType<TestTenant['ask']>;
  close_: (through: string, key?: string) => ReturnType<TestTenant['ask']>;
}

async function newBank(): Promise<Bank> {
  const bank = await platform.newTenant();
  await bank.post('/api/v2/chart-of-accounts', { code: '1100', name: 'Cash', type: 'asset' });
  await bank.post('/api/v2/chart-of-accounts', { code: '2100', name: 'Deposits', type: 'liability' });
  const open = async (body: object): Promise<string> =>
    (await bank.post('/api/v2/accounts', { currency: 'BRL', chart_code: '2100', ...body })).id;
  const cash = await open({ name: 'Cash', chart_code: '1100', credit_limit: null });
  const ana = await open({ name: 'Ana' });
  const keyed = (key?: string): Record<string, string> =>
    key === undefined ? {} : { 'idempotency-key': key };
  return {
    ...bank,
    cash,
    ana,
    pay: (effective_date, more = {}, key) =>
      bank.ask(
        'POST',
        '/api/v2/transfers',
        {
          debit_account_id: cash,
          credit_account_id: ana,
          amount: brl('10.00'),
          ...(effective_date === undefined ? {} : { effective_date }),
          ...more,
        },
        keyed(key),
      ),
    close_: (through, key) => bank.ask('POST', '/api/v2/period-closes', { through }, keyed(key)),
  };
}

function isClosed({ status, body }: { status: number; body: { code?: string } }): boolean {
  return status === 422 && body.code === 'period_closed';
}

test('what would be effective on a closed day is refused, whatever posts it; the rest is posted', async () => {
  const bank = await newBank();
  const first = (await bank.pay('2026-01-31')).body;
  const hold = await bank.post('/api/v2/holds', {
    debit_account_id: bank.ana,
    credit_account_id: bank.cash,
    amount: brl('5.00'),
  });
  assert.equal((await bank.close_('2026-01-31')).status, 201);

  const refused = await bank.pay('2026-01-31', {}, 'late');
  assert.ok(isClosed(refused), refused.text);
  assert.equal(refused.body.closed_through, '2026-01-31');
  assert.equal(
    refused.body.detail,
    'The books are closed through 2026-01-31, and this would be effective on 2026-01-31.',
  );
  const again = await bank.pay('2026-01-31', {}, 'late');
  assert.ok(isClosed(again) && again.headers['idempotent-replayed'] === 'true', again.text);
  assert.equal((await bank.get('/api/v2/attempts/late')).problem.code, 'period_closed');
  assert.ok(isClosed(await bank.pay('1999-12-31')));
  const rehearsed = await bank.ask('POST', '/api/v2/transfers?dry_run=true', {
    debit_account_id: bank.cash,
    credit_account_id: bank.ana,
    amount: brl('1.00'),
    effective_date: '2026-01-01',
  });
  assert.ok(isClosed(rehearsed), rehearsed.text);
  const reversal = { effective_date: '2026-01-31' };
  assert.ok(isClosed(await bank.ask('POST', `/api/v2/transfers/${first.id}/reversals`, reversal)));
  const capture = { amount: brl('1.00'), effective_date: '2026-01-15' };
  assert.ok(isClosed(await bank.ask('POST', `/api/v2/holds/${hold.id}/captures`, capture)));

  // What has no date of its own is of today. Of a closed transfer all can be reversed, today.
  assert.equal((await bank.pay()).status, 201);
  assert.equal((await bank.pay('2026-02-01')).status, 201);
  await bank.post(`/api/v2/holds/${hold.id}/captures`, { amount: brl('1.00') });
  await bank.post(`/api/v2/holds/${hold.id}/releases`, {});
  await bank.post(`/api/v2/transfers/${first.id}/reversals`, {});
  assert.equal((await bank.ask('POST', '/api/v1/accounts', { name: 'V1', balance: 5 })).status, 201);

  const line = (effective_date: string, more: object = {}) => ({
    debit_account_id: bank.cash,
    credit_account_id: bank.ana,
    amount: brl('1.00'),
    effective_date,
    ...more,
  });
  const { outcomes } = await bank.post('/api/v2/transfers/batch', {
    transfers: [
      line('2026-02-02'),
      line('2026-01-31'),
      line('2026-02-02', { link: 'a' }),
      line('2026-01-02', { link: 'a' }),
      line('2026-02-03'),
    ],
  });
  assert.deepEqual(
    outcomes.map(({ problem }: { problem?: { code: string } }) => problem?.code ?? 'posted'),
    ['posted', 'period_closed', 'linked_transfer_refused', 'period_closed', 'posted'],
  );
  assert.equal((await bank.get('/api/v2/integrity')).ok, true);
});

test('a closing goes forward, and never up to a day that is not over', async () => {
  const bank = await newBank();
  const today = new Date().toISOString().slice(0, 10);
  for (const through of [today, '9999-12-31']) {
    const answer = await bank.close_(through);
    assert.deepEqual([answer.status, answer.body.code], [422, 'period_close_invalid'], through);
  }
  const invalid = await bank.close_('2026-02-30');
  assert.deepEqual([invalid.status, invalid.body.code], [400, 'malformed_request']);
  const closed = await bank.close_('2026-02-28', 'february');
  assert.equal(closed.status, 201, closed.text);
  const again = await bank.close_('2026-02-28', 'february');
  assert.deepEqual([again.status, again.headers['idempotent-replayed']], [201, 'true']);
  assert.deepEqual(again.body, closed.body);
  for (const through of ['2026-02-28', '2026-01-31']) {
    const answer = await bank.close_(through);
    assert.deepEqual([answer.status, answer.body.closed_through], [422, '2026-02-28'], through);
  }
  const march = (await bank.close_('2026-03-31')).body;
  assert.equal(march.previous_through, '2026-02-28');
  const listed = await bank.get('/api/v2/period-closes?limit=1');
  assert.equal(listed.data[0].id, march.id);
  const next = await bank.get(`/api/v2/period-closes?limit=1&cursor=${listed.next_cursor}`);
  assert.deepEqual([next.data[0].id, next.next_cursor], [closed.body.id, null]);
  const other = await platform.newTenant();
  assert.equal(
    (await other.ask('GET', `/api/v2/period-closes/${march.id}`)).body.code,
    'period_close_not_found',
  );
  assert.deepEqual((await other.get('/api/v2/period-closes')).data, []);
});

test('the trial balance of then is kept, and whoever looks later sees whether it is still so', async () => {
  const bank = await newBank();
  await bank.pay('2026-01-10');
  await bank.pay('2026-02-10');
  const { id, hash, position } = (await bank.close_('2026-01-31')).body;
  await bank.pay('2026-02-11');
  await bank.pay();
  const path = `/api/v2/period-closes/${id}`;
  const kept = await bank.get(path);
  const then = await bank.get('/api/v2/trial-balance?effective_on=2026-01-31');
  assert.deepEqual(kept.trial_balance, { lines: then.lines, totals: then.totals });
  assert.equal(kept.trial_balance.totals[0].debits.amount, '10.00');
  assert.deepEqual([kept.hash, kept.now.hash, kept.now.unchanged], [hash, hash, true]);
  assert.ok(kept.now.position > position);
  // Somebody with the database in hand moves an entry into the closed period.
  await sql.query(`begin; set local session_replication_role = replica`);
  await sql.query(
    `update ledger.entries set effective_date = '2026-01-20'
     where tenant_id = $1 and effective_date = '2026-02-10'`,
    [bank.scope.tenant_id],
  );
  await sql.query('commit');
  const tampered = await bank.get(path);
  assert.deepEqual([tampered.hash, tampered.now.unchanged], [hash, false]);
  assert.deepEqual(tampered.trial_balance, kept.trial_balance);
  assert.equal(tampered.now.hash === hash, false);
  await assert.rejects(
    sql.query(`update ledger.period_closes set hash = decode($1, 'hex')`, ['00'.repeat(32)]),
    /stays as it is/,
  );
});

test('periods are reopened the last one first, with a reason, by who may; what is reopened stays told', async () => {
  const bank = await newBank();
  const january = (await bank.close_('2026-01-31')).body;
  const february = (await bank.close_('2026-02-28')).body;
  const reopen = (id: string, reason = 'An invoice was forgotten') =>
    bank.ask('POST', `/api/v2/period-closes/${id}/reopen`, { reason });
  assert.deepEqual((await reopen(january.id)).body.code, 'period_not_last');
  assert.equal((await bank.ask('POST', `/api/v2/period-closes/${february.id}/reopen`, {})).status, 400);
  const closer = await createKey(platform.running.platform, bank.scope, {
    label: 'closer',
    scopes: ['periods:read', 'periods:close'],
  });
  const refused = await bank.ask(
    'POST',
    `/api/v2/period-closes/${february.id}/reopen`,
    { reason: 'x' },
    { authorization: `Bearer ${closer}` },
  );
  assert.deepEqual([refused.status, refused.body.permission], [403, 'periods:reopen']);
  assert.ok(isClosed(await bank.pay('2026-02-15')));
  const reopened = await reopen(february.id);
  assert.deepEqual([reopened.status, reopened.body.reopen_reason], [200, 'An invoice was forgotten']);
  assert.deepEqual((await reopen(february.id, 'Another')).body, reopened.body);
  assert.equal((await bank.pay('2026-02-15')).status, 201);
  assert.ok(isClosed(await bank.pay('2026-01-31')));
  // What it was when it was closed is told, and that it is so no more.
  assert.equal((await bank.get(`/api/v2/period-closes/${february.id}`)).now.unchanged, false);
  const { rows: told } = await sql.query(
    `select type, payload::jsonb ->> 'through' as through from ledger.outbox
     where tenant_id = $1 and aggregatetype = 'period' order by sequence`,
    [bank.scope.tenant_id],
  );
  assert.deepEqual(
    told.map(({ type, through }) => [type, through]),
    [
      ['ledger.period.closed', '2026-01-31'],
      ['ledger.period.closed', '2026-02-28'],
      // Once, though it was asked for twice.
      ['ledger.period.reopened', '2026-02-28'],
    ],
  );
  const anew = (await bank.close_('2026-02-28')).body;
  assert.notEqual(anew.hash, february.hash);
  assert.ok(isClosed(await bank.pay('2026-02-15')));

  assert.equal((await bank.ask('PUT', '/api/v2/approval-policies/periods:reopen', {})).status, 201);
  const proposed = await reopen(anew.id);
  assert.equal(proposed.status, 202, proposed.text);
  assert.ok(isClosed(await bank.pay('2026-02-15')));
});

test('a closing and postings under way do not cross: what was posted came before it, what came after is refused', async () => {
  const bank = await newBank();
  for (const day of ['2026-01-01', '2026-01-02', '2026-01-03', '2026-01-04']) {
    // Whoever comes first: all of them wait for the head.
    await sql.query('begin');
    await sql.query('select from ledger.heads where tenant_id = $1 for no key update', [
      bank.scope.tenant_id,
    ]);
    const early = Array.from({ length: 10 }, () => bank.pay(day));
    const closing = bank.close_(day);
    const late = Array.from({ length: 30 }, () => bank.pay(day));
    await sql.query('commit');
    const [close, ...answers] = await Promise.all([closing, ...early, ...late]);
    assert.equal(close.status, 201, close.text);
    const posted = answers.filter(({ status }) => status === 201);
    assert.ok(
      answers.every((answer) => answer.status === 201 || isClosed(answer)),
      JSON.stringify(answers.map(({ status, text }) => [status, text])),
    );
    for (const { body } of posted) assert.ok(body.position <= close.body.position, `${day} ${body.position}`);
    const { trial_balance, now } = await bank.get(`/api/v2/period-closes/${close.body.id}`);
    assert.equal(now.unchanged, true);
    const { rows } = await sql.query<{ entries: string }>(
      'select count(*) as entries from ledger.entries where tenant_id = $1 and effective_date = $2',
      [bank.scope.tenant_id, day],
    );
    assert.equal(Number(rows[0]?.entries), 2 * posted.length);
    assert.equal(trial_balance.totals.length > 0 || posted.length === 0, true);
  }
});
