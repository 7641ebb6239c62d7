import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { Client } from 'pg';
import { pino } from 'pino';
import { migrationSources } from '../boot.ts';
import { type Database, openDatabase, type Scope } from '../db.ts';
import { newUuid } from '../ids.ts';
import { openMetrics } from '../metrics.ts';
import { migrate } from '../migrate.ts';
import { type FreshDatabase, freshDatabase } from '../testing.ts';
import { type AuditRecord, type AuditTrail, openAuditTrail } from './write.ts';

let database: FreshDatabase;
let superuser: Client;
let db: Database;
let scope: Scope;
let lines: string[];
const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) });

before(async () => {
  database = await freshDatabase();
  await migrate(database.url, migrationSources([]));
  superuser = new Client({ connectionString: database.url });
  await superuser.connect();
  db = openDatabase({
    url: database.url,
    role: 'platform',
    // The writer must do with one.
    pool_size: 1,
    statement_timeout_ms: 5_000,
    lock_timeout_ms: 3_000,
    onError: () => {},
  });
});
after(async () => {
  await db.close();
  await superuser.end();
  await database.drop();
});
beforeEach(() => {
  scope = { tenant_id: newUuid(), environment: 'live' };
  lines = [];
});

function open(options: { capacity?: number; patience_ms?: number } = {}): {
  trail: AuditTrail;
  metric: (name: string) => Promise<number>;
} {
  const metrics = openMetrics();
  return {
    trail: openAuditTrail({ db, log, metrics, ...options }),
    metric: async (name) => {
      const { values = [] } = (await metrics.registry.getSingleMetric(name)?.get()) ?? {};
      return values.reduce((sum, { value }) => sum + value, 0);
    },
  };
}

const recordOf = (more: Partial<AuditRecord> = {}): AuditRecord => ({
  ...scope,
  principal: { kind: 'key', id: 'key_1', name: 'test' },
  address: '127.0.0.1',
  method: 'POST',
  path: '/api/v2/things',
  outcome: 'done',
  status: 200,
  request_id: 'request-1',
  ...more,
});

// oxlint-disable-next-line typescript/no-explicit-any -- a test looks into whatever was written
async function written(): Promise<any[]> {
  const { rows } = await superuser.query(
    'select *, xmin::text as written_by from platform.audit_records where tenant_id = $1 order by id',
    [scope.tenant_id],
  );
  return rows;
}

/** While `work` runs, the database refuses every record. */
async function whileRefused(work: () => Promise<void>): Promise<void> {
  await superuser.query('revoke execute on function platform.append_audit from platform');
  try {
    await work();
  } finally {
    await superuser.query('grant execute on function platform.append_audit to platform');
  }
}

test('records that wait together are written in one commit, of many tenants, each once', async () => {
  const { trail, metric } = open();
  const other = newUuid();
  const answers = await Promise.all(
    Array.from({ length: 300 }, (_, index) =>
      trail.record(recordOf(index % 3 === 0 ? { tenant_id: other } : {})),
    ),
  );
  assert.ok(answers.every(Boolean));
  const rows = await written();
  assert.equal(rows.length, 200);
  // The first goes alone; what comes meanwhile goes together.
  assert.equal(new Set(rows.map(({ written_by }) => written_by)).size, 1);
  assert.equal(await metric('audit_records_total'), 300);
  const { rows: waiting } = await superuser.query(
    'select from platform.audit_waiting where tenant_id = any($1)',
    [[scope.tenant_id, other]],
  );
  assert.equal(waiting.length, 300);
  await trail.stop();
});

test('what an attempt with a lost outcome has written is not written again', async () => {
  const row = {
    ...recordOf(),
    id: newUuid(),
    principal_kind: 'key',
    principal_id: 'k',
    principal_name: 'n',
    dry_run: false,
    replayed: false,
  };
  for (let attempt = 0; attempt < 2; attempt += 1) {
    await db.run('select platform.append_audit($1)', [JSON.stringify([row])]);
  }
  assert.equal((await written()).length, 1);
  const { rows } = await superuser.query('select from platform.audit_waiting where tenant_id = $1', [
    scope.tenant_id,
  ]);
  assert.equal(rows.length, 1);
});

