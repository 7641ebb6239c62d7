import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { Type } from 'typebox';
import { type Answer, openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';
import { createKey } from '../access/access.ts';
import { boot } from '../boot.ts';
import { readConfig } from '../config.ts';
import { newUuid, parseId } from '../ids.ts';
import { defineService } from '../service.ts';

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
  sara: string;
  shop: string;
  /** Another key of the tenant, of other people. */
  second: TestTenant['ask'];
}

type Method = Parameters<TestTenant['ask']>[0];

/** What a key may ask, answered as `TestTenant.ask` does. */
function askWith(key: string): TestTenant['ask'] {
  return async (method: Method, url, body, headers = {}) => {
    const answer = await platform.running.app.inject({
      method,
      url,
      headers: {
        authorization: `Bearer ${key}`,
        ...(method === 'POST' ? { 'idempotency-key': newUuid() } : {}),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { payload: JSON.stringify(body) }),
    });
    const found: Answer = {
      status: answer.statusCode,
      headers: Object.fromEntries(
        Object.entries(answer.headers).map(([name, value]) => [
          name,
          value === undefined ? undefined : String(value),
        ]),
      ),
      body: answer.body === '' ? undefined : answer.json(),
      text: answer.body,
    };
    return found;
  };
}

async function keyOf(tenant: TestTenant, scopes: readonly string[] = ['*:*']): Promise<TestTenant['ask']> {
  return askWith(await createKey(platform.running.platform, tenant.scope, { label: 'second', scopes }));
}

/** A bank where Sara has 1,000.00. */
async function openBank(): Promise<Bank> {
  const tenant = await platform.newTenant();
  await tenant.post('/api/v2/chart-of-accounts', { code: '1', name: 'Cash', type: 'asset' });
  await tenant.post('/api/v2/chart-of-accounts', { code: '2', name: 'Deposits', type: 'liability' });
  const open = async (chart_code: string, more: object = {}): Promise<string> =>
    (await tenant.post('/api/v2/accounts', { name: 'A', currency: 'BRL', chart_code, ...more })).id;
  const cash = await open('1', { credit_limit: null });
  const [sara, shop] = [await open('2'), await open('2')];
  await tenant.post('/api/v2/transfers', {
    debit_account_id: cash,
    credit_account_id: sara,
    amount: brl('1000.00'),
  });
  return { ...tenant, cash, sara, shop, second: await keyOf(tenant) };
}

async function policy(bank: Bank, action: string, body: object = {}): Promise<void> {
  const answer = await bank.ask('PUT', `/api/v2/approval-policies/${action}`, body);
  assert.equal(answer.status, 201, answer.text);
}

async function funds(bank: Bank, account: string): Promise<{ balance: string; available: string }> {
  const { balance, available } = await bank.get(`/api/v2/accounts/${account}`);
  return { balance: balance.amount, available: available.amount };
}

const transferOf = ({ sara, shop }: Bank, amount: string) => ({
  debit_account_id: sara,
  credit_account_id: shop,
  amount: brl(amount),
});

async function proposed(bank: Bank, amount: string): Promise<Answer['body']> {
  const answer = await bank.ask('POST', '/api/v2/transfers', transferOf(bank, amount));
  assert.equal(answer.status, 202, answer.text);
  return answer.body;
}

test('a transfer above the threshold waits, its money set aside, until somebody else approves', async () => {
  const bank = await openBank();
  await policy(bank, 'transfers:post', { above: [brl('100')] });
  assert.equal((await bank.ask('POST', '/api/v2/transfers', transferOf(bank, '100.00'))).status, 201);

  const headers = { 'idempotency-key': 'rent' };
  const answer = await bank.ask('POST', '/api/v2/transfers', transferOf(bank, '600.00'), headers);
  assert.equal(answer.status, 202);
  const { id, status, reserved, amounts } = answer.body;
  assert.equal(answer.headers['location'], `/api/v2/proposals/${id}`);
  assert.deepEqual([status, amounts, reserved.length], ['pending', [brl('600.00')], 1]);
  assert.deepEqual(await funds(bank, bank.sara), { balance: '900.00', available: '300.00' });
  const hold = await bank.get(`/api/v2/holds/${reserved[0]}`);
  assert.equal(hold.expires_at, answer.body.expires_at);
  assert.equal(hold.metadata['financialapi:reserved_for'], id);

  // Asked again it is the same proposal; another request under its key is refused.
  const again = await bank.ask('POST', '/api/v2/transfers', transferOf(bank, '600.00'), headers);
  assert.deepEqual([again.status, again.body.id, again.headers['idempotent-replayed']], [202, id, 'true']);
  const other = await bank.ask('POST', '/api/v2/transfers', transferOf(bank, '601.00'), headers);
  assert.equal(other.body.code, 'idempotency_key_reused');

  const own = await bank.ask('POST', `/api/v2/proposals/${id}/approve`, {});
  assert.deepEqual([own.status, own.body.code], [403, 'own_proposal']);
  const approved = await bank.second('POST', `/api/v2/proposals/${id}/approve`, { reason: 'as agreed' });
  assert.equal(approved.status, 200, approved.text);
  assert.deepEqual([approved.body.status, approved.body.reason], ['executed', 'as agreed'], approved.text);
  assert.deepEqual(approved.body.result.body.entries[0].amount, brl('600.00'));
  assert.deepEqual(await funds(bank, bank.sara), { balance: '300.00', available: '300.00' });
  assert.deepEqual(await funds(bank, bank.shop), { balance: '700.00', available: '700.00' });
  assert.equal((await bank.get(`/api/v2/holds/${reserved[0]}`)).status, 'released');

  // The proposer, who may ask again, is told what came of it.
  const done = await bank.ask('POST', '/api/v2/transfers', transferOf(bank, '600.00'), headers);
  assert.deepEqual([done.status, done.headers['location']], [201, approved.body.result.location]);
  assert.deepEqual(await funds(bank, bank.shop), { balance: '700.00', available: '700.00' });
});

/** Has the books recomputed. */
async function assertWhole(bank: Bank): Promise<void> {
  const { ok, checks } = await bank.get('/api/v2/integrity');
  assert.equal(ok, true, JSON.stringify(checks));
}

/** A proposal when it has come to a status, by the worker. */
async function cameTo(bank: Bank, id: string, status: string): Promise<Answer['body']> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const proposal = await bank.get(`/api/v2/proposals/${id}`);
    if (proposal.status === status) return proposal;
    assert.ok(Date.now() < deadline, `the proposal is still ${proposal.status}`);
    await sleep(20);
  }
}

/** Waits until nothing of Sara's is held any more. */
async function freed(bank: Bank): Promise<void> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const { balance, available } = await funds(bank, bank.sara);
    if (balance === available) return;
    assert.ok(Date.now() < deadline, `${available} of ${balance} are still held`);
    await sleep(20);
  }
}

