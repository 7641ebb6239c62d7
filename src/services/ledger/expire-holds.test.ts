import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { Client } from 'pg';
import { pino } from 'pino';
import { type Database, openDatabase } from '../../platform/db.ts';
import { parseId } from '../../platform/ids.ts';
import { openLog } from '../../platform/log.ts';
import { type Answer, openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';
import { expireDueHolds, scopesWithDueHolds } from './expire-holds.ts';
import { openPostingQueue, type PostingQueue } from './posting.ts';

let platform: TestPlatform;
let bank: TestTenant;
let superuser: Client;
let debit: string;
let credit: string;

const brl = (amount: string) => ({ amount, currency: 'BRL' });

before(async () => {
  // What is made to fail here is logged as an error, and would look like one of the test.
  platform = await openTestPlatform({ LOG_LEVEL: 'fatal' });
  superuser = new Client({ connectionString: platform.url });
  await superuser.connect();
});
after(async () => {
  await superuser.end();
  await platform.close();
});

beforeEach(async () => {
  bank = await platform.newTenant();
  await bank.post('/api/v2/chart-of-accounts', { code: '1100', name: 'Cash', type: 'asset' });
  await bank.post('/api/v2/chart-of-accounts', { code: '2100', name: 'Deposits', type: 'liability' });
  const open = async (options: object) =>
    (await bank.post('/api/v2/accounts', { name: 'A', currency: 'BRL', chart_code: '2100', ...options })).id;
  const cash = await open({ chart_code: '1100', credit_limit: null });
  debit = await open({});
  credit = await open({});
  await bank.post('/api/v2/transfers', {
    debit_account_id: cash,
    credit_account_id: debit,
    amount: brl('1000.00'),
  });
});

async function place(options: object = {}): Promise<string> {
  const { id } = await bank.post('/api/v2/holds', {
    debit_account_id: debit,
    credit_account_id: credit,
    amount: brl('1.00'),
    expires_at: '2999-01-01T00:00:00Z',
    ...options,
  });
  return id;
}

/** Lets the time of holds have come, without waiting for it. */
async function makeDue(ids: readonly string[]): Promise<void> {
  const { rowCount } = await superuser.query(
    "update ledger.holds set expires_at = clock_timestamp() - interval '1 millisecond' where id = any($1)",
    [ids.map((id) => parseId('hld', id))],
  );
  assert.equal(rowCount, ids.length);
}

/** Waits for something that comes within about a second, and gives up only after many. */
async function eventually<T>(look: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error('it did not happen within 30 seconds');
    await setTimeout(50);
  }
}

function expired(id: string): Promise<Answer['body']> {
  return eventually(async () => {
    const hold = await bank.get(`/api/v2/holds/${id}`);
    return hold.status === 'expired' ? hold : undefined;
  });
}

async function codeOf(request: Promise<Answer>): Promise<string> {
  return (await request).body.code;
}

/** Holds of the bank, how many have expired, and the steps that did it. */
async function expiries(): Promise<object> {
  const { rows } = await superuser.query(
    `select count(distinct h.id)::int as holds, count(distinct s.hold_id)::int as expired, count(s.hold_id)::int as steps
     from ledger.holds h left join ledger.hold_steps s on s.hold_id = h.id and s.kind = 'expire'
     where h.tenant_id = $1`,
    [bank.scope.tenant_id],
  );
  return rows[0];
}

interface HoldExpiry {
  stop: () => Promise<void>;
}

/** Expires what is due of everybody, again and again, held back by no lock of the job: as if two processes had it. */
function startHoldExpiry(
  books: { db: Database; posting: PostingQueue },
  log: ReturnType<typeof openLog>,
): HoldExpiry {
  const stopping = new AbortController();
  const { signal } = stopping;
  const run = async () => {
    while (!signal.aborted) {
      try {
        for (const scope of await scopesWithDueHolds(books))
          await expireDueHolds(books, scope, { signal, log });
      } catch (error) {
        if (!signal.aborted) log.error({ err: error }, 'due holds could not be looked for');
      }
      await setTimeout(100);
    }
  };
  const running = run();
  return {
    stop: () => {
      stopping.abort();
      return running;
    },
  };
}

