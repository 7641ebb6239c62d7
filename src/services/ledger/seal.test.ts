import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { Client } from 'pg';
import { pino } from 'pino';
import { Type } from 'typebox';
import { type Database, openDatabase, type Scope } from '../../platform/db.ts';
import { newUuid } from '../../platform/ids.ts';
import type { FreshDatabase } from '../../platform/testing.ts';
import { migratedDatabase } from '../../testing.ts';
import { checkIntegrity } from './integrity.ts';
import { type Command, openPostingQueue, type PostingQueue } from './posting.ts';
import { sealAll, startSealing } from './seal.ts';

// Without the server, which would seal by itself.
let database: FreshDatabase;
let superuser: Client;
let other: Client;
let db: Database;
let posting: PostingQueue;
let scope: Scope;
let accounts: [string, string];

before(async () => {
  database = await migratedDatabase();
  superuser = new Client({ connectionString: database.url });
  other = new Client({ connectionString: database.url });
  await superuser.connect();
  await other.connect();
  db = openDatabase({
    url: database.url,
    role: 'ledger',
    pool_size: 5,
    statement_timeout_ms: 5_000,
    lock_timeout_ms: 3_000,
    onError: () => {},
  });
  posting = openPostingQueue(db, { queue_limit: 10_000, batch_limit: 100, retry_for_ms: 1_000 });
});
after(async () => {
  await posting.drain();
  await db.close();
  await superuser.end();
  await other.end();
  await database.drop();
});
beforeEach(async () => {
  ({ scope, accounts } = await openBooks());
});

async function openBooks(): Promise<{ scope: Scope; accounts: [string, string] }> {
  const scope: Scope = { tenant_id: newUuid(), environment: 'live' };
  const accounts: [string, string] = [newUuid(), newUuid()];
  const { tenant_id, environment } = scope;
  await db.write(scope, async (tx) => {
    await tx.run(
      `insert into ledger.chart_of_accounts (tenant_id, environment, code, name, type) values ($1, $2, '2', 'D', 'liability')`,
      [tenant_id, environment],
    );
    await tx.run(
      `insert into ledger.accounts (tenant_id, environment, id, number, type, currency, chart_code, name)
       select $1, $2, id, number, 'liability', 'BRL', '2', 'A' from unnest($3::uuid[]) with ordinality a (id, number)`,
      [tenant_id, environment, accounts],
    );
  });
  return { scope, accounts };
}

function command(): Command {
  const [debit, credit] = accounts;
  const leg = { amount: 100n, currency: 'BRL' };
  return {
    id: newUuid(),
    kind: 'transfer',
    key: newUuid(),
    item: 0,
    operation: 'test',
    request: '{}',
    event: '{}',
    legs: [
      { account_id: debit, side: 'debit', ...leg },
      { account_id: credit, side: 'credit', ...leg },
    ],
  };
}

async function post(count: number): Promise<void> {
  const outcomes = await posting.submit(scope, Array.from({ length: count }, command));
  assert.ok(outcomes.every(({ code }) => code === null));
}

async function seals(): Promise<{ first: number; last: number; digests: number }[]> {
  const { rows } = await superuser.query(
    `select first_position::integer as first, last_position::integer as last, length(digests) as digests
     from ledger.seals where tenant_id = $1 order by last_position`,
    [scope.tenant_id],
  );
  return rows;
}

/** Runs statements past triggers and rules. */
async function tamper(sql: string, parameters: unknown[]): Promise<void> {
  await superuser.query('begin');
  await superuser.query("set local session_replication_role = 'replica'");
  await superuser.query(sql, parameters);
  await superuser.query('commit');
}

test('what was posted is sealed in blocks that follow one another', async () => {
  assert.equal(await sealAll(db, scope), 0);
  await post(3);
  assert.equal(await sealAll(db, scope), 3);
  assert.equal(await sealAll(db, scope), 0);
  await post(2_000);
  assert.equal(await sealAll(db, scope), 2_000);
  assert.deepEqual(await seals(), [
    { first: 1, last: 3, digests: 24 },
    { first: 4, last: 1_003, digests: 8_000 },
    { first: 1_004, last: 2_003, digests: 8_000 },
  ]);
});