test('what the account does not have is refused at once, and leaves the key free', async () => {
  const bank = await openBank();
  await policy(bank, 'transfers:post', { above: [brl('100')] });
  const headers = { 'idempotency-key': 'too-much' };
  const refused = await bank.ask('POST', '/api/v2/transfers', transferOf(bank, '1000.01'), headers);
  assert.deepEqual([refused.status, refused.body.code], [422, 'insufficient_funds']);
  assert.deepEqual((await bank.get('/api/v2/proposals')).data, []);
  const second = await bank.ask('POST', '/api/v2/transfers', transferOf(bank, '1000.00'), headers);
  assert.equal(second.status, 202, second.text);
  // Of money that is set aside nothing is left for a further one.
  const third = await bank.ask('POST', '/api/v2/transfers', transferOf(bank, '100.01'));
  assert.equal(third.body.code, 'insufficient_funds');
  for (const body of [{ ...transferOf(bank, '0.00') }, { ...transferOf(bank, '500.001') }]) {
    assert.equal((await bank.ask('POST', '/api/v2/transfers', body)).status, 422);
  }
  const dated = { ...transferOf(bank, '100.01'), effective_date: '2026-02-30' };
  assert.equal((await bank.ask('POST', '/api/v2/transfers', dated)).body.code, 'effective_date_invalid');
  const missing = await bank.ask('POST', '/api/v2/transfers', transferOf(bank, '500'), {
    'idempotency-key': '',
  });
  assert.equal(missing.status, 400);
});

test('a rejected proposal gives the money back and tells why', async () => {
  const bank = await openBank();
  await policy(bank, 'transfers:post');
  const headers = { 'idempotency-key': 'gift' };
  const { body } = await bank.ask('POST', '/api/v2/transfers', transferOf(bank, '0.01'), headers);
  const url = `/api/v2/proposals/${body.id}`;
  assert.equal((await bank.second('POST', `${url}/reject`, {})).status, 400);
  assert.equal((await bank.ask('POST', `${url}/reject`, { reason: 'x' })).body.code, 'own_proposal');
  const rejected = await bank.second('POST', `${url}/reject`, { reason: 'not our customer' });
  assert.deepEqual([rejected.status, rejected.body.status], [200, 'rejected']);
  assert.deepEqual(await funds(bank, bank.sara), { balance: '1000.00', available: '1000.00' });
  // The same decision is told again; another is refused.
  assert.equal(
    (await bank.second('POST', `${url}/reject`, { reason: 'again' })).body.reason,
    'not our customer',
  );
  const late = await bank.second('POST', `${url}/approve`, {});
  assert.deepEqual(
    [late.status, late.body.code, late.body.proposal_status],
    [409, 'proposal_decided', 'rejected'],
  );
  const told = await bank.ask('POST', '/api/v2/transfers', transferOf(bank, '0.01'), headers);
  assert.deepEqual(
    [told.status, told.body.code, told.body.reason],
    [422, 'proposal_not_carried_out', 'not our customer'],
  );
});

test('only who proposed cancels; others have to have the permission of the action to decide', async () => {
  const bank = await openBank();
  await policy(bank, 'transfers:post');
  const { id } = await proposed(bank, '10');
  const url = `/api/v2/proposals/${id}`;
  assert.equal((await bank.second('POST', `${url}/cancel`)).body.code, 'not_own_proposal');
  const approver = await keyOf(bank, ['proposals:*']);
  const refused = await approver('POST', `${url}/approve`, {});
  assert.deepEqual([refused.status, refused.body.permission], [403, 'transfers:post']);
  const teller = await keyOf(bank, ['transfers:*']);
  assert.equal((await teller('POST', `${url}/approve`, {})).body.permission, 'proposals:approve');
  assert.equal((await bank.ask('POST', `${url}/cancel`)).body.status, 'cancelled');
  assert.deepEqual(await funds(bank, bank.sara), { balance: '1000.00', available: '1000.00' });
});

test('nobody approves their own by another key, whoever made it', async () => {
  const bank = await openBank();
  await policy(bank, 'transfers:post');
  const made = async (ask: TestTenant['ask']) => {
    const { body } = await ask('POST', '/api/v2/api-keys', { label: 'k' });
    return { id: body.id, ask: askWith(body.key) };
  };
  const child = await made(bank.ask);
  const grandchild = await made(child.ask);
  const { id } = await proposed(bank, '10');
  for (const { ask } of [child, grandchild]) {
    assert.equal((await ask('POST', `/api/v2/proposals/${id}/approve`, {})).body.code, 'own_proposal');
  }
  // And the other way: who made the key that proposed, and its siblings.
  const byChild = (await grandchild.ask('POST', '/api/v2/transfers', transferOf(bank, '10'))).body;
  const sibling = await made(bank.ask);
  for (const ask of [bank.ask, child.ask, sibling.ask]) {
    assert.equal(
      (await ask('POST', `/api/v2/proposals/${byChild.id}/approve`, {})).body.code,
      'own_proposal',
    );
  }
  // A key that somebody else rotated is still its holder's.
  const rotated = await bank.second('POST', `/api/v2/api-keys/${child.id}/rotations`, {});
  const successor = askWith(rotated.body.key);
  assert.equal((await successor('POST', `/api/v2/proposals/${id}/approve`, {})).body.code, 'own_proposal');
  assert.equal((await bank.get('/api/v2/proposals?mine=true')).data.length, 1);
  assert.equal((await bank.get('/api/v2/proposals?awaiting_me=true')).data.length, 0);
  const { body: awaiting } = await (await keyOf(bank))('GET', '/api/v2/proposals?awaiting_me=true&limit=1');
  assert.deepEqual([awaiting.data.length, awaiting.data[0].id], [1, byChild.id]);
  const { body: next } = await (await keyOf(bank))('GET', `/api/v2/proposals?cursor=${awaiting.next_cursor}`);
  assert.deepEqual(
    next.data.map((proposal: { id: string }) => proposal.id),
    [id],
  );
});

test('of decisions made at once one counts', async () => {
  const bank = await openBank();
  await policy(bank, 'transfers:post');
  const others = [bank.second, await keyOf(bank), await keyOf(bank)];
  for (let round = 0; round < 5; round += 1) {
    const { id } = await proposed(bank, '10');
    const answers = await Promise.all([
      ...others.map((ask) => ask('POST', `/api/v2/proposals/${id}/approve`, {})),
      ...others.map((ask) => ask('POST', `/api/v2/proposals/${id}/reject`, { reason: 'no' })),
    ]);
    const statuses = answers.map(({ status }) => status);
    assert.deepEqual(
      statuses.toSorted((left, right) => left - right),
      [200, 409, 409, 409, 409, 409],
    );
  }
  const { data } = await bank.get('/api/v2/proposals?status=executed');
  assert.equal((await funds(bank, bank.shop)).balance, (data.length * 10).toFixed(2));
  assert.deepEqual(await funds(bank, bank.sara), {
    balance: (1000 - data.length * 10).toFixed(2),
    available: (1000 - data.length * 10).toFixed(2),
  });
});

