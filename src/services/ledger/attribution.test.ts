/** The audit record of a posting: in the commit of the posting, then in the trail, once. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { type Answer, openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';

let platform: TestPlatform;
let superuser: Client;
before(async () => {
  platform = await openTestPlatform();
  superuser = new Client({ connectionString: platform.url });
  await superuser.connect();
});
after(async () => {
  await superuser.end();
  await platform.close();
});

const brl = (amount: string) => ({ amount, currency: 'BRL' });

interface Bank extends TestTenant {
  cash: string;
  ana: string;
}

/** Accounts for the books of a tenant that has none. */
async function fill(bank: TestTenant): Promise<Pick<Bank, 'cash' | 'ana'>> {
  await bank.post('/api/v2/chart-of-accounts', { code: '1', name: 'Cash', type: 'asset' });
  await bank.post('/api/v2/chart-of-accounts', { code: '2', name: 'Deposits', type: 'liability' });
  const open = async (more: object): Promise<string> =>
    (await bank.post('/api/v2/accounts', { name: 'A', currency: 'BRL', ...more })).id;
  return { cash: await open({ chart_code: '1', credit_limit: null }), ana: await open({ chart_code: '2' }) };
}

async function openBank(): Promise<Bank> {
  const bank = await platform.newTenant();
  return { ...bank, ...(await fill(bank)) };
}

const toAna = ({ cash, ana }: Bank, amount: string) => ({
  debit_account_id: cash,
  credit_account_id: ana,
  amount: brl(amount),
});

/** What is written of a request when its answer has come: in the queue of the ledger, or in the trail already. */
async function writtenOf(bank: Bank, answer: Answer): Promise<number> {
  const { rows } = await superuser.query(
    `select (select count(*) from ledger.attributions a where a.tenant_id = $1 and a.record::jsonb ->> 'request_id' = $2)
          + (select count(*) from platform.audit_records r where r.tenant_id = $1 and r.request_id = $2) as count`,
    [bank.scope.tenant_id, answer.headers['request-id']],
  );
  return Number(rows[0].count);
}

/** The one record that the trail comes to have of a request. */
async function recordOf(bank: Bank, answer: Answer): Promise<Answer['body']> {
  for (let tries = 0; tries < 400; tries += 1) {
    const { data } = await bank.get(`/api/v2/audit?request_id=${answer.headers['request-id']}`);
    assert.ok(data.length <= 1, JSON.stringify(data));
    if (data.length === 1) return data[0];
    await sleep(25);
  }
  return assert.fail(`nothing is recorded of ${answer.headers['request-id']}`);
}

test('a posting has one record, written when it is answered: of transfers, batches, reversals and hold steps', async () => {
  const bank = await openBank();
  const transfer = await bank.ask('POST', '/api/v2/transfers', toAna(bank, '100.00'), {
    'request-id': 'my-transfer',
  });
  assert.equal(await writtenOf(bank, transfer), 1);
  const { id, occurred_at, recorded_at, principal, ...rest } = await recordOf(bank, transfer);
  assert.match(id, /^aud_/);
  assert.ok(Math.abs(Date.parse(occurred_at) - Date.parse(recorded_at)) < 60_000);
  assert.deepEqual([principal.kind, principal.name], ['key', 'test']);
  assert.deepEqual(rest, {
    address: '127.0.0.1',
    method: 'POST',
    route: '/api/v2/transfers',
    path: '/api/v2/transfers',
    permission: 'transfers:post',
    outcome: 'done',
    status: 201,
    subject: transfer.body.id,
    request_id: 'my-transfer',
    dry_run: false,
    replayed: false,
  });
  const line = toAna(bank, '1.00');
  const batch = await bank.ask('POST', '/api/v2/transfers/batch', { transfers: [line, line] });
  const reversal = await bank.ask('POST', `/api/v2/transfers/${transfer.body.id}/reversals`, {
    amount: brl('2.00'),
  });
  const hold = await bank.ask('POST', '/api/v2/holds', {
    debit_account_id: bank.ana,
    credit_account_id: bank.cash,
    amount: brl('5.00'),
  });
  const on = `/api/v2/holds/${hold.body.id}`;
  const capture = await bank.ask('POST', `${on}/captures`, { amount: brl('1.00') });
  const release = await bank.ask('POST', `${on}/releases`, {});
  for (const [answer, status, subject] of [
    [batch, 200, undefined],
    [reversal, 201, reversal.body.id],
    [hold, 201, hold.body.id],
    [capture, 201, hold.body.id],
    [release, 201, hold.body.id],
  ] as const) {
    assert.equal(answer.status, status, answer.text);
    assert.equal(await writtenOf(bank, answer), 1);
    const record = await recordOf(bank, answer);
    assert.deepEqual([record.outcome, record.status, record.subject], ['done', status, subject]);
  }
});

