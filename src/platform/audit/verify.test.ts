import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { Client } from 'pg';
import { pino } from 'pino';
import { migrationSources } from '../boot.ts';
import { type Database, openDatabase, type Scope } from '../db.ts';
import { formatId, newUuid } from '../ids.ts';
import { openMetrics } from '../metrics.ts';
import { migrate } from '../migrate.ts';
import { type FreshDatabase, freshDatabase } from '../testing.ts';
import { sealAudit, startAuditSealing } from './seal.ts';
import { type AuditReport, verifyAudit } from './verify.ts';
import { type AuditTrail, openAuditTrail } from './write.ts';

// Without the server, which would seal by itself.
let database: FreshDatabase;
let superuser: Client;
let db: Database;
let trail: AuditTrail;
let scope: Scope;

before(async () => {
  database = await freshDatabase();
  await migrate(database.url, migrationSources([]));
  superuser = new Client({ connectionString: database.url, options: '-c timezone=UTC' });
  await superuser.connect();
  db = openDatabase({
    url: database.url,
    role: 'platform',
    pool_size: 5,
    statement_timeout_ms: 5_000,
    lock_timeout_ms: 3_000,
    onError: () => {},
  });
  trail = openAuditTrail({ db, log: pino({ level: 'silent' }), metrics: openMetrics() });
});
after(async () => {
  await trail.stop();
  await db.close();
  await superuser.end();
  await database.drop();
});
beforeEach(() => {
  scope = { tenant_id: newUuid(), environment: 'live' };
});

async function record(count: number): Promise<void> {
  const written = await Promise.all(
    Array.from({ length: count }, (_, index) =>
      trail.record({
        ...scope,
        principal: { kind: 'key', id: 'key_1', name: 'test' },
        address: '127.0.0.1',
        method: 'POST',
        route: '/api/v2/things',
        path: '/api/v2/things',
        permission: 'things:make',
        outcome: 'done',
        status: 201,
        request_id: `request-${index}`,
        before: { name: 'old' },
        after: { name: 'new', number: index },
      }),
    ),
  );
  assert.ok(written.every(Boolean));
}

/** Records `count` and seals them, as often as `blocks` says. */
async function sealed(blocks: number, count: number): Promise<void> {
  for (let block = 0; block < blocks; block += 1) {
    await record(count);
    assert.equal(await sealAudit(db, scope), count);
  }
}

/** Runs a statement past triggers and rules. $1 is the tenant. */
async function tamper(sql: string, ...parameters: unknown[]): Promise<void> {
  await superuser.query('begin');
  await superuser.query("set local session_replication_role = 'replica'");
  const { rowCount } = await superuser.query(sql, [scope.tenant_id, ...parameters]);
  await superuser.query('commit');
  assert.ok((rowCount ?? 0) > 0, 'nothing was tampered with');
}

/** Bare ids of the records, in the order of the chain and then of their writing. */
async function ids(): Promise<string[]> {
  const { rows } = await superuser.query<{ id: string }>(
    'select id from platform.audit_records where tenant_id = $1 order by recorded_at, id',
    [scope.tenant_id],
  );
  return rows.map(({ id }) => id);
}

const told = (report: AuditReport) => report.findings.map(({ subject, detail }) => `${subject}: ${detail}`);
const nameOf = (id: string | undefined) => formatId('aud', id ?? '');

async function findings(): Promise<string[]> {
  const report = await verifyAudit(db, scope);
  assert.equal(report.ok, report.findings.length === 0);
  return told(report);
}

test('an empty trail is whole; what is not sealed yet is said to be so', async () => {
  const empty = await verifyAudit(db, scope);
  assert.deepEqual(
    [empty.ok, empty.records, empty.seals, empty.sealed_hash, empty.unsealed_records],
    [true, 0, 0, null, 0],
  );
  await sealed(2, 3);
  await record(2);
  const report = await verifyAudit(db, scope);
  assert.deepEqual(
    [report.ok, report.records, report.sealed_records, report.unsealed_records, report.seals],
    [true, 8, 6, 2, 2],
  );
  assert.match(report.sealed_hash ?? '', /^[0-9a-f]{64}$/);
  await sealAudit(db, scope);
  assert.equal((await verifyAudit(db, scope)).unsealed_records, 0);
});