test('requests with one key at once become one proposal', async () => {
  const bank = await openBank();
  await policy(bank, 'transfers:post');
  const headers = { 'idempotency-key': 'once' };
  const answers = await Promise.all(
    Array.from({ length: 6 }, () => bank.ask('POST', '/api/v2/transfers', transferOf(bank, '300'), headers)),
  );
  for (const { status, body } of answers) {
    assert.ok(status === 202 || (status === 409 && body.code === 'proposal_in_progress'), `${status}`);
  }
  assert.equal((await bank.get('/api/v2/proposals')).data.length, 1);
  assert.deepEqual(await funds(bank, bank.sara), { balance: '1000.00', available: '700.00' });
});

test('a proposal that nobody decides expires, and the money is free again', async () => {
  const bank = await openBank();
  await policy(bank, 'transfers:post');
  const { id } = await proposed(bank, '10');
  await superuser.query(
    `update platform.proposals set expires_at = created_at + interval '1 microsecond', due_at = now() where id = $1`,
    [parseId('prp', id)],
  );
  const late = await bank.second('POST', `/api/v2/proposals/${id}/approve`, {});
  assert.deepEqual([late.body.code, late.body.proposal_status], ['proposal_decided', 'expired']);
  await cameTo(bank, id, 'expired');
  await freed(bank);
  assert.equal((await funds(bank, bank.shop)).balance, '0.00');
});

test('a proposal of a key that was revoked, or may no longer do it, is not carried out', async () => {
  const bank = await openBank();
  await policy(bank, 'transfers:post');
  for (const [change, code] of [
    ['revoked_at = now()', 'proposer_lost_access'],
    [`expires_at = now() - interval '1 second'`, 'proposer_lost_access'],
    [`scopes = '{accounts:read}'`, 'permission_missing'],
  ] as const) {
    const { body: key } = await bank.second('POST', '/api/v2/api-keys', { label: 'teller' });
    const { body } = await askWith(key.key)('POST', '/api/v2/transfers', transferOf(bank, '10'));
    await superuser.query(`update platform.api_keys set ${change} where id = $1`, [parseId('key', key.id)]);
    const approved = await bank.ask('POST', `/api/v2/proposals/${body.id}/approve`, {});
    assert.deepEqual([approved.body.status, approved.body.result.body.code], ['failed', code]);
  }
  assert.deepEqual(await funds(bank, bank.sara), { balance: '1000.00', available: '1000.00' });
});

test('whichever step was the last before a process died, it comes to the same', async () => {
  const bank = await openBank();
  await policy(bank, 'transfers:post');
  const decided = `decided_by = '{"kind": "key", "id": "key_x", "name": "x"}', decided_at = now()`;
  const leave = async (id: string, changes: string) =>
    superuser.query(`update platform.proposals set ${changes}, due_at = now() where id = $1`, [
      parseId('prp', id),
    ]);

  // Approved, and nothing done yet.
  const first = await proposed(bank, '10');
  await leave(first.id, `status = 'approved', ${decided}`);
  await cameTo(bank, first.id, 'executed');
  assert.deepEqual(await funds(bank, bank.shop), { balance: '10.00', available: '10.00' });

  // Done, and not written down.
  await leave(first.id, `status = 'approved', result = null`);
  const { result } = await cameTo(bank, first.id, 'executed');
  assert.equal(result.status, 201);
  assert.deepEqual(await funds(bank, bank.shop), { balance: '10.00', available: '10.00' });

  // Rejected, and not given back.
  const second = await proposed(bank, '20');
  await leave(second.id, `status = 'rejected', ${decided}`);
  await freed(bank);

  // Set aside, and not proposed: it never was, and the key is free.
  const headers = { 'idempotency-key': 'died' };
  const third = await bank.ask('POST', '/api/v2/transfers', transferOf(bank, '30'), headers);
  await leave(third.body.id, `status = 'reserving'`);
  await freed(bank);
  assert.equal((await bank.ask('GET', `/api/v2/proposals/${third.body.id}`)).status, 404);
  const again = await bank.ask('POST', '/api/v2/transfers', transferOf(bank, '30'), headers);
  assert.equal(again.status, 202);
  assert.notEqual(again.body.id, third.body.id);
  await assertWhole(bank);
});

test('legs, batches and reversals are set aside as well', async () => {
  const bank = await openBank();
  await policy(bank, 'transfers:post', { above: [brl('100')] });
  await policy(bank, 'transfers:reverse');
  const { sara, shop, cash } = bank;
  const leg = (account_id: string, side: string, amount: string) => ({
    account_id,
    side,
    amount: brl(amount),
  });
  // No leg is above the threshold, but together they are.
  const legs = await bank.ask('POST', '/api/v2/transfers', {
    legs: [
      leg(sara, 'debit', '60'),
      leg(sara, 'debit', '60'),
      leg(shop, 'credit', '50'),
      leg(cash, 'credit', '70'),
    ],
  });
  assert.deepEqual([legs.status, legs.body.amounts, legs.body.reserved.length], [202, [brl('120.00')], 2]);
  assert.equal((await funds(bank, sara)).available, '880.00');
  await bank.second('POST', `/api/v2/proposals/${legs.body.id}/approve`, {});
  assert.deepEqual(await funds(bank, sara), { balance: '880.00', available: '880.00' });

  const transfers = [transferOf(bank, '50'), transferOf(bank, '300')];
  const batch = await bank.ask('POST', '/api/v2/transfers/batch', { atomic: true, transfers });
  assert.deepEqual([batch.status, batch.body.reserved.length], [202, 2]);
  assert.equal((await funds(bank, sara)).available, '530.00');
  const tooMuch = { atomic: true, transfers: [transferOf(bank, '500'), transferOf(bank, '31')] };
  assert.equal((await bank.ask('POST', '/api/v2/transfers/batch', tooMuch)).body.code, 'insufficient_funds');
  assert.equal((await funds(bank, sara)).available, '530.00');
  const posted = await bank.second('POST', `/api/v2/proposals/${batch.body.id}/approve`, {});
  assert.deepEqual([posted.body.status, posted.body.result.body.posted], ['executed', 2]);
  assert.deepEqual(await funds(bank, sara), { balance: '530.00', available: '530.00' });

  // Each for itself: what can be set aside is, and the others are told when it is carried out.
  const each = await bank.ask('POST', '/api/v2/transfers/batch', { transfers: tooMuch.transfers });
  assert.equal(each.body.reserved.length, 1);
  const halves = await bank.second('POST', `/api/v2/proposals/${each.body.id}/approve`, {});
  const { result } = halves.body;
  assert.deepEqual([result.body.posted, result.body.refused], [1, 1]);

  const [transfer] = (await bank.get('/api/v2/transfers?limit=1')).data;
  const reversal = await bank.ask('POST', `/api/v2/transfers/${transfer.id}/reversals`, {});
  assert.deepEqual([reversal.status, reversal.body.reserved.length], [202, 1]);
  assert.equal((await funds(bank, shop)).available, '400.00');
  // What is reversed already, or is more than was moved, is refused at once.
  const excess = await bank.ask('POST', `/api/v2/transfers/${transfer.id}/reversals`, { amount: brl('501') });
  assert.equal(excess.body.code, 'reversal_exceeds_transfer');
  const reversed = await bank.second('POST', `/api/v2/proposals/${reversal.body.id}/approve`, {});
  assert.equal(reversed.body.status, 'executed', reversed.text);
  assert.deepEqual(await funds(bank, shop), { balance: '400.00', available: '400.00' });
});

