import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { formatId } from '../../platform/ids.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';

let platform: TestPlatform;
let bank: TestTenant;
before(async () => {
  platform = await openTestPlatform();
  bank = await platform.newTenant();
});
after(() => platform.close());

test('whoever is known may ask who they are and what they may do, without any scope for it', async () => {
  const { id, key } = await bank.post('/api/v2/api-keys', {
    label: 'reader',
    scopes: ['accounts:read', 'holds:*'],
    expires_at: '2999-01-01T00:00:00Z',
  });
  const { status, body } = await bank.ask('GET', '/api/v2/self', undefined, {
    authorization: `Bearer ${key}`,
  });
  assert.equal(status, 200);
  assert.deepEqual(body, {
    principal: { kind: 'key', id, name: 'reader' },
    tenant: { id: formatId('ten', bank.scope.tenant_id), name: 'Test' },
    environment: 'sandbox',
    permissions: [
      'accounts:read',
      'holds:capture',
      'holds:place',
      'holds:read',
      'holds:release',
    ],
    narrowed: [],
    plan: 'standard',
    has_limits: false,
    expires_at: '2999-01-01T00:00:00.000Z',
  });
});