const sha256 = (...parts: (string | Buffer)[]) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};
const int8 = (value: bigint) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
};

test('digests and hash are these, whatever the session and the version of PostgreSQL', async () => {
  const id = (last: string) => `01900000-0000-7000-8000-00000000000${last}`;
  const tenant_id = newUuid();
  await tamper(
    `with t as (
       insert into ledger.transfers (tenant_id, environment, position, id, created_at, effective_date, kind, description, metadata, hold_id)
       values ($1, 'live', 1, $2, '2026-01-02 03:04:05.000067+00', '2026-01-31', 'transfer', E'caf\\u00e9 "1"\\n', '{"b":"2","aa":"1"}', null),
              ($1, 'live', 3, $3, '2026-07-01 00:00:00+00', '2026-07-01', 'capture', null, null, $4))
     insert into ledger.entries (tenant_id, environment, position, leg, account_id, side, amount, currency, balance, effective_date)
     values ($1, 'live', 1, 2, $6, 'credit', 9223372036854775807, 'BRL', -5, '2026-01-31'),
            ($1, 'live', 1, 1, $5, 'debit', 9223372036854775807, 'BRL', 0, '2026-01-31')`,
    [tenant_id, id('1'), id('3'), id('2'), id('a'), id('b')],
  );
  await tamper(
    `with h as (
       insert into ledger.holds (tenant_id, environment, id, debit_account_id, credit_account_id, amount, created_at, updated_at, currency, description)
       values ($1, 'live', $2, $4, $5, 7, '2026-06-30 23:59:59.5+00', now(), 'BRL', ''))
     insert into ledger.hold_steps (tenant_id, environment, position, id, hold_id, step, kind, pending_change, created_at, amount_after, captured_after, released_after, expires_at)
     values ($1, 'live', 2, $2, $2, 1, 'place', 7, '2026-06-30 23:59:59.5+00', 7, 0, 0, '2026-12-24 18:00:00+00'),
            ($1, 'live', 3, $3, $2, 2, 'capture', -7, '2026-07-01 00:00:00+00', 7, 7, 0, null)`,
    [tenant_id, id('2'), id('3'), id('a'), id('b')],
  );
  await superuser.query(
    `insert into ledger.heads (tenant_id, environment, position) values ($1, 'live', 3)`,
    [tenant_id],
  );
  const texts = [
    `[1, ["${id('1')}", "transfer", 1767323045.000067, "2026-01-31", "café \\"1\\"\\n", {"b": "2", "aa": "1"}, null, null, null, null], ` +
      `[[1, "${id('a')}", "debit", 9223372036854775807, "BRL", 0, "2026-01-31", null], ` +
      `[2, "${id('b')}", "credit", 9223372036854775807, "BRL", -5, "2026-01-31", null]], null]`,
    `[2, null, null, ["${id('2')}", "${id('2')}", 1, "place", 7, 1782863999.500000, 7, 0, 0, 1798135200.000000, ` +
      `["${id('a')}", "${id('b')}", "BRL", "", null, 1782863999.500000]]]`,
    `[3, ["${id('3')}", "capture", 1782864000.000000, "2026-07-01", null, null, null, "${id('2')}", null, null], null, ` +
      `["${id('3')}", "${id('2')}", 2, "capture", -7, 1782864000.000000, 7, 7, 0, null, null]]`,
  ];
  const digests = texts.map((text) => sha256(text));
  const client = new Client({
    connectionString: database.url,
    options:
      '-c timezone=Asia/Kathmandu -c datestyle=SQL,DMY -c intervalstyle=sql_standard -c bytea_output=escape -c extra_float_digits=-15',
  });
  await client.connect();
  try {
    const { rows } = await client.query(
      `select encode(digest, 'hex') as digest from ledger.digests($1, 'live', 1, 3) order by position`,
      [tenant_id],
    );
    assert.deepEqual(
      rows.map(({ digest }) => digest),
      digests.map((digest) => digest.toString('hex')),
    );
    await client.query(`select ledger.seal($1, 'live')`, [tenant_id]);
    const { rows: sealed } = await client.query(
      `select encode(hash, 'hex') as hash, encode(digests, 'hex') as digests from ledger.seals where tenant_id = $1`,
      [tenant_id],
    );
    assert.deepEqual(sealed, [
      {
        hash: sha256(sha256(`${tenant_id}/live`), int8(1n), int8(3n), ...digests).toString('hex'),
        digests: Buffer.concat(digests.map((digest) => digest.subarray(0, 8))).toString('hex'),
      },
    ]);
  } finally {
    await client.end();
  }
});

