import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { createInstallation } from '../../../platform/access/tenant.ts';
import { newUuid, parseId } from '../../../platform/ids.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../../testing.ts';

let platform: TestPlatform;
let bank: TestTenant;
/** Requests of the platform's administrator. */
let administer: TestTenant['ask'];
before(async () => {
  platform = await openTestPlatform();
  bank = await platform.newTenant();
  const installation = await createInstallation(platform.running.platform, {
    name: 'Platform',
    base_currency: 'USD',
  });
  assert.ok(installation !== undefined);
  administer = (method, url, body, headers) =>
    bank.ask(method, url, body, { authorization: `Bearer ${installation.key}`, ...headers });
});
after(() => platform.close());

const askWith = (key: string, url = '/api/v2/tenant') =>
  bank.ask('GET', url, undefined, { authorization: `Bearer ${key}` });

/** Asks until the answer is of a status, within two seconds. */
async function answersSoon(key: string, status: number) {
  const deadline = Date.now() + 2_000;
  for (;;) {
    const answer = await askWith(key);
    if (answer.status === status) return answer;
    assert.ok(Date.now() < deadline, `still ${answer.status}`);
    await sleep(5);
  }
}

test('there is one installation, and its keys are no more than keys to the books of others', async () => {
  const second = await createInstallation(platform.running.platform, { name: 'x', base_currency: 'USD' });
  assert.equal(second, undefined);
  const { data } = (await administer('GET', '/api/v2/accounts')).body;
  assert.deepEqual(data, []);
});

test('a tenant is created once, with a key of its sandbox that is told once', async () => {
  const body = {
    name: 'Banco Novo',
    base_currency: 'BRL',
    time_zone: 'America/Sao_Paulo',
    holidays: ['2027-12-25'],
  };
  const headers = { 'idempotency-key': newUuid() };
  const created = await administer('POST', '/api/v2/tenants', body, headers);
  assert.equal(created.status, 201, created.text);
  const { key, ...tenant } = created.body;
  assert.equal(tenant.status, 'active');
  const again = await administer('POST', '/api/v2/tenants', body, headers);
  assert.deepEqual([again.body, again.headers['idempotent-replayed']], [tenant, 'true']);
  const own = await askWith(key);
  assert.deepEqual(
    [own.body.id, own.body.time_zone, own.body.holidays],
    [tenant.id, body.time_zone, body.holidays],
  );
  assert.deepEqual((await askWith(key, '/api/v2/accounts')).body.data, []);
  const other = await administer('POST', '/api/v2/tenants', { ...body, name: 'Other' }, headers);
  assert.equal(other.body.code, 'idempotency_key_reused');
  const { data } = (await administer('GET', '/api/v2/tenants?q=novo')).body;
  assert.deepEqual(
    data.map(({ id }: { id: string }) => id),
    [tenant.id],
  );
  const first = (await administer('GET', '/api/v2/tenants?limit=1')).body;
  const second = (await administer('GET', `/api/v2/tenants?limit=1&cursor=${first.next_cursor}`)).body;
  assert.notEqual(first.data[0].id, second.data[0].id);
  const unknown = await administer('GET', `/api/v2/tenants/${tenant.id.slice(0, -4)}zzzz`);
  assert.deepEqual([unknown.status, unknown.body.code], [404, 'tenant_not_found']);
});

test('a suspended tenant is refused at once and resumed at once, and its books are looked after meanwhile', async () => {
  const created = await administer('POST', '/api/v2/tenants', { name: 'Odd', base_currency: 'BRL' });
  const { id, key } = created.body;
  const post = (url: string, body: object) =>
    bank.ask('POST', url, body, { authorization: `Bearer ${key}` }).then((answer) => answer.body);
  await post('/api/v2/chart-of-accounts', { code: '1', name: 'Cash', type: 'asset' });
  const open = () =>
    post('/api/v2/accounts', { name: 'x', currency: 'BRL', chart_code: '1', credit_limit: null });
  const [debit_account_id, credit_account_id] = [(await open()).id, (await open()).id];
  const amount = { amount: '1.00', currency: 'BRL' };
  const expires_at = new Date(Date.now() + 1_000).toISOString();
  const hold = await post('/api/v2/holds', { debit_account_id, credit_account_id, amount, expires_at });
  const suspended = await administer('POST', `/api/v2/tenants/${id}/suspend`, { reason: 'Licence expired' });
  assert.deepEqual(
    [suspended.body.status, suspended.body.suspended_reason],
    ['suspended', 'Licence expired'],
  );
  const refused = await answersSoon(key, 403);
  assert.equal(refused.body.code, 'tenant_suspended');
  assert.ok(!refused.text.includes('Licence'), 'the reason is for the operator');
  const again = await administer('POST', `/api/v2/tenants/${id}/suspend`, { reason: 'Other' });
  assert.deepEqual(again.body, suspended.body);
  const client = new Client({ connectionString: platform.url });
  await client.connect();
  const deadline = Date.now() + 20_000;
  for (;;) {
    const { rows } = await client.query(
      `select h.expired and s.last_position = 2 as done from ledger.holds h
       join ledger.seals s using (tenant_id, environment) where h.id = $1`,
      [parseId('hld', hold.id)],
    );
    if (rows.some(({ done }) => done)) break;
    assert.ok(Date.now() < deadline, 'the hold has not expired, or is not sealed');
    await sleep(50);
  }
  await client.end();
  const still = await administer('GET', `/api/v2/tenants/${id}`);
  assert.equal(still.body.status, 'suspended');
  await administer('POST', `/api/v2/tenants/${id}/resume`);
  await answersSoon(key, 200);
  const { status } = (await askWith(key, `/api/v2/holds/${hold.id}`)).body;
  assert.equal(status, 'expired');
});