test('no other route is a way around', async () => {
  const bank = await openBank();
  const { sara, shop } = bank;
  const held = await bank.post('/api/v2/holds', {
    debit_account_id: sara,
    credit_account_id: shop,
    amount: brl('500'),
  });
  const small = await bank.post('/api/v2/holds', {
    debit_account_id: sara,
    credit_account_id: shop,
    amount: brl('5'),
  });
  const v1 = await bank.ask('POST', '/api/v1/accounts', { name: 'Old', balance: 100.01 });
  assert.equal(v1.status, 201, v1.text);
  await policy(bank, 'transfers:post', { above: [brl('100')] });

  // Captured piece by piece it is still the whole hold.
  const capture = await bank.ask('POST', `/api/v2/holds/${held.id}/captures`, { amount: brl('1') });
  assert.equal(capture.status, 202, capture.text);
  assert.equal((await bank.ask('POST', `/api/v2/holds/${small.id}/captures`, {})).status, 201);

  const numbers = (await bank.get('/api/v1/accounts')).map(({ id }: { id: number }) => id);
  const transfer = await bank.ask('GET', `/api/v1/transfer/${numbers[0]}/${numbers[1]}/10001`);
  assert.deepEqual([transfer.status, transfer.body.code], [403, 'approval_required']);
  assert.equal((await bank.ask('POST', `/api/v1/transfer/${numbers[0]}/${numbers[1]}/100`)).status, 201);
  for (const [method, body] of [['PUT', { name: 'Old', balance: 1_000_000 }], ['DELETE']] as const) {
    const refused = await bank.ask(method, `/api/v1/accounts/${v1.body.id}`, body);
    assert.deepEqual([refused.status, refused.body.code], [403, 'approval_required'], method);
  }
  const opened = await bank.ask('POST', '/api/v1/accounts', { name: 'New', balance: 1_000_000 });
  assert.equal(opened.body.code, 'approval_required');

  // In a currency without a threshold every amount waits, before anything else is looked at.
  const dollars = { ...transferOf(bank, '1'), amount: { amount: '0.01', currency: 'USD' } };
  assert.equal((await bank.ask('POST', '/api/v2/transfers', dollars)).body.code, 'currency_mismatch');
});

test('what is set aside for a proposal cannot be captured, released or made last by anybody', async () => {
  const bank = await openBank();
  await policy(bank, 'transfers:post', { above: [brl('100')] });
  const { reserved } = await proposed(bank, '200');
  const url = `/api/v2/holds/${reserved[0]}`;
  for (const [step, body] of [
    ['captures', { amount: brl('1') }],
    ['releases', {}],
    ['increments', { amount: brl('1') }],
    ['extensions', { expires_at: '2999-01-01T00:00:00Z' }],
  ] as const) {
    const refused = await bank.ask('POST', `${url}/${step}`, body);
    assert.deepEqual([refused.status, refused.body.code], [422, 'hold_reserved'], step);
  }
  const own = await bank.ask('POST', '/api/v2/holds', {
    debit_account_id: bank.sara,
    credit_account_id: bank.shop,
    amount: brl('1'),
    metadata: { 'financialapi:reserved_for': 'me' },
  });
  assert.equal(own.status, 400);
});

test('a rehearsal tells that it would wait, and keeps nothing', async () => {
  const bank = await openBank();
  await policy(bank, 'transfers:post', { above: [brl('100')] });
  const dry = (amount: string) =>
    bank.ask('POST', '/api/v2/transfers?dry_run=true', transferOf(bank, amount));
  assert.equal((await dry('100')).status, 201);
  const would = await dry('500');
  assert.deepEqual([would.status, would.body.status, would.body.policy], [202, 'pending', 'transfers:post']);
  assert.equal((await dry('5000')).body.code, 'insufficient_funds');
  assert.deepEqual((await bank.get('/api/v2/proposals')).data, []);
  assert.deepEqual(await funds(bank, bank.sara), { balance: '1000.00', available: '1000.00' });
});

test('a key that needed approval is told to its proposer alone, who repeats the request', async () => {
  const bank = await openBank();
  await policy(bank, 'api_keys:create');
  const headers = { 'idempotency-key': 'new-key' };
  const body = { label: 'approved', scopes: ['accounts:read'] };
  const { body: proposal } = await bank.ask('POST', '/api/v2/api-keys', body, headers);
  const approved = await bank.second('POST', `/api/v2/proposals/${proposal.id}/approve`, {});
  assert.deepEqual([approved.body.status, 'result' in approved.body], ['approved', false]);
  const stranger = await bank.second('POST', '/api/v2/api-keys', body, headers);
  assert.deepEqual([stranger.status, stranger.body.status], [202, 'approved']);
  const created = await bank.ask('POST', '/api/v2/api-keys', body, headers);
  assert.equal(created.status, 201, created.text);
  assert.equal((await askWith(created.body.key)('GET', '/api/v2/accounts')).status, 200);
  const shown = await bank.ask('GET', `/api/v2/proposals/${proposal.id}`);
  assert.deepEqual(shown.body.result, { status: 201, location: `/api/v2/api-keys/${created.body.id}` });
  assert.equal(shown.text.includes(created.body.key), false);
  const again = await bank.ask('POST', '/api/v2/api-keys', body, headers);
  assert.deepEqual([again.body.id, again.body.key], [created.body.id, undefined]);
});

test('edits wait with the version that they mean, and policies about policies hold', async () => {
  const bank = await openBank();
  await policy(bank, 'accounts:edit');
  await policy(bank, 'accounts:freeze');
  const url = `/api/v2/accounts/${bank.sara}`;
  const etag = (await bank.ask('GET', url)).headers['etag'] ?? '';
  const edit = () => bank.ask('PATCH', url, { credit_limit: brl('50') }, { 'if-match': etag });
  const first = await edit();
  assert.equal(first.status, 202, first.text);
  assert.equal((await edit()).body.id, first.body.id);
  const done = await bank.second('POST', `/api/v2/proposals/${first.body.id}/approve`, {});
  assert.equal(done.body.status, 'executed');
  assert.equal((await bank.get(url)).credit_limit.amount, '50.00');
  const stale = await edit();
  const failed = await bank.second('POST', `/api/v2/proposals/${stale.body.id}/approve`, {});
  assert.deepEqual([failed.body.status, failed.body.result.body.code], ['failed', 'precondition_failed']);

  // What needs no key is a new proposal once the one before is decided.
  const freeze = () => bank.ask('POST', `${url}/freeze`);
  const frozen = await freeze();
  assert.equal((await freeze()).body.id, frozen.body.id);
  await bank.second('POST', `/api/v2/proposals/${frozen.body.id}/approve`, {});
  assert.equal((await bank.get(url)).status, 'frozen');
  assert.notEqual((await freeze()).body.id, frozen.body.id);

  await policy(bank, 'approval_policies:edit');
  const remove = await bank.ask('DELETE', '/api/v2/approval-policies/accounts:edit', undefined, {
    'if-match': '*',
  });
  assert.equal(remove.status, 202, remove.text);
  assert.equal((await bank.ask('GET', '/api/v2/approval-policies/accounts:edit')).status, 200);
  const removed = await bank.second('POST', `/api/v2/proposals/${remove.body.id}/approve`, {});
  assert.deepEqual([removed.body.status, removed.body.result], ['executed', { status: 204 }]);
  assert.equal((await bank.ask('GET', '/api/v2/approval-policies/accounts:edit')).status, 404);
});

