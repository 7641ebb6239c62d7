import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Client } from 'pg';
import { StartupError } from './config.ts';
import { migrate } from './migrate.ts';
import { freshDatabase } from './testing.ts';

/** A folder whose name has to survive being part of a path, with these files. */
function folderOf(t: TestContext, files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'migrations 100% '));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const [file, sql] of Object.entries(files)) writeFileSync(join(folder, file), sql);
  return folder;
}

async function open(t: TestContext) {
  const database = await freshDatabase();
  const client = new Client({ connectionString: database.url });
  await client.connect();
  t.after(async () => {
    await client.end();
    await database.drop();
  });
  return { url: database.url, client };
}

test('files are applied once, in order of their names; others come later', async (t) => {
  const { url, client } = await open(t);
  const folder = folderOf(t, {
    '0002_row.sql': "insert into things values ('two')",
    '0001_table.sql': 'create table things (name text primary key)',
    'README.md': 'not SQL',
  });
  const sources = [{ name: 'test', folder }];
  assert.equal(await migrate(url, sources), 2);
  assert.equal(await migrate(url, sources), 0);
  writeFileSync(join(folder, '0003_more.sql'), "insert into things values ('three')");
  assert.equal(await migrate(url, sources), 1);
  const { rows } = await client.query('select name from things order by name');
  assert.deepEqual(rows, [{ name: 'three' }, { name: 'two' }]);
});

test('a file that was changed after it was applied is refused by name, and nothing is applied', async (t) => {
  const { url, client } = await open(t);
  const folder = folderOf(t, { '0001_a.sql': 'create table a ()' });
  await migrate(url, [{ name: 'test', folder }]);
  writeFileSync(join(folder, '0001_a.sql'), 'create table a (b text)');
  writeFileSync(join(folder, '0002_c.sql'), 'create table c ()');
  await assert.rejects(migrate(url, [{ name: 'test', folder }]), (error) => {
    assert.ok(error instanceof StartupError);
    assert.match(error.message, /test\/0001_a\.sql was changed/);
    return true;
  });
  assert.equal((await client.query("select to_regclass('c') as c")).rows[0].c, null);
});

test('a file that fails leaves nothing of itself, is named, and is tried again', async (t) => {
  const { url, client } = await open(t);
  const folder = folderOf(t, {
    '0001_a.sql': 'create table a ()',
    '0002_b.sql': 'create table b (); select from nowhere',
  });
  await assert.rejects(migrate(url, [{ name: 'test', folder }]), (error) => {
    assert.ok(error instanceof StartupError);
    assert.match(error.message, /migration test\/0002_b\.sql failed: relation "nowhere" does not exist/);
    return true;
  });
  const { rows } = await client.query("select to_regclass('a')::text as a, to_regclass('b')::text as b");
  assert.deepEqual(rows, [{ a: 'a', b: null }]);
  writeFileSync(join(folder, '0002_b.sql'), 'create table b ()');
  assert.equal(await migrate(url, [{ name: 'test', folder }]), 1);
});

test('processes that start at once apply each file once', async (t) => {
  const { url, client } = await open(t);
  const folder = folderOf(t, {
    '0001_a.sql': 'create table a (n integer)',
    '0002_b.sql': 'insert into a values (1)',
  });
  const applied = await Promise.all(
    Array.from({ length: 5 }, () => migrate(url, [{ name: 'test', folder }])),
  );
  assert.deepEqual(
    applied.toSorted((one, other) => one - other),
    [0, 0, 0, 0, 2],
  );
  assert.equal((await client.query('select from a')).rowCount, 1);
});
