import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { issuerOf } from '../src/services/identity/oauth/issuer.ts';
import { openTestPlatform } from '../src/testing.ts';
import { listAccounts } from './oauth-partner.ts';

test('the code of the guide for partners does what it says', async () => {
  const platform = await openTestPlatform({
    IDENTITY_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
  });
  try {
    const bank = await platform.newTenant();
    const { id, client_secret } = await bank.post('/api/v2/applications', {
      name: 'Ledgerly',
      auth_method: 'client_secret_basic',
      grant_types: ['client_credentials'],
      scopes: ['accounts:read'],
      token_binding: 'dpop',
    });
    const issuer = new URL(issuerOf(platform.running.url, bank.scope));
    assert.deepEqual(await listAccounts(issuer, id, client_secret), { data: [], next_cursor: null });
  } finally {
    await platform.close();
  }
});

test('the guide for partners shows the code that is tested', () => {
  const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');
  assert.ok(read('../docs/guides/oauth-for-a-partner.md').includes(read('oauth-partner.ts')));
});
