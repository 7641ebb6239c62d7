/** A proof or a token that is good for one request is good for one, whichever of two processes is asked. */
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from 'jose';
import * as client from 'openid-client';
import { type Database, openDatabase } from '../../../platform/db.ts';
import { newUuid } from '../../../platform/ids.ts';
import { openUsedProofs, removeOldProofs } from '../used-proofs.ts';
import { proofChecker } from './dpop.ts';
import { discover, type OAuthPlatform, openOAuthPlatform } from './testing.ts';

let platform: OAuthPlatform;
/** As two processes have it. */
let databases: [Database, Database];
before(async () => {
  platform = await openOAuthPlatform();
  const open = () =>
    openDatabase({
      url: platform.url,
      role: 'identity',
      pool_size: 3,
      statement_timeout_ms: 5_000,
      lock_timeout_ms: 1_000,
      onError: () => {},
    });
  databases = [open(), open()];
});
after(async () => {
  for (const database of databases) await database.close();
  await platform.close();
});

test('a DPoP proof that another process took is refused, also when both are asked at once', async () => {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = await exportJWK(publicKey);
  const expected = {
    method: 'GET',
    url: 'https://bank.example/api/v2/accounts',
    access_token: 'a.b.c',
    jkt: await calculateJwkThumbprint(jwk),
  };
  const prove = () =>
    new SignJWT({
      htm: expected.method,
      htu: expected.url,
      ath: hash('sha256', expected.access_token, 'base64url'),
      jti: newUuid(),
    })
      .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk })
      .setIssuedAt()
      .sign(privateKey);
  const [one, other] = databases.map((db) => proofChecker(openUsedProofs(db)));
  assert.ok(one !== undefined && other !== undefined);
  const proof = await prove();
  assert.equal(await one(proof, expected), undefined);
  assert.match((await other(proof, expected)) ?? '', /used before/);
  assert.match((await one(proof, expected)) ?? '', /used before/);
  for (let round = 0; round < 20; round += 1) {
    const contested = await prove();
    const outcomes: (string | undefined)[] = await Promise.all(
      [one, other, one, other].map((check) => check(contested, expected)),
    );
    assert.equal(outcomes.filter((wrong) => wrong === undefined).length, 1);
  }
});

test('what the API took over HTTP is known to another process', async () => {
  const bank = await platform.newTenant();
  const app = await bank.post('/api/v2/applications', {
    name: 'Settlement',
    auth_method: 'client_secret_post',
    grant_types: ['client_credentials'],
    scopes: ['accounts:read'],
    token_binding: 'dpop',
  });
  const config = await discover(platform.issuer(bank), app.id, client.ClientSecretPost(app.client_secret));
  const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'));
  const { access_token } = await client.clientCredentialsGrant(config, {}, { DPoP });
  const url = new URL(`${platform.running.url}/api/v2/accounts`);
  const count = () => databases[0].run('select from identity.used_proofs');
  const before = await count();
  const answer = await client.fetchProtectedResource(config, access_token, url, 'GET', undefined, undefined, {
    DPoP,
  });
  assert.equal(answer.status, 200);
  assert.equal(await count(), before + 1);
});

test('of many who send the same client assertion at once, one gets a token', async () => {
  const bank = await platform.newTenant();
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const app = await bank.post('/api/v2/applications', {
    name: 'Settlement',
    auth_method: 'private_key_jwt',
    grant_types: ['client_credentials'],
    scopes: ['accounts:read'],
    jwks: { keys: [{ ...(await exportJWK(publicKey)), kid: 'k', use: 'sig', alg: 'ES256' }] },
  });
  const issuer = platform.issuer(bank).href;
  for (let round = 0; round < 5; round += 1) {
    const assertion = await new SignJWT({ jti: newUuid() })
      .setProtectedHeader({ alg: 'ES256', kid: 'k' })
      .setIssuer(app.id)
      .setSubject(app.id)
      .setAudience(issuer)
      .setIssuedAt()
      .setExpirationTime('1m')
      .sign(privateKey);
    const statuses = await Promise.all(
      [1, 2, 3, 4].map(async () => {
        const answer = await fetch(`${issuer}/token`, {
          method: 'POST',
          body: new URLSearchParams({
            grant_type: 'client_credentials',
            client_id: app.id,
            client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
            client_assertion: assertion,
          }),
        });
        return answer.status;
      }),
    );
    assert.equal(statuses.filter((status) => status === 200).length, 1, statuses.join(' '));
    assert.ok(
      statuses.every((status) => [200, 400, 401].includes(status)),
      statuses.join(' '),
    );
  }
});

test('only what can no longer be used is removed', async () => {
  const [db] = databases;
  await db.run('delete from identity.used_proofs');
  await db.run(
    `insert into identity.used_proofs (hash, expires_at)
     select sha256(n::text::bytea), now() - interval '1 second' from generate_series(1, 12000) n`,
  );
  assert.equal(await openUsedProofs(db).use('fresh', 60), true);
  assert.equal(await removeOldProofs(db), 12_000);
  assert.equal(await openUsedProofs(databases[1]).use('fresh', 60), false);
});