test('digest and hash are these, whatever the session and the version of PostgreSQL', async () => {
  await superuser.query("set timezone = 'Asia/Kolkata'");
  await superuser.query('begin');
  const tenant = '01890a5d-ac96-774b-bcce-b302099a8057';
  const id = '01890a5d-ac96-774b-bcce-b302099a8058';
  await superuser.query(
    `insert into platform.audit_records (tenant_id, environment, id, recorded_at, principal_kind, principal_id,
       principal_name, on_behalf_of, address, method, route, path, permission, outcome, status, code, subject, before,
       after, request_id, dry_run, replayed)
     values ($1, 'live', $2, '2026-01-31 12:00:00.123456+00', 'key', 'key_1', 'é"', '{"id": "usr_1"}', '::1', 'PATCH',
       '/a/:b', '/a/1', 'a:b', 'refused', 409, 'c', null, '{"n": 1.10, "a": [null]}', null, 'r-1', false, true)`,
    [tenant, id],
  );
  const { rows } = await superuser.query<{ digest: Buffer; hash: Buffer; root: Buffer }>(
    `select d.digest, platform.audit_root(r.tenant_id, r.environment) as root,
       platform.audit_hash(platform.audit_root(r.tenant_id, r.environment), 1, r.recorded_at, array[r.id], d.digest) as hash
     from platform.audit_records r cross join lateral (select platform.audit_digest(r) as digest offset 0) d
     where r.tenant_id = $1`,
    [tenant],
  );
  await superuser.query('rollback');
  await superuser.query("set timezone = 'UTC'");
  const [row] = rows;
  const sha256 = (...parts: (string | Buffer)[]) => {
    const hash = createHash('sha256');
    for (const part of parts) hash.update(part);
    return hash.digest();
  };
  const text =
    `["${tenant}", "live", "${id}", 1769860800.123456, "key", "key_1", "é\\"", "{\\"id\\": \\"usr_1\\"}", "::1", ` +
    '"PATCH", "/a/:b", "/a/1", "a:b", "refused", 409, "c", null, "{\\"a\\": [null], \\"n\\": 1.10}", null, "r-1", false, true]';
  const digest = sha256(text);
  assert.equal(row?.digest.toString('hex'), digest.toString('hex'));
  const number = Buffer.alloc(8);
  number.writeBigInt64BE(1n);
  const root = sha256(`audit/${tenant}/live`);
  assert.equal(row.root.toString('hex'), root.toString('hex'));
  const bareId = Buffer.from(id.replaceAll('-', ''), 'hex');
  assert.equal(
    row.hash.toString('hex'),
    sha256(root, number, '1769860800.123456', bareId, digest).toString('hex'),
  );
});

for (const [column, sql] of [
  ['principal_id', "principal_id = 'key_2'"],
  ['principal_name', "principal_name = 'somebody else'"],
  ['on_behalf_of', 'on_behalf_of = \'{"kind": "person", "id": "usr_1", "name": "x"}\''],
  ['address', "address = '10.0.0.1'"],
  ['outcome', "outcome = 'refused'"],
  ['status', 'status = 403'],
  ['subject', "subject = 'acc_1'"],
  ['before', "before = '{}'"],
  ['after', 'after = \'{"name": "other"}\''],
  ['recorded_at', "recorded_at = recorded_at + interval '1 microsecond'"],
  ['request_id', "request_id = 'another'"],
  ['dry_run', 'dry_run = true'],
] as const) {
  test(`a record whose ${column} was changed is found and named`, async () => {
    await sealed(3, 3);
    const [, , , , middle] = await ids();
    await tamper(`update platform.audit_records set ${sql} where tenant_id = $1 and id = $2`, middle);
    assert.deepEqual(await findings(), [`${nameOf(middle)}: is not as it was sealed`]);
  });
}

test('a record that was removed is found and named, as is one that was given to another tenant', async () => {
  await sealed(2, 3);
  const [first, , , , fifth] = await ids();
  await tamper('delete from platform.audit_records where tenant_id = $1 and id = $2', first);
  await tamper(
    'update platform.audit_records set tenant_id = $3 where tenant_id = $1 and id = $2',
    fifth,
    newUuid(),
  );
  assert.deepEqual(
    (await findings()).toSorted(),
    [first, fifth].map((id) => `${nameOf(id)}: is missing, though it was sealed`).toSorted(),
  );
});