test('sealing does not wait for who holds the head, nor anybody for it', async () => {
  await post(5);
  await superuser.query('begin');
  await superuser.query('select from ledger.heads where tenant_id = $1 for update', [scope.tenant_id]);
  assert.equal(await sealAll(db, scope), 5);
  await superuser.query('rollback');

  await post(5);
  await other.query('begin');
  const { rows } = await other.query('select ledger.seal($1, $2) as sealed', [
    scope.tenant_id,
    scope.environment,
  ]);
  assert.equal(rows[0].sealed, '5');
  await post(5);
  // A second sealer leaves it to the first.
  assert.equal(await sealAll(db, scope), 0);
  await other.query('commit');
  assert.equal(await sealAll(db, scope), 5);
  assert.deepEqual(
    (await seals()).map(({ first, last }) => [first, last]),
    [
      [1, 5],
      [6, 10],
      [11, 15],
    ],
  );
});

test('sealed by several at once while posting goes on, the chain is whole', async () => {
  const written = new AbortController();
  const writers = Promise.all(
    Array.from({ length: 8 }, async () => {
      for (let round = 0; round < 25; round += 1) await post(5);
    }),
  ).finally(() => written.abort());
  const sealers = Promise.all(
    Array.from({ length: 2 }, async () => {
      while (!written.signal.aborted) await sealAll(db, scope);
    }),
  );
  await writers;
  await sealers;
  await sealAll(db, scope);
  const report = await checkIntegrity(db, scope, { deep: true });
  assert.deepEqual(
    report.checks.flatMap(({ findings }) => findings),
    [],
  );
  assert.equal(report.sealed_position, 1_000);
  assert.ok((await seals()).length > 1);
});

test('finding the last seal takes no longer the more there are', async () => {
  await tamper(
    `with head as (insert into ledger.heads (tenant_id, environment, position) values ($1, $2, 20000))
     insert into ledger.seals (tenant_id, environment, first_position, last_position, digests, hash)
     select $1, $2, n, n, '', sha256('') from generate_series(1, 20000) n`,
    [scope.tenant_id, scope.environment],
  );
  const pagesRead = async (call: string) => {
    const { rows } = await superuser.query(`explain (analyze, buffers, format json) select ${call}`);
    return (
      rows[0]['QUERY PLAN'][0].Plan['Shared Hit Blocks'] + rows[0]['QUERY PLAN'][0].Plan['Shared Read Blocks']
    );
  };
  for (const call of [`ledger.seal('${scope.tenant_id}', 'live')`, 'ledger.scopes_to_seal()']) {
    await pagesRead(call);
    const pages = await pagesRead(call);
    assert.ok(pages < 100, `${call} reads ${pages} pages`);
  }
});

test('nothing is sealed over a position that is missing', async () => {
  await post(5);
  await tamper('delete from ledger.transfers where tenant_id = $1 and position = 3', [scope.tenant_id]);
  await assert.rejects(
    sealAll(db, scope),
    /positions 1 to 5 of tenant .* cannot be sealed: 1 of them are missing/,
  );
  assert.deepEqual(await seals(), []);
});

test('the role of the service can neither write nor change seals', async () => {
  await post(1);
  await sealAll(db, scope);
  for (const sql of [
    'delete from ledger.seals',
    `update ledger.seals set hash = sha256('')`,
    `insert into ledger.seals (tenant_id, environment, first_position, last_position, digests, hash)
     select tenant_id, environment, 2, 2, digests, hash from ledger.seals`,
  ]) {
    await assert.rejects(
      db.write(scope, (tx) => tx.run(sql)),
      /permission denied/,
      sql,
    );
  }
  await assert.rejects(superuser.query('delete from ledger.seals'), /append-only/);
});