test('what was not posted has one record, too: refused, repeated, only asked about, a batch without any', async () => {
  const bank = await openBank();
  const tooMuch = { ...toAna(bank, '1.00'), debit_account_id: bank.ana, credit_account_id: bank.cash };
  const refused = await bank.ask('POST', '/api/v2/transfers', tooMuch);
  const dry = await bank.ask('POST', '/api/v2/transfers?dry_run=true', toAna(bank, '1.00'));
  const none = await bank.ask('POST', '/api/v2/transfers/batch', { transfers: [tooMuch] });
  const key = { 'idempotency-key': 'again' };
  const first = await bank.ask('POST', '/api/v2/transfers', toAna(bank, '1.00'), key);
  const again = await bank.ask('POST', '/api/v2/transfers', toAna(bank, '1.00'), key);
  for (const [answer, outcome, code, dry_run, replayed] of [
    [refused, 'refused', 'insufficient_funds', false, false],
    [dry, 'done', undefined, true, false],
    [none, 'done', undefined, false, false],
    [first, 'done', undefined, false, false],
    [again, 'done', undefined, false, true],
  ] as const) {
    assert.equal(await writtenOf(bank, answer), 1, answer.text);
    const record = await recordOf(bank, answer);
    assert.deepEqual(
      [record.outcome, record.code, record.dry_run, record.replayed],
      [outcome, code, dry_run, replayed],
    );
  }
});

test('no way of writing the address leads past the trail', async () => {
  const bank = await openBank();
  const key = await bank.ask('POST', '/%61pi/v2/api-keys', { label: 'hidden', scopes: ['accounts:read'] });
  assert.equal(key.status, 201, key.text);
  const moved = await bank.ask('POST', '/%61pi/v2/transfers', toAna(bank, '1.00'));
  assert.equal(moved.status, 201, moved.text);
  for (const answer of [key, moved]) {
    assert.equal(await writtenOf(bank, answer), 1);
    assert.equal(
      (await recordOf(bank, answer)).route,
      answer === key ? '/api/v2/api-keys' : '/api/v2/transfers',
    );
  }
});

test('however many wait, each is moved into the trail once, whoever moves them at the same time', async () => {
  const bank = await openBank();
  const { tenant_id, environment } = bank.scope;
  const count = 5_000;
  await superuser.query(
    `insert into ledger.attributions (tenant_id, environment, recorded_at, position, record)
     select $1::uuid, $2::platform.environment, now() + g * interval '1 ms', 1000000 + g, json_build_object(
       'tenant_id', $1::uuid, 'environment', $2::platform.environment, 'id', gen_random_uuid(), 'principal_kind', 'key', 'principal_id', 'key_x',
       'principal_name', 'x', 'address', '127.0.0.1', 'method', 'POST', 'path', '/api/v2/transfers', 'outcome', 'done',
       'status', 201, 'request_id', 'backlog-' || g, 'dry_run', false, 'replayed', false)::text
     from generate_series(1, ${count}) g`,
    [tenant_id, environment],
  );
  const other = new Client({ connectionString: platform.url });
  await other.connect();
  const move = async (client: Client): Promise<void> => {
    for (;;) {
      await client.query('select ledger.move_attributions($1, $2, 700)', [tenant_id, environment]);
      const { rowCount } = await client.query(
        'select from ledger.attributions where tenant_id = $1 limit 1',
        [tenant_id],
      );
      if (rowCount === 0) return;
    }
  };
  await Promise.all([move(superuser), move(other)]);
  await other.end();
  const { rows } = await superuser.query(
    `select count(*)::int as count, count(distinct request_id)::int as different from platform.audit_records
     where tenant_id = $1 and request_id like 'backlog-%'`,
    [tenant_id],
  );
  assert.deepEqual(rows, [{ count, different: count }]);
});

const moving = "hashtextextended('ledger.attributions/' || $1 || '/' || $2, 0)";

/** Keeps the records of a bank's postings where they wait, until what it returns is called. */
async function keepWaiting({ scope }: Bank): Promise<() => Promise<void>> {
  const parameters = [scope.tenant_id, scope.environment];
  await superuser.query(`select pg_advisory_lock(${moving})`, parameters);
  return async () => {
    await superuser.query(`select pg_advisory_unlock(${moving})`, parameters);
    for (let tries = 0; tries < 400; tries += 1) {
      const { rowCount } = await superuser.query(
        'select from ledger.attributions where tenant_id = $1 limit 1',
        [scope.tenant_id],
      );
      if (rowCount === 0) return;
      await sleep(25);
    }
    assert.fail('the records are not moved');
  };
}

/** What the integrity check finds wrong with the records of postings; everything else is well. */
async function lostOf(bank: Bank): Promise<string[]> {
  const { checks } = await bank.get('/api/v2/integrity');
  const failed = checks.filter(({ ok }: Answer['body']) => !ok);
  for (const { name } of failed) assert.equal(name, 'attributions', JSON.stringify(failed));
  return failed.flatMap(({ findings }: Answer['body']) =>
    findings.map(({ subject, detail }: Answer['body']) => `${subject}: ${detail}`),
  );
}

const takeAway = ({ scope }: Bank, numbers: readonly number[]) =>
  superuser.query('delete from ledger.attributions where tenant_id = $1 and number = any ($2)', [
    scope.tenant_id,
    numbers,
  ]);