test('policies are about actions that can wait, and the amounts that these have', async () => {
  const bank = await openBank();
  const put = (action: string, body: object, headers: Record<string, string> = {}) =>
    bank.ask('PUT', `/api/v2/approval-policies/${action}`, body, headers);
  const refusals: [string, object, string][] = [
    ['transfers:read', {}, 'action_not_subject'],
    ['nothing:here', {}, 'action_not_subject'],
    ['proposals:approve', {}, 'action_not_subject'],
    ['accounts:freeze', { above: [brl('1')] }, 'action_without_amount'],
    ['transfers:post', { above: [brl('1'), brl('2')] }, 'threshold_invalid'],
    ['transfers:post', { above: [brl('-1')] }, 'threshold_invalid'],
    ['transfers:post', { above: [brl('1.001')] }, 'threshold_invalid'],
    ['transfers:post', { above: [{ amount: '1', currency: 'XXQ' }] }, 'threshold_invalid'],
    ['transfers:post', { above: [] }, 'malformed_request'],
    ['transfers:post', { expires_in_s: 1 }, 'malformed_request'],
    ['*:*', {}, 'malformed_request'],
  ];
  for (const [action, body, code] of refusals)
    assert.equal((await put(action, body)).body.code, code, action);
  const made = await put('transfers:post', { above: [brl('0')], expires_in_s: 60 });
  assert.equal(made.headers['etag'], '"1"');
  assert.equal((await put('transfers:post', {})).status, 428);
  assert.equal((await put('transfers:post', {}, { 'if-match': '"2"' })).status, 412);
  const changed = await put('transfers:post', {}, { 'if-match': '"1"' });
  assert.deepEqual(
    [changed.status, 'above' in changed.body, changed.body.expires_in_s],
    [200, false, 259_200],
  );
  assert.equal((await bank.get('/api/v2/approval-policies')).data.length, 1);

  // Whoever may do what waits learns it, and of nothing else.
  const aware = await bank.get('/api/v2/self/approvals');
  assert.deepEqual(aware.data, [{ action: 'transfers:post', expires_in_s: 259_200 }]);
  const reading = await createKey(platform.running.platform, bank.scope, {
    label: 'reads',
    scopes: ['transfers:read'],
  });
  const unaware = await bank.ask('GET', '/api/v2/self/approvals', undefined, {
    authorization: `Bearer ${reading}`,
  });
  assert.deepEqual([unaware.status, unaware.body.data], [200, []]);

  // They are the tenant's own, and so is what waits.
  const other = await openBank();
  assert.deepEqual((await other.get('/api/v2/approval-policies')).data, []);
  assert.equal((await other.ask('POST', '/api/v2/transfers', transferOf(other, '900'))).status, 201);
  const { id } = await proposed(bank, '1');
  assert.equal((await other.ask('GET', `/api/v2/proposals/${id}`)).status, 404);
  for (const [verb, body] of [['approve', {}], ['reject', { reason: 'x' }], ['cancel']] as const) {
    assert.equal((await other.ask('POST', `/api/v2/proposals/${id}/${verb}`, body)).status, 404);
  }
});

test('a request that was carried out before there was a policy is told what came of it', async () => {
  const bank = await openBank();
  const headers = { 'idempotency-key': 'before' };
  const first = await bank.ask('POST', '/api/v2/transfers', transferOf(bank, '10'), headers);
  await policy(bank, 'transfers:post');
  const again = await bank.ask('POST', '/api/v2/transfers', transferOf(bank, '10'), headers);
  assert.deepEqual([again.status, again.body.id], [201, first.body.id]);

  const key = await bank.post('/api/v2/api-keys', { label: 'k' }, headers);
  await policy(bank, 'api_keys:create');
  const repeated = await bank.ask('POST', '/api/v2/api-keys', { label: 'k' }, headers);
  assert.deepEqual([repeated.status, repeated.body.id], [201, key.id]);
  // A key that another store knows is new to this one.
  const account = { name: 'A', currency: 'BRL', chart_code: '2' };
  await policy(bank, 'accounts:open');
  const opened = await bank.ask('POST', '/api/v2/accounts', account, { 'idempotency-key': 'unused' });
  assert.equal(opened.status, 202);
  const created = await bank.ask('POST', '/api/v2/api-keys', { label: 'k' }, { 'idempotency-key': 'unused' });
  assert.equal(created.body.code, 'idempotency_key_reused');
});

test('a request with a secret in its body is never kept', async () => {
  const kept: unknown[] = [];
  const service = defineService({
    name: 'identity',
    migrations: fileURLToPath(new URL('../../services/identity/migrations', import.meta.url)),
    problems: {},
    permissions: { 'providers:edit': { meaning: 'Edit providers' } },
    start: () => ({
      routes: async (app) => {
        const secret = Type.Object({ secret: Type.String({ writeOnly: true }) });
        app.put(
          '/api/v2/provider',
          {
            config: { permission: 'providers:edit' },
            schema: { summary: 'Edit', tags: ['x'], body: Type.Object({ provider: secret }) },
          },
          async ({ body }) => {
            kept.push(body);
            return {};
          },
        );
      },
      stop: () => Promise.resolve(),
    }),
  });
  const bank = await openBank();
  const other = await boot(
    readConfig({ DATABASE_URL: platform.url, PORT: '0', DEMO: 'false', LOG_LEVEL: 'error', POOL_SIZE: '3' }),
    [service],
  );
  try {
    const put = (url: string, body: object) =>
      other.app.inject({
        method: 'PUT',
        url,
        headers: { authorization: `Bearer ${bank.key}` },
        payload: body,
      });
    const body = { provider: { secret: 'hush' } };
    assert.equal((await put('/api/v2/provider', body)).statusCode, 200);
    assert.equal((await put('/api/v2/approval-policies/providers:edit', {})).statusCode, 201);
    const refused = await put('/api/v2/provider', body);
    assert.deepEqual([refused.statusCode, refused.json().code], [403, 'approval_required']);
    assert.equal(kept.length, 1);
    const { rowCount } = await superuser.query(`select from platform.proposals where body like '%hush%'`);
    assert.equal(rowCount, 0);
  } finally {
    await other.stop();
  }
});

test('what was proposed cannot be changed by the role that decides it', async () => {
  const bank = await openBank();
  await policy(bank, 'transfers:post');
  const { id } = await proposed(bank, '10');
  const client = new Client({ connectionString: platform.url, options: '-c role=platform' });
  await client.connect();
  for (const column of ['body', 'url', 'proposed_by', 'behind', 'expires_at', 'amounts']) {
    await assert.rejects(
      client.query(`update platform.proposals set ${column} = ${column} where id = $1`, [parseId('prp', id)]),
      /permission denied/,
      column,
    );
  }
  await assert.rejects(client.query('delete from platform.proposals'), /permission denied/);
  assert.equal((await client.query('select from platform.proposals')).rowCount, 0);
  await client.end();
});

