import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client } from 'pg';
import { parseId } from '../../platform/ids.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';

let platform: TestPlatform;
let bank: TestTenant;

before(async () => {
  platform = await openTestPlatform();
  bank = await platform.newTenant();
});
after(() => platform.close());

test('the books are whole until somebody alters a row behind the ledger, and then that row is named', async () => {
  await bank.post('/api/v2/chart-of-accounts', { code: '1100', name: 'Cash', type: 'asset' });
  await bank.post('/api/v2/chart-of-accounts', { code: '2100', name: 'Deposits', type: 'liability' });
  const open = async (chart_code: string, credit_limit?: null): Promise<string> => {
    const account = await bank.post('/api/v2/accounts', {
      name: 'A',
      currency: 'BRL',
      chart_code,
      credit_limit,
    });
    return account.id;
  };
  const [cash, customer] = [await open('1100', null), await open('2100')];
  const amount = { amount: '5.00', currency: 'BRL' };
  await bank.post('/api/v2/transfers', { debit_account_id: cash, credit_account_id: customer, amount });
  const clean = await bank.ask('GET', '/api/v2/integrity');
  assert.equal(clean.body.ok, true, clean.text);
  assert.equal(clean.headers['ledger-position'], '1');

  const superuser = new Client({ connectionString: platform.url });
  await superuser.connect();
  await superuser.query('set session_replication_role = replica');
  await superuser.query('update ledger.accounts set credits_posted = credits_posted + 1 where id = $1', [
    parseId('acc', customer),
  ]);
  await superuser.end();
  const altered = await bank.get('/api/v2/integrity');
  assert.equal(altered.ok, false);
  const subjects = altered.checks.flatMap((check: { findings: { subject: string }[] }) =>
    check.findings.map(({ subject }) => subject),
  );
  assert.ok(subjects.includes(customer), `${customer} is not among ${subjects.join(', ')}`);
});