const copyOf = (id: string, recorded_at: string) => `
  insert into platform.audit_records
  select (jsonb_populate_record(r, jsonb_build_object('id', ${id}::text, 'recorded_at', ${recorded_at}))).*
  from platform.audit_records r where r.tenant_id = $1 order by r.id limit 1`;

test('a record that was put in behind the chain is found and named', async () => {
  await sealed(2, 3);
  const stranger = newUuid();
  await tamper(copyOf('$2', 'r.recorded_at'), stranger);
  assert.deepEqual(await findings(), [
    `${nameOf(stranger)}: is in no seal and waits for none: it was put in past the chain, or its seal was taken away`,
  ]);
});

test('a record that says it is older than what was sealed before it is found, though it has a seal', async () => {
  await sealed(2, 3);
  const stranger = newUuid();
  // Past its grants, yet through the trigger that has it sealed.
  await superuser.query(copyOf('$2', "r.recorded_at - interval '1 hour'"), [scope.tenant_id, stranger]);
  assert.equal(await sealAudit(db, scope), 1);
  const [finding, ...others] = await findings();
  assert.deepEqual(others, []);
  assert.match(
    finding ?? '',
    new RegExp(`^${nameOf(stranger)}: says that it was written at .*, and was sealed after`),
  );
});

test('a record that was removed before its seal is found, and holds up no other', async () => {
  await sealed(1, 2);
  await record(3);
  const missing = (await ids())[3];
  await tamper('delete from platform.audit_records where tenant_id = $1 and id = $2', missing);
  assert.deepEqual(await findings(), [`${nameOf(missing)}: is missing, though it waits to be sealed`]);
  assert.equal(await sealAudit(db, scope), 2);
  assert.equal(await sealAudit(db, scope), 0);
  assert.deepEqual(await findings(), [`${nameOf(missing)}: is missing, though it waits to be sealed`]);
});

test('a record that is taken from what waits for a seal is found', async () => {
  await sealed(1, 2);
  await record(1);
  const hidden = (await ids())[2];
  await tamper('delete from platform.audit_waiting where tenant_id = $1');
  assert.equal((await findings()).length, 1);
  assert.match((await findings())[0] ?? '', new RegExp(`^${nameOf(hidden)}: is in no seal`));
});

for (const [what, number, expected] of [
  ['the first seal', 1, /^seal 1: is missing$/],
  ['a seal in the middle', 2, /^seal 2: is missing$/],
  ['the last seal', 3, /^seal 3: is missing$/],
] as const) {
  test(`${what}, removed, is found and named, with the records that it covered`, async () => {
    await sealed(3, 2);
    const covered = (await ids()).slice(2 * number - 2, 2 * number);
    await tamper('delete from platform.audit_seals where tenant_id = $1 and number = $2', number);
    const [seal, ...records] = await findings();
    assert.match(seal ?? '', expected);
    assert.equal(records.length, 2);
    for (const id of covered)
      assert.ok(records.some((line) => line.startsWith(`${nameOf(id)}: is in no seal`)));
  });
}

test('the end of a trail, cut off with its seals, is found', async () => {
  await sealed(3, 2);
  const cut = (await ids()).slice(2);
  await tamper('delete from platform.audit_seals where tenant_id = $1 and number > 1');
  await tamper('delete from platform.audit_records where tenant_id = $1 and id = any($2)', cut);
  assert.deepEqual(await findings(), ['seals 2 to 3: are missing']);
  await tamper('delete from platform.audit_seals where tenant_id = $1');
  await tamper('delete from platform.audit_records where tenant_id = $1');
  assert.deepEqual(await findings(), ['seals 1 to 3: are missing']);
});

for (const [what, sql] of [
  ['hash', 'hash = sha256(hash)'],
  ['time', "sealed_at = sealed_at + interval '1 second'"],
  [
    'order of records',
    'ids = array[ids[2], ids[1]], digests = substr(digests, 9, 8) || substr(digests, 1, 8)',
  ],
] as const) {
  test(`a seal whose ${what} was altered is found and named, and none after it`, async () => {
    await sealed(3, 2);
    await tamper(`update platform.audit_seals set ${sql} where tenant_id = $1 and number = 2`);
    const [first, ...others] = await findings();
    assert.deepEqual(others, []);
    assert.match(first ?? '', /^seal 2: was altered/);
  });
}