test('whatever is proposed and decided, money is neither made nor lost, and what is held is what waits', async () => {
  const bank = await openBank();
  await policy(bank, 'transfers:post', { above: [brl('50')] });
  let seed = 20_261_124;
  const random = (below: number) => {
    // Numerical Recipes' linear congruential generator: the same sequence each time.
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed % below;
  };
  const waiting = new Map<string, number>();
  let moved = 0;
  for (let step = 0; step < 60; step += 1) {
    const [id, amount] = [...waiting][random(Math.max(1, waiting.size))] ?? [];
    const choice = random(id === undefined || amount === undefined ? 2 : 6);
    if (choice < 2 || id === undefined || amount === undefined) {
      const wanted = 1 + random(200);
      const { status, body } = await bank.ask('POST', '/api/v2/transfers', transferOf(bank, `${wanted}`));
      if (status === 201) moved += wanted;
      else if (status === 202) waiting.set(body.id, wanted);
      else assert.equal(body.code, 'insufficient_funds');
    } else if (choice < 4) {
      const { body } = await bank.second('POST', `/api/v2/proposals/${id}/approve`, {});
      assert.equal(body.status, 'executed');
      moved += amount;
      waiting.delete(id);
    } else {
      const [ask, verb] = choice === 4 ? [bank.second, 'reject'] : [bank.ask, 'cancel'];
      assert.equal(
        (await ask('POST', `/api/v2/proposals/${id}/${verb}`, choice === 4 ? { reason: 'r' } : undefined))
          .status,
        200,
      );
      waiting.delete(id);
    }
    const held = [...waiting.values()].reduce((sum, each) => sum + each, 0);
    assert.deepEqual(await funds(bank, bank.sara), {
      balance: (1000 - moved).toFixed(2),
      available: (1000 - moved - held).toFixed(2),
    });
    assert.equal((await funds(bank, bank.shop)).balance, moved.toFixed(2));
  }
  await assertWhole(bank);
});

/** What the outbox of a bank tells of its proposals, in order, as the superuser sees it. */
async function toldOf(bank: Bank): Promise<{ type: string; subject: string; data: Answer['body'] }[]> {
  const { rows } = await superuser.query(
    `select type, aggregateid as subject, payload::json as data from platform.outbox
     where tenant_id = $1 and type like 'platform.proposal.%' order by sequence`,
    [bank.scope.tenant_id],
  );
  return rows;
}

test('each step of a proposal is an event, once, without what was asked and without names', async () => {
  const bank = await openBank();
  await policy(bank, 'transfers:post', { above: [brl('100')] });
  const secret = { ...transferOf(bank, '123.45'), description: 'for the surgeon' };
  const { body: first } = await bank.ask('POST', '/api/v2/transfers', secret, { 'idempotency-key': 'told' });
  await bank.ask('POST', '/api/v2/transfers', secret, { 'idempotency-key': 'told' });
  for (let time = 0; time < 2; time += 1) {
    await bank.second('POST', `/api/v2/proposals/${first.id}/approve`, { reason: 'a private reason' });
  }
  const second = await proposed(bank, '200');
  await bank.second('POST', `/api/v2/proposals/${second.id}/reject`, { reason: 'a private reason' });
  const third = await proposed(bank, '200');
  await bank.ask('POST', `/api/v2/proposals/${third.id}/cancel`);
  const fourth = await proposed(bank, '200');
  await superuser.query(
    `update platform.proposals set expires_at = created_at + interval '1 microsecond', due_at = now() where id = $1`,
    [parseId('prp', fourth.id)],
  );
  await cameTo(bank, fourth.id, 'expired');
  const fifth = await proposed(bank, '200');
  await bank.second('POST', `/api/v2/accounts/${bank.shop}/freeze`);
  await bank.second('POST', `/api/v2/proposals/${fifth.id}/approve`, {});
  // Refused before it waited, and rehearsed: there is nothing to tell of.
  await bank.ask('POST', '/api/v2/transfers', transferOf(bank, '1000000'));
  await bank.ask('POST', '/api/v2/transfers?dry_run=true', transferOf(bank, '200'));

  const told = await toldOf(bank);
  assert.deepEqual(
    told.map(({ type, subject }) => [type.replace('platform.proposal.', ''), subject]),
    [
      ['created', first.id],
      ['approved', first.id],
      ['carried_out', first.id],
      ['created', second.id],
      ['rejected', second.id],
      ['created', third.id],
      ['cancelled', third.id],
      ['created', fourth.id],
      ['expired', fourth.id],
      ['created', fifth.id],
      ['approved', fifth.id],
      ['failed', fifth.id],
    ],
  );
  const { id: proposer } = first.proposed_by;
  assert.deepEqual(told[0]?.data, {
    proposal_id: first.id,
    action: 'transfers:post',
    policy: 'transfers:post',
    above: [brl('100')],
    expires_at: first.expires_at,
    proposed_by: { kind: 'key', id: proposer },
  });
  const [, , done] = told;
  assert.deepEqual([done?.data.status, done?.data.decided_by.kind], [201, 'key']);
  assert.notEqual(done?.data.decided_by.id, proposer);
  assert.equal(told.at(-1)?.data.status, 422);
  for (const word of ['surgeon', '123.45', 'private reason', 'second', bank.sara]) {
    assert.equal(JSON.stringify(told).includes(word), false, word);
  }
});

test('what waits without money set aside is told of as well', async () => {
  const bank = await openBank();
  await policy(bank, 'accounts:freeze');
  const { body } = await bank.ask('POST', `/api/v2/accounts/${bank.sara}/freeze`);
  const [told] = await toldOf(bank);
  assert.deepEqual(
    [told?.type, told?.subject, told?.data.above],
    ['platform.proposal.created', body.id, null],
  );
});

/** A hold of Sara's money for the shop. */
async function held(bank: Bank, amount: string): Promise<string> {
  const { sara, shop } = bank;
  return (
    await bank.post('/api/v2/holds', {
      debit_account_id: sara,
      credit_account_id: shop,
      amount: brl(amount),
    })
  ).id;
}