test('the tenant that operates the installation cannot be suspended', async () => {
  const { id } = (await administer('GET', '/api/v2/tenant')).body;
  const refused = await administer('POST', `/api/v2/tenants/${id}/suspend`, { reason: 'x' });
  assert.deepEqual([refused.status, refused.body.code], [409, 'tenant_operates_installation']);
});

test('settings are edited by the version that was read, and are checked', async () => {
  const own = await platform.newTenant();
  const etag = (await own.ask('GET', '/api/v2/tenant')).headers['etag'] ?? '';
  const edit = (body: object, tag = '*') => own.ask('PATCH', '/api/v2/tenant', body, { 'if-match': tag });
  const settings = {
    name: 'Banco Bonito',
    base_currency: 'EUR',
    time_zone: 'Europe/Lisbon',
    business_calendar: 'every_day',
    holidays: ['2028-02-29', '2027-01-01'],
    brand: { display_name: 'Bonito', primary_color: '#00ff7f', logo_url: 'https://example.com/logo.svg' },
  };
  const edited = await edit(settings, etag);
  assert.equal(edited.status, 200, edited.text);
  const { id: _, kind: __, status: ___, created_at: ____, updated_at: _____, ...read } = edited.body;
  assert.deepEqual(read, { ...settings, holidays: settings.holidays.toSorted() });
  assert.equal((await edit({ name: 'x' }, etag)).status, 412);
  assert.equal((await own.ask('PATCH', '/api/v2/tenant', { name: 'x' })).status, 428);
  for (const [body, status] of [
    [{}, 400],
    [{ name: '' }, 400],
    [{ name: 'x'.repeat(256) }, 400],
    [{ status: 'active' }, 400],
    [{ kind: 'installation' }, 400],
    [{ base_currency: 'XXX' }, 422],
    [{ time_zone: 'Mars/Olympus' }, 422],
    [{ time_zone: "UTC'; drop table platform.tenants; --" }, 422],
    [{ business_calendar: 'never' }, 400],
    [{ holidays: ['2027-02-29'] }, 400],
    [{ holidays: ['2027-01-01', '2027-01-01'] }, 400],
    [{ brand: { logo_url: 'http://example.com/logo.svg' } }, 400],
    [{ brand: { logo_url: 'https://user:secret@example.com/' } }, 400],
    [{ brand: { logo_url: 'javascript:alert(1)' } }, 400],
    [{ brand: { primary_color: 'red' } }, 400],
    [{ brand: { html: '<script>' } }, 400],
  ] as const) {
    const refused = await edit(body);
    assert.equal(refused.status, status, `${JSON.stringify(body)}: ${refused.text}`);
  }
  assert.equal((await own.get('/api/v2/tenant')).name, 'Banco Bonito');
});

test('the base currency stays once there is an account in either environment', async () => {
  const own = await platform.newTenant();
  const edit = (base_currency: string) =>
    own.ask('PATCH', '/api/v2/tenant', { base_currency }, { 'if-match': '*' });
  assert.equal((await edit('EUR')).status, 200);
  await own.post('/api/v2/chart-of-accounts', { code: '1', name: 'Cash', type: 'asset' });
  await own.post('/api/v2/accounts', { name: 'x', currency: 'BRL', chart_code: '1' });
  const refused = await edit('JPY');
  assert.deepEqual([refused.status, refused.body.code], [409, 'base_currency_in_use']);
  assert.equal((await edit('EUR')).status, 200, 'the same is no change');
  await own.post('/api/v2/sandbox/reset', {});
  assert.equal((await edit('JPY')).status, 200);
});