/** A loop with a database and queue of its own, as another process has, beside that of the platform. */
function anotherProcess(log = openLog('fatal')): { db: Database; posting: PostingQueue; expiry: HoldExpiry } {
  const db = openDatabase({
    url: platform.url,
    role: 'ledger',
    pool_size: 2,
    statement_timeout_ms: 30_000,
    lock_timeout_ms: 30_000,
    onError: (error) => assert.fail(error),
  });
  const posting = openPostingQueue(db, { queue_limit: 1_000, batch_limit: 1_000, retry_for_ms: 30_000 });
  return { db, posting, expiry: startHoldExpiry({ db, posting }, log) };
}

/** Keeps the loop from finding anything while `work` runs. */
async function withoutExpiry(work: () => Promise<void>): Promise<void> {
  const rights = (verb: string) =>
    superuser.query(
      `${verb} execute on function ledger.scopes_with_due_holds ${verb === 'grant' ? 'to' : 'from'} ledger`,
    );
  await rights('revoke');
  // A pass that had begun before could still be at work.
  await setTimeout(100);
  try {
    await work();
  } finally {
    await rights('grant');
  }
}

/** Holds the head of the bank's books while `work` runs, so that every posting to it waits. */
async function withHeadLocked(work: () => Promise<void>): Promise<void> {
  const blocker = new Client({ connectionString: platform.url });
  await blocker.connect();
  try {
    await blocker.query('begin');
    await blocker.query('select from ledger.heads where tenant_id = $1 for update', [bank.scope.tenant_id]);
    await work();
    await blocker.query('commit');
  } finally {
    await blocker.end();
  }
}

async function waitingPostings(): Promise<number> {
  const { rows } = await superuser.query(
    `select count(*)::int as waiting from pg_stat_activity
     where datname = current_database() and wait_event_type = 'Lock' and query like '%ledger.post(%'`,
  );
  return rows[0].waiting;
}

test('when its time has come, what remains of a hold is released by itself', async () => {
  const expires_at = new Date(Date.now() + 3_000).toISOString().replace(/\.?0*Z$/, 'Z');
  const id = await place({ amount: brl('30.00'), expires_at });
  const url = `/api/v2/holds/${id}`;
  await bank.post(`${url}/captures`, { amount: brl('10.00') });
  const hold = await expired(id);
  assert.deepEqual(
    [hold.amount, hold.captured, hold.released, hold.remaining],
    [brl('30.00'), brl('10.00'), brl('20.00'), brl('0.00')],
  );
  assert.equal(hold.expires_at, expires_at);
  assert.ok(hold.updated_at >= expires_at, `${hold.updated_at} is before ${expires_at}`);
  const step = hold.steps[2];
  assert.deepEqual([step.step, step.kind, step.pending_change], [3, 'expire', brl('-20.00')]);
  const account = await bank.get(`/api/v2/accounts/${debit}`);
  assert.deepEqual([account.balance, account.available], [brl('990.00'), brl('990.00')]);
  assert.deepEqual((await bank.get('/api/v2/holds?status=expired')).data, [hold]);

  const { rows } = await superuser.query(
    'select type, position::int, payload::json as data from ledger.outbox where aggregateid = $1 order by sequence desc limit 1',
    [parseId('hld', id)],
  );
  const [event] = rows;
  assert.deepEqual([event.type, event.position], ['ledger.hold.expired', step.position]);
  assert.deepEqual(
    [event.data.id, event.data.status, event.data.released, event.data.expires_at],
    [id, 'expired', brl('20.00'), expires_at],
  );

  for (const [path, body] of [
    ['increments', { amount: brl('1.00') }],
    ['extensions', { expires_at: '2999-01-01T00:00:00Z' }],
    ['captures', {}],
    ['releases', {}],
  ] as const) {
    assert.equal(await codeOf(bank.ask('POST', `${url}/${path}`, body)), 'hold_expired', path);
  }
  assert.deepEqual(await bank.get(url), hold);
});