test('secrets are not kept, nor what PostgreSQL cannot keep, nor what is too large', async () => {
  const { trail } = open();
  const circular: { self?: unknown } = {};
  circular.self = circular;
  const secrets = {
    key: 'fa_live_secret',
    client_secret: 'secret',
    deeper: [
      { password: 'secret', refresh_token: ['secret'], hash: 'shown', key_id: 'shown', token_hash: 'secret' },
    ],
    totp_secret: null,
  };
  await trail.record(recordOf({ before: secrets, after: { amount: 12n } }));
  await trail.record(recordOf({ before: { 'a\0b': 'c\0d', e: '\ud800' }, after: 'x'.repeat(40_000) }));
  await trail.record(recordOf({ before: circular, after: null, path: `/\0${'x'.repeat(5_000)}` }));
  const [first, second, third] = await written();
  assert.deepEqual(first.before, {
    key: '[redacted]',
    client_secret: '[redacted]',
    deeper: [
      {
        password: '[redacted]',
        refresh_token: '[redacted]',
        hash: 'shown',
        key_id: 'shown',
        token_hash: '[redacted]',
      },
    ],
    totp_secret: null,
  });
  assert.deepEqual(first.after, { amount: '12' });
  assert.deepEqual(second.before, { 'a\u{fffd}b': 'c\u{fffd}d', e: '\u{fffd}' });
  assert.match(second.after.omitted, /^40002 characters/);
  assert.match(third.before.omitted, /^not JSON/);
  assert.deepEqual([third.after, third.path.length], [null, 2_000]);
  assert.ok(!lines.join('').includes('secret'));
  await trail.stop();
});

test('a record that the database does not take keeps back no other', async () => {
  const { trail, metric } = open();
  const answers = await Promise.all([
    trail.record(recordOf()),
    trail.record(recordOf()),
    trail.record(recordOf({ status: 99_999, request_id: 'bad-record' })),
    trail.record(recordOf()),
  ]);
  assert.deepEqual(answers, [true, true, false, true]);
  assert.equal((await written()).length, 3);
  assert.equal(await metric('audit_records_lost_total'), 1);
  assert.ok(lines.some((line) => line.includes('bad-record') && line.includes('lost')));
  await trail.stop();
});

test('while the database refuses, answers wait no longer than they may, and records are written later', async () => {
  const { trail, metric } = open({ patience_ms: 0 });
  await whileRefused(async () => {
    const answers = await Promise.all([trail.record(recordOf()), trail.record(recordOf())]);
    assert.deepEqual(answers, [false, false]);
    assert.equal(await metric('audit_records_waiting'), 2);
    assert.equal(await trail.record(recordOf()), false);
    assert.equal(trail.isFull(), false);
  });
  while ((await metric('audit_records_waiting')) > 0) await setTimeout(5);
  assert.equal(await trail.record(recordOf()), true);
  assert.equal((await written()).length, 4);
  assert.equal(
    lines.filter((line) => line.includes('CANNOT BE WRITTEN')).length,
    1,
    'said once while it lasts',
  );
  assert.ok(lines.some((line) => line.includes('written again')));
  await trail.stop();
});

test('an answer that can wait for the database gets its record', async () => {
  const { trail } = open({ patience_ms: 60_000 });
  let answer: Promise<boolean> | undefined;
  await whileRefused(async () => {
    answer = trail.record(recordOf());
    while (!lines.some((line) => line.includes('CANNOT BE WRITTEN'))) await setTimeout(5);
  });
  assert.equal(await answer, true);
  await trail.stop();
});

test('memory is bounded: what is more than it holds is lost, counted and said once', async () => {
  const { trail, metric } = open({ capacity: 3, patience_ms: 0 });
  await whileRefused(async () => {
    for (let count = 0; count < 5; count += 1) assert.equal(await trail.record(recordOf()), false);
    assert.equal(trail.isFull(), true);
    assert.equal(await metric('audit_records_lost_total'), 2);
  });
  while ((await metric('audit_records_waiting')) > 0) await setTimeout(5);
  assert.equal((await written()).length, 3);
  assert.equal(trail.isFull(), false);
  assert.equal(lines.filter((line) => line.includes('are lost')).length, 1);
  await trail.stop();
});

test('at the end what waits is written', async () => {
  const { trail } = open();
  const answers = [trail.record(recordOf()), trail.record(recordOf()), trail.record(recordOf())];
  await trail.stop();
  assert.equal((await written()).length, 3);
  assert.deepEqual(await Promise.all(answers), [true, true, true]);
});
