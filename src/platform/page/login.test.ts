import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openTestPlatform } from '../../testing.ts';

test('where clients come over https, the cookie of a log-in is for https only', async () => {
  const platform = await openTestPlatform({ PUBLIC_URL: 'https://bank.example' });
  try {
    const { key } = await platform.newTenant();
    const answer = await platform.running.app.inject({
      method: 'POST',
      url: '/login',
      headers: { 'content-type': 'application/x-www-form-urlencoded', 'sec-fetch-site': 'same-origin' },
      payload: `key=${key}`,
    });
    assert.equal(answer.statusCode, 303);
    assert.match(String(answer.headers['set-cookie']), /; HttpOnly; Secure; SameSite=Strict$/);
  } finally {
    await platform.close();
  }
});