test('a record that is taken away before it is moved is found and named: the first, some in between, the newest', async () => {
  const bank = await openBank();
  const posted: Answer[] = [];
  const post = async (count: number) => {
    for (let index = 0; index < count; index += 1) {
      posted.push(await bank.ask('POST', '/api/v2/transfers', toAna(bank, '1.00')));
    }
  };
  const position = (number: number) => posted[number - 1]?.body.position;
  const before = 'taken away before the audit trail had what they tell of: what was posted';

  let letGo = await keepWaiting(bank);
  await post(8);
  assert.deepEqual(await lostOf(bank), []);
  await takeAway(bank, [1, 4, 5, 8]);
  const [first, between, newest] = [
    `attribution 1: ${before} before position ${position(2)}`,
    `attributions 4 to 5: ${before} after position ${position(3)} and before position ${position(6)}`,
    `attribution 8: ${before} after position ${position(7)}`,
  ];
  assert.deepEqual(await lostOf(bank), [first, newest, between]);
  // Moving the others hides nothing, and neither does what is posted after it.
  await letGo();
  assert.deepEqual(await lostOf(bank), [first, `attribution 8: ${before}`, between]);
  letGo = await keepWaiting(bank);
  await post(2);
  assert.deepEqual(await lostOf(bank), [
    first,
    `attribution 8: ${before} before position ${position(9)}`,
    between,
  ]);
  await letGo();
  assert.deepEqual(await lostOf(bank), [
    first,
    `attribution 8: ${before} before position ${position(9)}`,
    between,
  ]);
  for (const number of [2, 3, 6, 7, 9, 10]) await recordOf(bank, posted[number - 1] ?? assert.fail());
});

test('all that waits, taken away at once, is found, and a record that is put back where it was moved from', async () => {
  const bank = await openBank();
  const letGo = await keepWaiting(bank);
  const batch = await bank.ask('POST', '/api/v2/transfers/batch', {
    transfers: [toAna(bank, '1.00'), toAna(bank, '1.00')],
  });
  assert.equal(batch.body.posted, 2);
  await bank.ask('POST', '/api/v2/transfers', toAna(bank, '1.00'));
  const { rows } = await superuser.query(
    'select * from ledger.attributions where tenant_id = $1 order by number',
    [bank.scope.tenant_id],
  );
  assert.deepEqual(
    rows.map(({ number }) => number),
    ['1', '2'],
  );
  await takeAway(bank, [1, 2]);
  assert.match((await lostOf(bank)).join(), /^attributions 1 to 2: taken away/);
  const putBack = () =>
    superuser.query(
      'insert into ledger.attributions select (jsonb_populate_recordset(null::ledger.attributions, $1)).*',
      [JSON.stringify(rows)],
    );
  await putBack();
  assert.deepEqual(await lostOf(bank), []);
  await letGo();
  assert.deepEqual(await lostOf(bank), []);
  const again = await keepWaiting(bank);
  await putBack();
  assert.match(
    (await lostOf(bank)).join(),
    /attribution 1: waits for the audit trail, although it was moved/,
  );
  await again();
  assert.deepEqual(await lostOf(bank), []);
});

test('numbers have no gap and no double where many post at once, and begin anew with an emptied sandbox', async () => {
  const bank = await openBank();
  let letGo = await keepWaiting(bank);
  const answers = await Promise.all(
    Array.from({ length: 60 }, (_, index) =>
      bank.ask('POST', '/api/v2/transfers', {
        ...toAna(bank, '1.00'),
        // One in three posts nothing and is no posting to tell of.
        ...(index % 3 === 0 ? { amount: { amount: '1.00', currency: 'USD' } } : {}),
      }),
    ),
  );
  assert.equal(answers.filter(({ status }) => status === 201).length, 40);
  const { rows } = await superuser.query(
    'select min(number), max(number), count(distinct number)::int from ledger.attributions where tenant_id = $1',
    [bank.scope.tenant_id],
  );
  assert.deepEqual(rows, [{ min: '1', max: '40', count: 40 }]);
  await takeAway(bank, [40]);
  await superuser.query(`select pg_advisory_unlock(${moving})`, [
    bank.scope.tenant_id,
    bank.scope.environment,
  ]);
  const reset = await bank.ask('POST', '/api/v2/sandbox/reset', {});
  assert.equal(reset.status, 201, reset.text);
  const lost = /^attribution 40: taken away/;
  assert.match((await lostOf(bank)).join(), lost);
  const { cash, ana } = await fill(bank);
  letGo = await keepWaiting(bank);
  const first = await bank.ask('POST', '/api/v2/transfers', toAna({ ...bank, cash, ana }, '1.00'));
  assert.equal(first.status, 201, first.text);
  const { rows: fresh } = await superuser.query(
    'select number from ledger.attributions where tenant_id = $1',
    [bank.scope.tenant_id],
  );
  assert.deepEqual(fresh, [{ number: '1' }]);
  await letGo();
  assert.match((await lostOf(bank)).join(), lost);
});