test('a seal whose digests were altered is told from records that were', async () => {
  await sealed(3, 2);
  await tamper(
    `update platform.audit_seals set digests = '\\x00000000' || substr(digests, 5) where tenant_id = $1 and number = 2`,
  );
  assert.deepEqual(await findings(), ['seal 2: its digests were altered; what it seals is as its hash says']);
});

test('a seal that was given another record is found, and the record that it had', async () => {
  await sealed(2, 2);
  const [, , third] = await ids();
  const stranger = newUuid();
  await tamper('update platform.audit_seals set ids[1] = $2 where tenant_id = $1 and number = 2', stranger);
  const lines = await findings();
  assert.ok(lines.includes(`${nameOf(stranger)}: is missing, though it was sealed`), lines.join('\n'));
  assert.ok(
    lines.some((line) => line.startsWith(`${nameOf(third)}: is in no seal`)),
    lines.join('\n'),
  );
});

test('a chain that was computed again from a changed record on shows against a head or a hash kept elsewhere', async () => {
  await sealed(2, 2);
  const kept = (await verifyAudit(db, scope)).sealed_hash;
  const [, , third] = await ids();
  await tamper("update platform.audit_records set subject = 'other' where tenant_id = $1 and id = $2", third);
  await tamper(
    `update platform.audit_seals s set
       digests = d.short, hash = platform.audit_hash(p.hash, s.number, s.sealed_at, s.ids, d.full)
     from platform.audit_seals p, lateral (
       select string_agg(platform.audit_digest(r), ''::bytea order by i.place) as full,
         string_agg(substr(platform.audit_digest(r), 1, 8), ''::bytea order by i.place) as short
       from platform.audit_seals o cross join unnest(o.ids) with ordinality i (id, place)
       join platform.audit_records r on r.tenant_id = o.tenant_id and r.id = i.id
       where o.tenant_id = $1 and o.number = 2
     ) d where s.tenant_id = $1 and s.number = 2 and p.tenant_id = $1 and p.number = 1`,
  );
  assert.deepEqual(await findings(), ['head: its hash is not that of seal 2, at which it stands']);
  await tamper(
    `update platform.audit_heads h set hash = s.hash from platform.audit_seals s
     where h.tenant_id = $1 and s.tenant_id = $1 and s.number = 2`,
  );
  const report = await verifyAudit(db, scope);
  assert.equal(report.ok, true);
  assert.notEqual(report.sealed_hash, kept);
});

test('a head that was turned back is found, and nothing is sealed over what it hides', async () => {
  await sealed(2, 2);
  await tamper('update platform.audit_heads set number = 1 where tenant_id = $1');
  await record(1);
  assert.deepEqual(await findings(), ['seal 2: goes beyond the head of the chain, which stands at seal 1']);
  await assert.rejects(() => sealAudit(db, scope), /its head stands at seal 1, and there is seal 2/);
});

test('many seals and records are verified, and many findings end in a word that there are more', async () => {
  await record(1_205);
  assert.equal(await sealAudit(db, scope), 1_205);
  for (let block = 0; block < 205; block += 1) {
    await record(1);
    await sealAudit(db, scope);
  }
  const whole = await verifyAudit(db, scope);
  assert.deepEqual([whole.ok, whole.records, whole.seals], [true, 1_410, 207]);
  const last = (await ids()).at(-1);
  await tamper("update platform.audit_records set code = 'x' where tenant_id = $1 and id = $2", last);
  assert.deepEqual(await findings(), [`${nameOf(last)}: is not as it was sealed`]);
  await tamper("update platform.audit_records set code = 'x' where tenant_id = $1");
  const report = await verifyAudit(db, scope);
  assert.deepEqual([report.findings.length, report.more], [100, true]);
});

