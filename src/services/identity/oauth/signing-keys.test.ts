/** The keys that sign are replaced by their age. That time passes is played by moving what is kept into the past. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from 'jose';
import * as client from 'openid-client';
import { Client } from 'pg';
import { readConfig } from '../../../platform/config.ts';
import { type Database, openDatabase } from '../../../platform/db.ts';
import { openSecrets } from '../../../platform/secret.ts';
import type { TestTenant } from '../../../testing.ts';
import { makeFirstKeys, rotateOldKeys } from './signing-keys.ts';
import {
  authorize,
  Browser,
  discover,
  type OAuthPlatform,
  openOAuthPlatform,
  REDIRECT_URI,
} from './testing.ts';

const LIFETIME_S = 30 * 86_400;
const HOUR_S = 3_600;
const secrets = openSecrets({ keys: [Buffer.alloc(32, 7)], data_dir: '' });

let platform: OAuthPlatform;
/** As three processes have it. */
let databases: Database[];
let operator: Client;
before(async () => {
  platform = await openOAuthPlatform();
  databases = [1, 2, 3].map(() =>
    openDatabase({
      url: platform.url,
      role: 'identity',
      pool_size: 2,
      statement_timeout_ms: 5_000,
      lock_timeout_ms: 2_000,
      onError: () => {},
    }),
  );
  operator = new Client({ connectionString: platform.url });
  await operator.connect();
});
after(async () => {
  for (const database of databases) await database.close();
  await operator.end();
  await platform.close();
});

async function pass(tenant: TestTenant, seconds: number): Promise<void> {
  await operator.query(
    `update identity.oauth_signing_keys
     set created_at = created_at - passed, activated_at = activated_at - passed, retires_at = retires_at - passed
     from make_interval(secs => $2) as passed where tenant_id = $1`,
    [tenant.scope.tenant_id, seconds],
  );
}

/** Every process looks after the issuer at the same time. Says how many of them let another key sign. */
async function tend(tenant: TestTenant): Promise<number> {
  const outcomes = await Promise.all(
    databases.map((db) => rotateOldKeys(db, secrets, tenant.scope, LIFETIME_S)),
  );
  return outcomes.filter(Boolean).length;
}

async function published(tenant: TestTenant): Promise<JSONWebKeySet> {
  const answer = await fetch(`${platform.issuer(tenant).href}/jwks`);
  return JSON.parse(await answer.text());
}

async function until(isSo: () => Promise<boolean>, what: string): Promise<void> {
  for (let tries = 0; !(await isSo()); tries += 1) assert.ok(tries < 500, what);
}

interface ShownKey {
  kid: string;
  status: string;
}

const kidsOf = async (tenant: TestTenant, status: string): Promise<string[]> => {
  const { data }: { data: ShownKey[] } = await tenant.get('/api/v2/signing-keys');
  return data.filter((key) => key.status === status).map(({ kid }) => kid);
};

test('a key that is as old as the setting says stops signing, once, whoever notices', async () => {
  const bank = await platform.newTenant();
  const app = await bank.post('/api/v2/applications', {
    name: 'Ledgerly',
    auth_method: 'client_secret_basic',
    grant_types: ['authorization_code'],
    scopes: ['accounts:read'],
    redirect_uris: [REDIRECT_URI],
  });
  const config = await discover(platform.issuer(bank), app.id, client.ClientSecretBasic(app.client_secret));
  const browser = new Browser(platform.newPerson(bank, ['accounts:read']));
  const tokens = async () => {
    const { left, verifier, state } = await authorize(config, browser, 'openid accounts:read');
    return client.authorizationCodeGrant(config, left, { pkceCodeVerifier: verifier, expectedState: state });
  };
  const first = await tokens();
  const [old] = await kidsOf(bank, 'active');
  const [next] = await kidsOf(bank, 'next');
  assert.ok(old !== undefined && next !== undefined);
  assert.equal(decodeProtectedHeader(first.id_token ?? '').kid, old);

  await pass(bank, LIFETIME_S - HOUR_S);
  assert.equal(await tend(bank), 0, 'not before its time');
  await pass(bank, HOUR_S + 1);
  assert.equal(await tend(bank), 1, 'one process of three');
  assert.equal(await tend(bank), 0, 'and once');
  assert.deepEqual(await kidsOf(bank, 'active'), [next], 'the key that was published before signs');
  assert.deepEqual(await kidsOf(bank, 'retiring'), [old]);
  assert.equal((await kidsOf(bank, 'next')).length, 1);

  // The longest-lived token of the old key, had it been signed in the last second: an ID token, for an hour.
  await until(async () => (await published(bank)).keys.length === 3, 'all three are published');
  await pass(bank, HOUR_S);
  assert.equal(await tend(bank), 0);
  const { payload } = await jwtVerify(first.id_token ?? '', createLocalJWKSet(await published(bank)), {
    issuer: platform.issuer(bank).href,
  });
  assert.equal(payload.aud, app.id);
  const used = await fetch(`${platform.running.url}/api/v2/accounts`, {
    headers: { authorization: `Bearer ${first.access_token}` },
  });
  assert.equal(used.status, 200);
  assert.equal(decodeProtectedHeader((await tokens()).id_token ?? '').kid, next);

  await pass(bank, HOUR_S + 1);
  assert.equal(await tend(bank), 0);
  assert.deepEqual(await kidsOf(bank, 'retiring'), []);
  await until(
    async () => !(await published(bank)).keys.some(({ kid }) => kid === old),
    'the old one is published no longer',
  );
  const { rows } = await operator.query('select from identity.oauth_signing_keys where kid = $1', [old]);
  assert.equal(rows.length, 0, 'nor kept');
});

test('an issuer that nobody asked for gets no keys, and one is looked after without another', async () => {
  const [quiet, busy] = [await platform.newTenant(), await platform.newTenant()];
  const [db] = databases;
  assert.ok(db !== undefined);
  await makeFirstKeys(db, secrets, busy.scope);
  await pass(busy, LIFETIME_S + 1);
  assert.deepEqual([await tend(quiet), await tend(busy)], [0, 1]);
  const { rows } = await operator.query('select from identity.oauth_signing_keys where tenant_id = $1', [
    quiet.scope.tenant_id,
  ]);
  assert.equal(rows.length, 0);
});

test('the setting is in seconds, a month unless it is set, and never shorter than a key is published', () => {
  assert.equal(readConfig({}).oauth_key_lifetime_s, LIFETIME_S);
  assert.equal(readConfig({ OAUTH_KEY_LIFETIME_S: '86400' }).oauth_key_lifetime_s, 86_400);
  assert.throws(() => readConfig({ OAUTH_KEY_LIFETIME_S: '60' }), /OAUTH_KEY_LIFETIME_S/);
});
