/** After the key rotated, everything is encrypted anew, and the older key can go. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Client } from 'pg';
import { type Database, openDatabase, type Scope } from '../../platform/db.ts';
import { reencrypt } from '../../platform/reencryption.ts';
import { openSecrets, type Secrets } from '../../platform/secret.ts';
import { services } from '../../services.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';
import { encryptedColumns } from './encrypted-columns.ts';
import { makeFirstKeys, privateJwk } from './oauth/signing-keys.ts';

const [old, current, stranger] = [randomBytes(32), randomBytes(32), randomBytes(32)];
const base64 = (...keys: Buffer[]) => keys.map((key) => key.toString('base64')).join(',');
const secretsUnder = (...keys: Buffer[]) => openSecrets({ keys, data_dir: '' });
const script = new URL('../../../scripts/secrets.ts', import.meta.url).pathname;
const data_dir = mkdtempSync(join(tmpdir(), 'financialapi-reencrypt-'));

let platform: TestPlatform;
let db: Database;
let operator: Client;
before(async () => {
  platform = await openTestPlatform({ IDENTITY_ENCRYPTION_KEY: base64(old) });
  db = openDatabase({
    url: platform.url,
    role: 'identity',
    pool_size: 2,
    statement_timeout_ms: 5_000,
    lock_timeout_ms: 1_000,
    onError: () => {},
  });
  operator = new Client({ connectionString: platform.url });
  await operator.connect();
});
after(async () => {
  await db.close();
  await operator.end();
  await platform.close();
  rmSync(data_dir, { recursive: true });
});

interface Outcome {
  code: number | null;
  output: string;
}

function runScript(keys: string, ...options: string[]): Promise<Outcome> {
  const child = spawn(process.execPath, [script, ...options], {
    env: {
      PATH: process.env['PATH'] ?? '',
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? '',
      DATABASE_URL: platform.url,
      DATA_DIR: data_dir,
      IDENTITY_ENCRYPTION_KEY: keys,
    },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (part: Buffer) => {
      output += part.toString();
    });
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, output }));
  });
}

/** One secret of each kind, and of one-time passwords more than fit one batch. */
async function fill(bank: TestTenant, secrets: Secrets): Promise<{ people: string[] }> {
  const { scope } = bank;
  const { rows } = await operator.query<{ id: string }>(
    `insert into identity.people (tenant_id, id, email, name, created_by)
     select $1, gen_random_uuid(), n || '@bank.example', 'Someone', 'test' from generate_series(1, 205) n returning id`,
    [scope.tenant_id],
  );
  const people = rows.map((row) => row.id);
  await operator.query(
    `insert into identity.totp (tenant_id, person_id, secret)
     select $1, person_id, secret from unnest($2::uuid[], $3::text[]) as t (person_id, secret)`,
    [
      scope.tenant_id,
      people,
      people.map((person) => secrets.encrypt(`seed of ${person}`, `totp ${scope.tenant_id} ${person}`)),
    ],
  );
  await operator.query(
    `insert into identity.identity_providers (tenant_id, issuer, client_id, client_secret, email_domains)
     values ($1, 'https://idp.example', 'x', $2, '{bank.example}')`,
    [scope.tenant_id, secrets.encrypt('client secret', `identity provider ${scope.tenant_id}`)],
  );
  await operator.query(
    `insert into identity.external_sign_ins
       (tenant_id, state_hash, browser_hash, nonce, code_verifier, next, provider_version, expires_at)
     select $1, sha256(n::text::bytea), sha256('b'), 'n', $2, '/', 1, now() + interval '5 minutes'
     from generate_series(1, 3) n`,
    [scope.tenant_id, secrets.encrypt('verifier', `external sign-in ${scope.tenant_id}`)],
  );
  for (const environment of ['sandbox', 'live'] as const) {
    await makeFirstKeys(db, secrets, { ...scope, environment });
  }
  return { people };
}

async function kept(bank: TestTenant): Promise<string[]> {
  const { rows } = await operator.query<{ secret: string }>(
    `select secret from identity.totp where tenant_id = $1
     union all select client_secret from identity.identity_providers where tenant_id = $1
     union all select code_verifier from identity.external_sign_ins where tenant_id = $1
     union all select private_jwk from identity.oauth_signing_keys where tenant_id = $1`,
    [bank.scope.tenant_id],
  );
  return rows.map(({ secret }) => secret);
}