test('past its time a hold can only be released, even if nothing has expired it yet', async () => {
  const [id, other] = [await place({ amount: brl('30.00') }), await place()];
  const url = `/api/v2/holds/${id}`;
  await withoutExpiry(async () => {
    await makeDue([id, other]);
    for (const [path, body] of [
      ['increments', { amount: brl('1.00') }],
      ['extensions', { expires_at: '2999-01-01T00:00:00Z' }],
      ['captures', {}],
      ['captures', { amount: brl('0.01') }],
    ] as const) {
      assert.equal(await codeOf(bank.ask('POST', `${url}/${path}`, body)), 'hold_expired', path);
    }
    assert.equal((await bank.post(`${url}/releases`, { amount: brl('4.00') })).status, 'active');
    const hold = await bank.get(url);
    assert.deepEqual([hold.status, hold.steps.length], ['active', 2]);
    // Still held until it is expired or released.
    assert.equal((await bank.get(`/api/v2/accounts/${debit}`)).available.amount, '973.00');
    assert.equal((await bank.post(`/api/v2/holds/${other}/releases`, {})).status, 'released');
  });
  assert.deepEqual((await expired(id)).released, brl('30.00'));
  assert.deepEqual(await expiries(), { holds: 2, expired: 1, steps: 1 });
});

test('holds without an end, not yet due, extended or closed are left alone', async () => {
  const extended = await place();
  const closed = await place();
  const left = [await place({ expires_at: undefined }), await place()];
  await bank.post(`/api/v2/holds/${closed}/captures`, {});
  await makeDue([closed]);
  await withoutExpiry(async () => {
    await makeDue([extended]);
    await superuser.query("update ledger.holds set expires_at = '2999-01-01' where id = $1", [
      parseId('hld', extended),
    ]);
  });
  // What is due was expired, so the loop has been round since.
  const due = await place();
  await makeDue([due]);
  await expired(due);
  for (const id of [...left, extended])
    assert.equal((await bank.get(`/api/v2/holds/${id}`)).status, 'active');
  assert.equal((await bank.get(`/api/v2/holds/${closed}`)).status, 'captured');
});

test('holds of frozen accounts expire too, and those of every tenant and environment', async () => {
  const id = await place();
  await bank.post(`/api/v2/accounts/${debit}/freeze`);
  await bank.post(`/api/v2/accounts/${credit}/freeze`);
  const live = await platform.newTenant('live');
  await live.post('/api/v2/chart-of-accounts', { code: '1', name: 'All', type: 'asset' });
  const open = async () =>
    (await live.post('/api/v2/accounts', { name: 'A', currency: 'JPY', chart_code: '1', credit_limit: null }))
      .id;
  const other = await live.post('/api/v2/holds', {
    debit_account_id: await open(),
    credit_account_id: await open(),
    amount: { amount: '5', currency: 'JPY' },
    expires_at: '2999-01-01T00:00:00Z',
  });
  await makeDue([id, other.id]);
  await expired(id);
  await eventually(async () =>
    (await live.get(`/api/v2/holds/${other.id}`)).status === 'expired' ? true : undefined,
  );
});