test('a backlog of thirty thousand records, of tables never analyzed, is sealed and verified', async () => {
  await superuser.query(
    `insert into platform.audit_records (tenant_id, environment, id, principal_kind, principal_id, principal_name, address,
       method, path, outcome, status, after, request_id)
     select $1, 'live', gen_random_uuid(), 'key', 'key_1', 'test', '::1', 'POST', '/api/v2/things', 'done', 201,
       jsonb_build_object('number', i), 'request-' || i
     from generate_series(1, 30000) i`,
    [scope.tenant_id],
  );
  assert.equal(await sealAudit(db, scope), 30_000);
  const report = await verifyAudit(db, scope);
  assert.deepEqual(told(report), []);
  assert.deepEqual([report.sealed_records, report.unsealed_records, report.seals], [30_000, 0, 30]);
  const altered = (await ids())[12_345];
  await tamper("update platform.audit_records set code = 'x' where tenant_id = $1 and id = $2", altered);
  assert.deepEqual(await findings(), [`${nameOf(altered)}: is not as it was sealed`]);
});

test('nobody changes records or seals, and the role of the platform writes them through the functions only', async () => {
  await sealed(1, 1);
  for (const table of ['audit_records', 'audit_seals']) {
    for (const sql of [`delete from platform.${table}`, `truncate platform.${table}`]) {
      await assert.rejects(superuser.query(sql), /append-only/);
    }
  }
  await assert.rejects(superuser.query("update platform.audit_records set code = 'x'"), /append-only/);
  await assert.rejects(superuser.query('update platform.audit_seals set number = 7'), /append-only/);
  await assert.rejects(superuser.query('delete from platform.audit_heads'), /append-only/);
  for (const sql of [
    'delete from platform.audit_records',
    "update platform.audit_records set code = 'x'",
    'insert into platform.audit_records select * from platform.audit_records',
    'insert into platform.audit_seals select * from platform.audit_seals',
    'delete from platform.audit_waiting',
    'insert into platform.audit_waiting select * from platform.audit_waiting',
    'update platform.audit_heads set number = 7',
    'alter table platform.audit_records disable trigger all',
  ]) {
    await assert.rejects(() => db.write(scope, (tx) => tx.run(sql)), /permission denied|must be owner/, sql);
  }
  const other: Scope = { ...scope, environment: 'sandbox' };
  assert.equal(await db.read(other, (tx) => tx.run('select from platform.audit_records')), 0);
});

test('two processes write and seal one trail at once, and the chain is whole', async () => {
  const second = openDatabase({
    url: database.url,
    role: 'platform',
    pool_size: 3,
    statement_timeout_ms: 5_000,
    lock_timeout_ms: 3_000,
    onError: () => {},
  });
  const others = openAuditTrail({ db: second, log: pino({ level: 'silent' }), metrics: openMetrics() });
  const writing = new AbortController();
  const sealing = [db, second].map(async (each) => {
    while (!writing.signal.aborted) {
      await sealAudit(each, scope);
      await setTimeout(1);
    }
  });
  const mine = trail;
  for (let round = 0; round < 20; round += 1) {
    const both = [mine, others].map((each) => {
      trail = each;
      return record(25);
    });
    await Promise.all(both);
  }
  trail = mine;
  writing.abort();
  await Promise.all(sealing);
  await sealAudit(db, scope);
  const report = await verifyAudit(db, scope);
  assert.deepEqual(told(report), []);
  assert.deepEqual([report.records, report.sealed_records, report.unsealed_records], [1_000, 1_000, 0]);
  assert.ok(report.seals > 1);
  await others.stop();
  await second.close();
});

test('every trail is sealed by itself, and one that cannot be holds up no other', async () => {
  await sealed(2, 1);
  await tamper('update platform.audit_heads set number = 1 where tenant_id = $1');
  await record(1);
  const broken = scope;
  scope = { tenant_id: newUuid(), environment: 'sandbox' };
  await record(2);
  const lines: string[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) });
  const sealing = startAuditSealing({ db, log, interval_ms: 5 });
  while ((await verifyAudit(db, scope)).unsealed_records > 0) await setTimeout(5);
  await record(1);
  while ((await verifyAudit(db, scope)).unsealed_records > 0) await setTimeout(5);
  await sealing.stop();
  assert.equal(lines.filter((line) => line.includes(broken.tenant_id)).length, 1);
  assert.equal((await verifyAudit(db, scope)).seals, 2);
});