test('a capture that waits keeps its hold, which nobody captures, releases or changes meanwhile', async () => {
  const bank = await openBank();
  const id = await held(bank, '500');
  await policy(bank, 'transfers:post', { above: [brl('100')] });
  const step = (name: string, body: object, ask = bank.ask) =>
    ask('POST', `/api/v2/holds/${id}/${name}`, body);
  const waiting = await step('captures', { amount: brl('200') });
  assert.deepEqual([waiting.status, waiting.body.reserved], [202, [id]], waiting.text);
  assert.deepEqual(await funds(bank, bank.sara), { balance: '1000.00', available: '500.00' });
  for (const [name, body] of [
    ['captures', { amount: brl('1') }],
    ['releases', {}],
    ['increments', { amount: brl('1') }],
    ['extensions', { expires_at: '2999-01-01T00:00:00Z' }],
  ] as const) {
    const refused = await step(name, body);
    assert.deepEqual(
      [refused.status, refused.body.code, refused.body.reserved_for],
      [422, 'hold_reserved', waiting.body.id],
      name,
    );
  }
  const approved = await bank.second('POST', `/api/v2/proposals/${waiting.body.id}/approve`, {});
  assert.equal(approved.body.status, 'executed', approved.text);
  assert.deepEqual(await funds(bank, bank.sara), { balance: '800.00', available: '500.00' });

  // Rejected, the hold is as it was; of a rehearsal nothing is kept.
  const dry = await bank.ask('POST', `/api/v2/holds/${id}/captures?dry_run=true`, {});
  assert.equal(dry.status, 202, dry.text);
  const second = await step('captures', {});
  await bank.second('POST', `/api/v2/proposals/${second.body.id}/reject`, { reason: 'no' });
  assert.equal((await step('releases', { amount: brl('100') })).status, 201);
  assert.deepEqual(await funds(bank, bank.sara), { balance: '800.00', available: '600.00' });
  // What the ledger refuses never waits.
  assert.equal((await step('captures', { amount: brl('201') })).body.code, 'amount_exceeds_hold');
  assert.equal((await step('releases', {})).status, 201);
  assert.equal((await step('captures', {})).body.code, 'hold_closed');
  await assertWhole(bank);
});

/** Keeps the head of a bank's books locked while `meanwhile` brings requests up to it, one behind the other. */
async function whileHeadIsHeld(
  bank: Bank,
  meanwhile: (queued: () => Promise<void>) => Promise<Promise<Answer>[]>,
): Promise<Answer[]> {
  const holder = new Client({ connectionString: platform.url });
  await holder.connect();
  let waiting = 0;
  try {
    await holder.query('begin');
    await holder.query('select from ledger.heads where tenant_id = $1 for update', [bank.scope.tenant_id]);
    const asked = await meanwhile(async () => {
      waiting += 1;
      const deadline = Date.now() + 10_000;
      for (;;) {
        const { rows } = await superuser.query<{ waiting: number }>(
          `select count(*)::int as waiting from pg_stat_activity
           where datname = current_database() and wait_event_type = 'Lock' and usename = current_user
             and query ~ 'ledger.(post|heads)'`,
        );
        if ((rows[0]?.waiting ?? 0) >= waiting) return;
        assert.ok(Date.now() < deadline, `${rows[0]?.waiting} of ${waiting} requests wait`);
        await sleep(5);
      }
    });
    await holder.query('commit');
    return await Promise.all(asked);
  } finally {
    await holder.end();
  }
}

test('a hold is released before it is claimed or not at all, however close the two are', async () => {
  const bank = await openBank();
  await policy(bank, 'transfers:post', { above: [brl('100')] });
  const first = await held(bank, '400');
  const capture = (id: string) => bank.ask('POST', `/api/v2/holds/${id}/captures`, {});
  const release = (id: string) => bank.second('POST', `/api/v2/holds/${id}/releases`, {});

  // Both have looked at the hold when it was nobody's. The capture is first in the queue.
  const [claimed, late] = await whileHeadIsHeld(bank, async (queued) => {
    const proposing = capture(first);
    await queued();
    const releasing = release(first);
    await queued();
    return [proposing, releasing];
  });
  assert.equal(claimed?.status, 202, claimed?.text);
  assert.deepEqual(
    [late?.status, late?.body.code, late?.body.reserved_for],
    [422, 'hold_reserved', claimed.body.id],
  );
  assert.match(late?.body.detail, new RegExp(`^${first} stands for ${claimed.body.id}`));
  assert.equal(
    (await bank.second('POST', `/api/v2/proposals/${claimed.body.id}/approve`, {})).body.status,
    'executed',
  );

  const second = await held(bank, '400');
  const [released, refused] = await whileHeadIsHeld(bank, async (queued) => {
    const releasing = release(second);
    await queued();
    const proposing = capture(second);
    await queued();
    return [releasing, proposing];
  });
  assert.equal(released?.status, 201, released?.text);
  assert.deepEqual([refused?.status, refused?.body.code], [422, 'hold_closed']);
  await assertWhole(bank);
});

test('of captures that wait and steps of others, asked for at the same time, each hold has one', async () => {
  const bank = await openBank();
  await policy(bank, 'transfers:post', { above: [brl('100')] });
  for (let round = 0; round < 25; round += 1) {
    const id = await held(bank, '200');
    const on = `/api/v2/holds/${id}`;
    const [capture, ...steps] = await Promise.all([
      bank.ask('POST', `${on}/captures`, {}),
      bank.second('POST', `${on}/releases`, {}),
      bank.second('POST', `${on}/captures`, { amount: brl('200') }),
    ]);
    const proposed = [capture, steps[1]].filter((answer) => answer?.status === 202);
    const released = steps[0]?.status === 201;
    assert.equal(
      proposed.length + (released ? 1 : 0),
      1,
      JSON.stringify([capture, ...steps].map((a) => a?.body)),
    );
    const { remaining, status } = await bank.get(on);
    assert.deepEqual([status, remaining], released ? ['released', brl('0.00')] : ['active', brl('200.00')]);
    for (const answer of proposed) await bank.ask('POST', `/api/v2/proposals/${answer?.body.id}/cancel`);
    for (const answer of proposed) await bank.second('POST', `/api/v2/proposals/${answer?.body.id}/cancel`);
    if (!released) assert.equal((await bank.second('POST', `${on}/releases`, {})).status, 201);
  }
  await assertWhole(bank);
});

test('a capture whose process died while its hold was claimed, or after it was done, comes to the same', async () => {
  const bank = await openBank();
  const id = await held(bank, '500');
  await policy(bank, 'transfers:post');
  const capture = (key: string) =>
    bank.ask('POST', `/api/v2/holds/${id}/captures`, { amount: brl('200') }, { 'idempotency-key': key });
  const leave = async (proposal: string, changes: string) =>
    superuser.query(`update platform.proposals set ${changes}, due_at = now() where id = $1`, [
      parseId('prp', proposal),
    ]);
  const first = await capture('first');
  await leave(first.body.id, `status = 'reserving'`);
  const deadline = Date.now() + 10_000;
  let again = await capture('second');
  while (again.status !== 202) {
    assert.ok(Date.now() < deadline, again.text);
    await sleep(20);
    again = await capture('second');
  }
  await bank.second('POST', `/api/v2/proposals/${again.body.id}/approve`, {});
  await leave(again.body.id, `status = 'approved', result = null`);
  await cameTo(bank, again.body.id, 'executed');
  assert.deepEqual(await funds(bank, bank.shop), { balance: '200.00', available: '200.00' });
  const { rowCount } = await superuser.query('select from ledger.hold_claims where tenant_id = $1', [
    bank.scope.tenant_id,
  ]);
  assert.equal(rowCount, 0);
});

