/** Services in processes of their own: who is signed in, keys, jobs and calls between services work across them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import * as oauth from 'openid-client';
import { Client as Sql } from 'pg';
import { formatId } from '../src/platform/ids.ts';
import { audit } from './audit.ts';
import { type Answer, type Client, openClient } from './client.ts';
import { openTopology, type Topology } from './topology.ts';

let topology: Topology;
let client: Client;
let sql: Sql;
before(async () => {
  topology = await openTopology();
  await Promise.all([topology.start(['identity']), topology.start(['ledger'])]);
  client = openClient(() => ({ url: topology.gateway.url, key: topology.tenant.key }));
  sql = new Sql({ connectionString: topology.databaseUrl });
  await sql.connect();
});
after(async () => {
  await sql?.end();
  await topology?.close();
});

async function ask(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const answer = await client.ask(
    method,
    path,
    body,
    method === 'POST' ? crypto.randomUUID() : undefined,
    headers,
  );
  assert.ok(answer !== undefined, `${method} ${path}: no answer`);
  return answer;
}

/** Where the process of a service listens. */
function urlOf(service: string): string {
  const found = topology.processes.find(({ services }) => services.includes(service));
  assert.ok(found !== undefined);
  return found.server.url;
}

test('a sandbox is emptied by one service and filled by the other, which is on record for the caller', async () => {
  const reset = await ask('POST', '/api/v2/sandbox/reset', { seed: 'demo' });
  assert.equal(reset.status, 201, JSON.stringify(reset.body));
  assert.ok(typeof reset.body.seeded_at === 'string');
  assert.equal((await ask('GET', '/api/v2/accounts?limit=100')).body.data.length, 13);
  assert.deepEqual(await audit(sql, topology.tenant.scope), []);
  const trail = await ask('GET', '/api/v2/audit?permission=sandbox:reset');
  assert.deepEqual(
    trail.body.data
      .map((record: Record<string, { kind: string; name: string } | undefined>) => [
        record['principal']?.kind,
        record['principal']?.name,
        record['on_behalf_of']?.kind,
        record['outcome'],
      ])
      .toSorted(),
    [
      ['key', 'first', undefined, 'done'],
      ['service', 'identity', 'key', 'done'],
    ],
  );
});

test('whoever signs in with one service is known to the other', async () => {
  const { token } = (
    await ask('POST', '/api/v2/invitations', { email: 'ana@bank.example', roles: ['operations'] })
  ).body;
  const browser = { 'sec-fetch-site': 'same-origin' };
  const password = 'correct horse battery';
  const post = (path: string, body: object) =>
    fetch(`${topology.gateway.url}${path}`, {
      method: 'POST',
      headers: { ...browser, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  assert.equal((await post('/identity/invitations/accept', { token, name: 'Ana', password })).status, 201);
  const signedIn = await post('/identity/sign-in', { email: 'ana@bank.example', password });
  assert.match(await signedIn.text(), /"status":"signed_in"/);
  const cookie = signedIn.headers
    .getSetCookie()
    .map((line) => line.split(';')[0])
    .join('; ');
  const seen = async (path: string) =>
    (await fetch(`${topology.gateway.url}${path}`, { headers: { ...browser, cookie } })).status;
  assert.deepEqual([await seen('/api/v2/self'), await seen('/api/v2/accounts')], [200, 200]);
});

test('an access token of one service is good at the other', async () => {
  const created = (
    await ask('POST', '/api/v2/applications', {
      name: 'Partner',
      auth_method: 'client_secret_basic',
      grant_types: ['client_credentials'],
      scopes: ['accounts:read'],
    })
  ).body;
  const issuer = new URL(
    `${topology.gateway.url}/oauth/${formatId('ten', topology.tenant.scope.tenant_id)}/sandbox`,
  );
  const config = await oauth.discovery(
    issuer,
    created.id,
    {},
    oauth.ClientSecretBasic(created.client_secret ?? created.secret),
    {
      execute: [oauth.allowInsecureRequests],
    },
  );
  const { access_token } = await oauth.clientCredentialsGrant(config, { scope: 'accounts:read' });
  const by = { authorization: `Bearer ${access_token}` };
  assert.equal((await ask('GET', '/api/v2/accounts', undefined, by)).status, 200);
  assert.equal((await ask('GET', '/api/v2/transfers', undefined, by)).status, 403);
});

test('every process knows every permission, and says where what it does not have may be', async () => {
  const created = await ask('POST', '/api/v2/api-keys', { label: 'poster', scopes: ['transfers:post'] });
  assert.deepEqual([created.status, created.body.scopes], [201, ['transfers:post']]);
  const [identity, ledger] = [urlOf('identity'), urlOf('ledger')];
  const at = async (url: string, path: string) => {
    const answer = await openClient(() => ({ url, key: topology.tenant.key })).ask('GET', path);
    assert.ok(answer !== undefined);
    return answer;
  };
  assert.equal((await at(identity, '/api/v2/api-keys')).status, 200);
  const elsewhere = await at(ledger, '/api/v2/api-keys');
  assert.deepEqual([elsewhere.status, elsewhere.body.code], [404, 'not_found']);
  assert.match(
    elsewhere.body.detail,
    /This process runs ledger; identity, webhooks, notifications, probe run elsewhere/,
  );
  for (const url of [identity, ledger]) {
    const names = (await at(url, '/api/v2/jobs')).body.data.map(({ name }: { name: string }) => name);
    assert.ok(names.includes('ledger.expire_holds'), `${names}`);
  }
});

test('what is approved at a process that does not have the route is carried out by one that has', async () => {
  const accounts = (await ask('GET', '/api/v2/accounts?limit=100')).body.data;
  const idOf = (name: string) => accounts.find((account: { name: string }) => account.name === name).id;
  const identity = openClient(() => ({ url: urlOf('identity'), key: topology.tenant.key }));
  // Set at a process that does not know the route, and with an amount, which it cannot know of either.
  const policy = await identity.ask('PUT', '/api/v2/approval-policies/transfers:post', {
    above: [{ amount: '0.50', currency: 'BRL' }],
  });
  assert.equal(policy?.status, 201, JSON.stringify(policy?.body));
  const unknown = await identity.ask('PUT', '/api/v2/approval-policies/nothing:post', {});
  assert.deepEqual([unknown?.status, unknown?.body.code], [422, 'action_not_subject']);
  let proposed;
  do {
    proposed = await ask('POST', '/api/v2/transfers', {
      debit_account_id: idOf('Reserves BRL'),
      credit_account_id: idOf('Ana Souza'),
      amount: { amount: '1.00', currency: 'BRL' },
    });
    // The word of the policy is on its way.
  } while (proposed.status === 201);
  assert.equal(proposed.status, 202, JSON.stringify(proposed.body));
  const path = `/api/v2/proposals/${proposed.body.id}`;
  const approved = await fetch(`${urlOf('identity')}${path}/approve`, {
    method: 'POST',
    headers: { authorization: `Bearer ${topology.tenant.second}`, 'content-type': 'application/json' },
    body: '{}',
  });
  assert.equal(approved.status, 200, await approved.text());
  const deadline = performance.now() + 20_000;
  let shown = await ask('GET', path);
  while (shown.body.status === 'approved') {
    assert.ok(performance.now() < deadline, 'nobody carries it out');
    await sleep(50);
    shown = await ask('GET', path);
  }
  assert.equal(shown.body.status, 'executed', JSON.stringify(shown.body));
  assert.equal((await ask('GET', shown.body.result.location)).status, 200);
});