test('more holds than a pass takes, and two processes at it: each is expired once', async () => {
  const HOLDS = 230;
  const { db, expiry } = anotherProcess();
  try {
    const ids = await Promise.all(Array.from({ length: HOLDS }, () => place()));
    await withHeadLocked(async () => {
      await makeDue(ids);
      // Both have found the same holds and are about to expire them.
      await eventually(async () => ((await waitingPostings()) >= 2 ? true : undefined));
    });
    await eventually(async () => {
      const { data } = await bank.get('/api/v2/holds?status=active');
      return data.length === 0 ? true : undefined;
    });
    assert.deepEqual(await expiries(), { holds: HOLDS, expired: HOLDS, steps: HOLDS });
    const account = await bank.get(`/api/v2/accounts/${debit}`);
    assert.deepEqual([account.available, account.debits_pending], [brl('1000.00'), brl('0.00')]);
  } finally {
    await expiry.stop();
    await db.close();
  }
});

test('the keys of the system are none that a client could use first', async () => {
  const id = await place();
  await makeDue([id]);
  await expired(id);
  const { rows } = await superuser.query(
    "select key, operation from ledger.attempts where tenant_id = $1 and operation = 'system:expire'",
    [bank.scope.tenant_id],
  );
  assert.equal(rows.length, 1);
  const [{ key }] = rows;
  assert.match(key, new RegExp(`^expire ${parseId('hld', id)} `));
  const taken = await bank.ask('POST', `/api/v2/holds/${id}/releases`, {}, { 'idempotency-key': key });
  assert.equal(taken.status, 400);
});

test('expiring is refused before the time, and that refusal does not stand in the way when it has come', async () => {
  const id = await place();
  const uuid = parseId('hld', id) ?? '';
  const { db, posting, expiry } = anotherProcess();
  try {
    await expiry.stop();
    const leg = { amount: 0n, currency: 'BRL' };
    const expire = async () => {
      const [outcome] = await posting.submit(bank.scope, [
        {
          id: crypto.randomUUID(),
          kind: 'expire',
          key: 'the same',
          item: 0,
          operation: 'system:expire',
          request: '{}',
          ref: uuid,
          event: '{"step": {}, "unit": {"amount": "0.01", "currency": "BRL"}}',
          legs: [
            { ...leg, account_id: parseId('acc', debit) ?? '', side: 'debit' },
            { ...leg, account_id: parseId('acc', credit) ?? '', side: 'credit' },
          ],
        },
      ]);
      return outcome;
    };
    assert.equal((await expire())?.code, 'hold_not_due');
    assert.equal((await bank.get(`/api/v2/holds/${id}`)).status, 'active');
    await withoutExpiry(async () => {
      await makeDue([id]);
      const done = await expire();
      assert.deepEqual([done?.code, done?.replayed], [null, false]);
      const again = await expire();
      assert.deepEqual([again?.code, again?.replayed, again?.position], [null, true, done?.position]);
    });
    assert.deepEqual(await expiries(), { holds: 1, expired: 1, steps: 1 });
  } finally {
    await db.close();
  }
});

test('stopping waits for the pass under way, and none follows it', async () => {
  const id = await place();
  const { db, expiry } = anotherProcess();
  let stopped = false;
  let stopping: Promise<void> | undefined;
  await withHeadLocked(async () => {
    await makeDue([id]);
    // The platform's own loop and this one.
    await eventually(async () => ((await waitingPostings()) >= 2 ? true : undefined));
    stopping = expiry.stop().then(() => {
      stopped = true;
    });
    await setTimeout(100);
    assert.equal(stopped, false);
  });
  await stopping;
  assert.equal(stopped, true);
  await db.close();
  assert.equal((await bank.get(`/api/v2/holds/${id}`)).status, 'expired');
  assert.deepEqual(await expiries(), { holds: 1, expired: 1, steps: 1 });
});

test('what fails is logged and tried again', async () => {
  const id = await place();
  const lines: string[] = [];
  const log = pino({ level: 'error' }, { write: (line) => lines.push(line) });
  const { db, expiry } = anotherProcess(log);
  await withoutExpiry(async () => {
    await makeDue([id]);
    await eventually(async () => (lines.length >= 2 ? true : undefined));
  });
  assert.match(lines[0] ?? '', /permission denied.*due holds could not be looked for/);
  await expired(id);
  await expiry.stop();
  await db.close();
});