test('holds that wait to be placed or incremented have their money set aside', async () => {
  const bank = await openBank();
  const small = await held(bank, '50');
  await policy(bank, 'holds:place', { above: [brl('100')] });
  const { sara, shop } = bank;
  const place = (amount: string) =>
    bank.ask('POST', '/api/v2/holds', {
      debit_account_id: sara,
      credit_account_id: shop,
      amount: brl(amount),
    });
  assert.equal((await place('950.01')).body.code, 'insufficient_funds');
  const waiting = await place('600');
  assert.deepEqual([waiting.status, waiting.body.reserved.length], [202, 1], waiting.text);
  assert.deepEqual(await funds(bank, sara), { balance: '1000.00', available: '350.00' });
  const placed = await bank.second('POST', `/api/v2/proposals/${waiting.body.id}/approve`, {});
  assert.equal(placed.body.status, 'executed', placed.text);
  assert.equal((await bank.get(placed.body.result.location)).remaining.amount, '600.00');
  assert.deepEqual(await funds(bank, sara), { balance: '1000.00', available: '350.00' });

  const increment = (amount: string) =>
    bank.ask('POST', `/api/v2/holds/${small}/increments`, { amount: brl(amount) });
  assert.equal((await increment('350.01')).body.code, 'insufficient_funds');
  const more = await increment('300');
  assert.equal(more.status, 202, more.text);
  assert.deepEqual(await funds(bank, sara), { balance: '1000.00', available: '50.00' });
  const done = await bank.second('POST', `/api/v2/proposals/${more.body.id}/approve`, {});
  assert.equal(done.body.status, 'executed', done.text);
  assert.equal((await bank.get(`/api/v2/holds/${small}`)).remaining.amount, '350.00');
  assert.deepEqual(await funds(bank, sara), { balance: '1000.00', available: '50.00' });

  await bank.ask('POST', `/api/v2/holds/${small}/releases`, {});
  const third = await place('200');
  await bank.second('POST', `/api/v2/proposals/${third.body.id}/reject`, { reason: 'no' });
  assert.deepEqual(await funds(bank, sara), { balance: '1000.00', available: '400.00' });
  await assertWhole(bank);
});

test('in a sandbox whose clock is ahead money is set aside as long as the proposal waits', async () => {
  const bank = await openBank();
  await policy(bank, 'transfers:post', { expires_in_s: 3_600 });
  const moved = await bank.ask('POST', '/api/v2/sandbox/clock/advance', { seconds: 86_400 });
  assert.ok(moved.status < 300, moved.text);
  const { id, expires_at, reserved } = await proposed(bank, '600');
  const hold = await bank.get(`/api/v2/holds/${reserved[0]}`);
  assert.equal(Date.parse(hold.expires_at) - Date.parse(expires_at), 86_400_000);
  assert.equal((await funds(bank, bank.sara)).available, '400.00');
  const approved = await bank.second('POST', `/api/v2/proposals/${id}/approve`, {});
  assert.equal(approved.body.status, 'executed', approved.text);
  assert.deepEqual(await funds(bank, bank.sara), { balance: '400.00', available: '400.00' });
});

test('of what v1 sets, only what a policy covers is refused', async () => {
  const bank = await openBank();
  const open = (balance: number, headers: Record<string, string> = {}) =>
    bank.ask('POST', '/api/v1/accounts', { name: 'Old', balance }, headers);
  const before = { 'idempotency-key': 'before-the-policy' };
  const big = (await open(5_000, before)).body.id;
  const small = (await open(80)).body.id;
  await policy(bank, 'transfers:post', { above: [brl('100')] });
  const put = (id: number, balance: number, name = 'Old') =>
    bank.ask('PUT', `/api/v1/accounts/${id}`, { name, balance });
  const refused = async (asked: Promise<Answer>) => {
    const { status, body } = await asked;
    assert.deepEqual([status, body?.code], [403, 'approval_required']);
  };

  // What counts is by how much the balance changes, up or down.
  assert.equal((await put(big, 5_100)).status, 204);
  assert.equal((await put(big, 5_000)).status, 204);
  await refused(put(big, 5_100.01));
  await refused(put(big, 4_899.99));
  assert.equal((await put(big, 5_000, 'Renamed')).status, 204);
  assert.equal((await open(100)).status, 201);
  await refused(open(100.01));
  await refused(bank.ask('DELETE', `/api/v1/accounts/${big}`));
  assert.equal((await bank.ask('DELETE', `/api/v1/accounts/${small}`)).status, 204);
  // What is nowhere, or no amount, is answered as ever.
  assert.equal((await put(999_999, 1_000)).status, 404);
  assert.equal((await bank.ask('DELETE', '/api/v1/accounts/none')).status, 404);
  assert.equal((await put(big, -1)).status, 400);
  // What was done before there was a policy is told again.
  const again = await open(5_000, before);
  assert.deepEqual([again.status, again.body.id, again.headers['idempotent-replayed']], [201, big, 'true']);

  // A policy about every transfer is about none where no money moves; one about setting balances is about each.
  const one = await bank.ask('PUT', '/api/v2/approval-policies/transfers:post', {}, { 'if-match': '*' });
  assert.equal(one.status, 200, one.text);
  assert.equal((await put(big, 5_000, 'Renamed again')).status, 204);
  await refused(put(big, 5_000.01, 'Renamed again'));
  assert.equal((await open(0)).status, 201);
  await policy(bank, 'accounts:adjust');
  await refused(put(big, 5_000, 'Old'));
  await refused(open(0));
  assert.equal((await funds(bank, bank.sara)).balance, '1000.00');
  await assertWhole(bank);
});

test('a balance that moves while the policies are asked is not set past them', async () => {
  const bank = await openBank();
  const { id } = (await bank.ask('POST', '/api/v1/accounts', { name: 'Old', balance: 500 })).body;
  await policy(bank, 'transfers:post', { above: [brl('100')] });
  const headers = { 'idempotency-key': 'set' };
  const set = () => bank.ask('PUT', `/api/v1/accounts/${id}`, { name: 'Old', balance: 550 }, headers);
  const { tenant_id } = bank.scope;
  const raise = (by: number) =>
    superuser.query(
      `update ledger.accounts set credits_posted = credits_posted + $2 where tenant_id = $1 and name = 'Old'`,
      [tenant_id, by],
    );
  // The request is measured, and then waits for the head of the books, which somebody has who moves the balance.
  await superuser.query('begin');
  await superuser.query(`select from ledger.heads where tenant_id = $1 for update`, [tenant_id]);
  const asked = set();
  const deadline = Date.now() + 5_000;
  for (;;) {
    const { rowCount } = await superuser.query(
      `select from pg_stat_activity
       where datname = current_database() and wait_event_type = 'Lock' and pid <> pg_backend_pid()`,
    );
    if (rowCount !== 0) break;
    assert.ok(Date.now() < deadline, 'nobody waits for the head');
    await sleep(5);
  }
  await raise(20_000);
  await superuser.query('commit');
  const moved = await asked;
  assert.deepEqual([moved.status, moved.body.code], [503, 'unavailable'], moved.text);
  assert.equal((await set()).body.code, 'approval_required');
  await raise(-20_000);
  assert.equal((await set()).status, 204);
  await assertWhole(bank);
});