test('the command encrypts everything anew, after which the old key is not needed', async () => {
  const banks = [await platform.newTenant(), await platform.newTenant()];
  const filled = [];
  for (const bank of banks) filled.push(await fill(bank, secretsUnder(old)));
  const count = 205 + 1 + 3 + 4;

  const first = await runScript(base64(current, old), 'reencrypt');
  assert.equal(first.code, 0, first.output);
  assert.match(first.output, /identity\.totp\.secret: 410 of 410 encrypted anew/);
  assert.match(first.output, /identity\.oauth_signing_keys\.private_jwk: 8 of 8/);
  const alone = secretsUnder(current);
  for (const [index, bank] of banks.entries()) {
    const secrets = await kept(bank);
    assert.equal(secrets.length, count);
    assert.deepEqual(
      secrets.filter((secret) => alone.isOutdated(secret)),
      [],
    );
    const { rows } = await operator.query<{ person_id: string; secret: string }>(
      'select person_id, secret from identity.totp where tenant_id = $1',
      [bank.scope.tenant_id],
    );
    assert.equal(rows.length, filled[index]?.people.length);
    for (const { person_id, secret } of rows) {
      const text = alone.decrypt(secret, `totp ${bank.scope.tenant_id} ${person_id}`);
      assert.equal(text, `seed of ${person_id}`);
    }
    for (const key of await makeFirstKeys(db, alone, bank.scope)) {
      assert.equal(privateJwk(alone, bank.scope, key)['kid'], key.kid);
    }
  }
  const again = await runScript(base64(current), 'reencrypt');
  assert.equal(again.code, 0, again.output);
  assert.match(again.output, /identity\.totp\.secret: 0 of 410/);
  // No secret and no key is told.
  assert.equal(/seed of|v1\./.test(first.output + again.output), false);
});

test('what cannot be decrypted is named, left as it is, and keeps nothing else from being encrypted anew', async () => {
  const bank = await platform.newTenant();
  const { people } = await fill(bank, secretsUnder(old));
  const [lost = '', moved = ''] = people.toSorted();
  await operator.query('update identity.totp set secret = $2 where person_id = $1', [
    lost,
    secretsUnder(stranger).encrypt('x', `totp ${bank.scope.tenant_id} ${lost}`),
  ]);
  await operator.query('update identity.totp set secret = $2 where person_id = $1', [
    moved,
    secretsUnder(old).encrypt('x', `totp ${bank.scope.tenant_id} ${lost}`),
  ]);
  const { code, output } = await runScript(base64(current, old), 'reencrypt');
  assert.equal(code, 1, output);
  for (const person of [lost, moved]) assert.ok(output.includes(`identity.totp ${person}`), output);
  assert.match(output, /keep every key/);
  const left = (await kept(bank)).filter((secret) => secretsUnder(current).isOutdated(secret));
  assert.equal(left.length, 2);
});

test('of two runs at once one changes each', async () => {
  const bank = await platform.newTenant();
  await fill(bank, secretsUnder(old));
  const secrets = secretsUnder(current, old);
  const scopes: Scope[] = [bank.scope, { ...bank.scope, environment: 'live' }];
  const runs = await Promise.all(
    [1, 2].map(async () => {
      let changed = 0;
      for (const scope of scopes) {
        for (const column of encryptedColumns)
          changed += (await reencrypt(db, secrets, scope, column)).changed;
      }
      return changed;
    }),
  );
  assert.equal(
    runs.reduce((sum, changed) => sum + changed, 0),
    205 + 1 + 3 + 4,
  );
});

test('without a key, a command or a tenant nothing is done', async () => {
  for (const [keys, options, said] of [
    ['', ['reencrypt'], /there is no key/],
    [base64(current), [], /is not said; usage/],
    [base64(current), ['reencrypt', '--tenant', 'ten_x'], /is not the id of a tenant/],
  ] as const) {
    const { code, output } = await runScript(keys, ...options);
    assert.equal(code, 2, output);
    assert.match(output, said);
  }
});

test('every column that the catalogue calls encrypted is declared', async () => {
  const { rows } = await operator.query<{ name: string }>(
    `select a.attrelid::regclass::text || '.' || a.attname as name
     from pg_attribute a join pg_description d on (d.objoid, d.objsubid) = (a.attrelid, a.attnum)
     where d.classoid = 'pg_class'::regclass and d.description like 'Encrypted%' order by 1`,
  );
  const declared = services
    .flatMap(({ encrypted = [] }) => encrypted)
    .map(({ table, column }) => `${table}.${column}`);
  assert.deepEqual(
    rows.map(({ name }) => name),
    declared.toSorted(),
  );
  assert.ok(declared.length >= 4);
});