test('all ledgers are sealed by themselves, and one that cannot be holds up no other', async () => {
  await post(3);
  await tamper('delete from ledger.transfers where tenant_id = $1 and position = 2', [scope.tenant_id]);
  const broken = scope;
  ({ scope, accounts } = await openBooks());
  await post(3);
  const lines: string[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) });
  const sealing = startSealing({ db, log, interval_ms: 5 });
  const sealed = async (last: number) => {
    while ((await seals()).at(-1)?.last !== last) await setTimeout(5);
  };
  try {
    await sealed(3);
    await post(3);
    await sealed(6);
  } finally {
    await sealing.stop();
  }
  const complaints = lines.filter((line) => line.includes(broken.tenant_id));
  assert.equal(complaints.length, 1, 'a failure that lasts is logged once');
  assert.ok(!lines.some((line) => line.includes(scope.tenant_id)));

  await post(3);
  await setTimeout(50);
  assert.equal((await seals()).at(-1)?.last, 6, 'sealed after it was stopped');
});

test('stopping waits for the pass under way', async () => {
  await superuser.query('delete from ledger.heads where tenant_id <> $1', [scope.tenant_id]);
  await post(3);
  // The pass waits here for its insert.
  await superuser.query('begin');
  await superuser.query('lock table ledger.seals in share mode');
  const log = pino({ level: 'silent' });
  const sealing = startSealing({ db, log, interval_ms: 5 });
  for (;;) {
    const { rowCount } = await other.query(
      `select from pg_locks where not granted and relation = 'ledger.seals'::regclass
         and database = (select oid from pg_database where datname = current_database())`,
    );
    if ((rowCount ?? 0) > 0) break;
    await setTimeout(5);
  }
  let stopped = false;
  const stop = sealing.stop().then(() => {
    stopped = true;
  });
  await setTimeout(30);
  assert.equal(stopped, false);
  await superuser.query('commit');
  await stop;
  assert.equal((await seals()).at(-1)?.last, 3);
});

const PositionRow = Type.Object({ position: Type.BigInt() });

async function positionAt(time: string): Promise<bigint | undefined> {
  const [row] = await db.read(scope, (tx) =>
    tx.rows(PositionRow, 'select ledger.position_at($1, $2, $3) as position', [
      scope.tenant_id,
      scope.environment,
      time,
    ]),
  );
  return row?.position;
}

test('the position at a time is that of the last record at or before it', async () => {
  assert.equal(await positionAt('infinity'), 0n);
  // Transfers, hold steps and captures, which are both; many of one time, as they are when posted in one commit.
  await tamper(
    `with place as (
       select n, '2026-01-01 00:00:00+00'::timestamptz + n / 7 * interval '1 microsecond' as at from generate_series(1, 200) n
     ), step as (
       insert into ledger.hold_steps (tenant_id, environment, position, id, hold_id, step, kind, pending_change, created_at,
                                      amount_after, captured_after, released_after)
       select $1, $2, n, gen_random_uuid(), gen_random_uuid(), 1, 'place', 1, at, 1, 0, 0 from place where n % 3 > 0
     ), transfer as (
       insert into ledger.transfers (tenant_id, environment, position, id, created_at, effective_date, kind)
       select $1, $2, n, gen_random_uuid(), at, '2026-01-01', 'transfer' from place where n % 3 <> 1
     )
     insert into ledger.heads (tenant_id, environment, position) values ($1, $2, 200)`,
    [scope.tenant_id, scope.environment],
  );
  for (let micro = 0; micro <= 30; micro += 1) {
    const expected = BigInt(Math.min(200, 7 * micro + 6));
    assert.equal(await positionAt(`2026-01-01T00:00:00.0000${String(micro).padStart(2, '0')}Z`), expected);
  }
  assert.equal(await positionAt('2025-12-31T23:59:59.999999Z'), 0n);
  assert.equal(await positionAt('infinity'), 200n);
  assert.equal(await positionAt('-infinity'), 0n);
});
