/** One endpoint that does not answer delays no other: a thousand endpoints, of which fifty hang. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { after, before, test } from 'node:test';
import { Client } from 'pg';
import { newUuid } from '../../platform/ids.ts';
import { openOutgoing } from '../../platform/outgoing.ts';
import { openSecrets } from '../../platform/secret.ts';
import { defineService } from '../../platform/service.ts';
import { services } from '../../services.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';
import { webhooksWith } from './service.ts';
import { signingKeyContext } from './signing-key.ts';
import { arrived, eventually, openAccount, openReceiver, type Receiver, settings } from './testing.ts';

const BANKS = 4;
const ENDPOINTS_EACH = 250;
const HANGING = 50;
const ROUNDS = 2;
/** Fewer than hang: if each of them held one until its time is over, nobody else would get any. */
const QUICK_SLOTS = 16;

const encryptionKey = randomBytes(32);
let platform: TestPlatform;
let sql: Client;
let receiver: Receiver;
/** Requests that nobody has answered yet. */
const hanging: ServerResponse[] = [];
let isOpen = false;

before(async () => {
  receiver = await openReceiver(({ path }, response) => {
    if (path.startsWith('/hangs/') && !isOpen) hanging.push(response);
    else response.writeHead(204).end();
  });
  // None of those that hang is given up before the test is over.
  const timeout_ms = 280_000;
  const outgoing = openOutgoing({ allow: ['127.0.0.0/8'], timeout_ms });
  const usual = webhooksWith({ quick_slots: QUICK_SLOTS, quick_ms: 100, timeout_ms });
  const webhooks = defineService({
    ...usual,
    start: async (context) => {
      const running = await usual.start({ ...context, outgoing });
      const stop = async () => {
        await running.stop();
        await outgoing.stop();
      };
      return { ...running, stop };
    },
  });
  platform = await openTestPlatform(
    { ...settings, IDENTITY_ENCRYPTION_KEY: encryptionKey.toString('base64') },
    {},
    [...services.filter(({ name }) => name !== 'webhooks'), webhooks],
  );
  sql = new Client({ connectionString: platform.url });
  await sql.connect();
});
after(async () => {
  await sql.end();
  receiver.close();
  await platform.close();
});

/** A bank with its endpoints, which are written at once: a thousand requests would take longer than what is tested. */
async function newBank(hangs: (number: number) => boolean): Promise<TestTenant> {
  const bank = await platform.newTenant();
  const secrets = openSecrets({ keys: [encryptionKey], data_dir: '' });
  const made = Array.from({ length: ENDPOINTS_EACH }, (_, number) => {
    const key = newUuid();
    const secret = `whsec_${randomBytes(32).toString('base64')}`;
    return {
      id: newUuid(),
      url: `${receiver.url}/${hangs(number) ? 'hangs' : 'answers'}/${bank.scope.tenant_id}/${number}`,
      key,
      secret: secrets.encrypt(secret, signingKeyContext(bank.scope, key)),
    };
  });
  const own = [bank.scope.tenant_id, bank.scope.environment, made.map(({ id }) => id)];
  await sql.query(
    `insert into webhooks.endpoints (tenant_id, environment, id, url, description, event_types, ordered, personal_data, created_by)
     select $1, $2, n.id, n.url, '', '{ledger.account.opened}', false, false, 'test'
     from unnest($3::uuid[], $4::text[]) n (id, url)`,
    [...own, made.map(({ url }) => url)],
  );
  await sql.query(
    `insert into webhooks.signing_keys (tenant_id, environment, id, endpoint_id, scheme, secret)
     select $1, $2, n.key, n.id, 'hmac', n.secret from unnest($3::uuid[], $4::uuid[], $5::text[]) n (id, key, secret)`,
    [...own, made.map(({ key }) => key), made.map(({ secret }) => secret)],
  );
  return bank;
}

const to = (kind: string) => receiver.received.filter(({ path }) => path.startsWith(`/${kind}/`));

test('of 1,000 endpoints 50 hang, and the other 950 get everything meanwhile', async () => {
  const banks: TestTenant[] = [];
  for (let bank = 0; bank < BANKS; bank += 1) {
    banks.push(await newBank((number) => number % BANKS === bank && number < HANGING));
  }
  const answering = BANKS * ENDPOINTS_EACH - HANGING;
  for (let round = 1; round <= ROUNDS; round += 1) {
    await Promise.all(banks.map((bank) => openAccount(bank)));
    await eventually(`all get event ${round}`, () =>
      to('answers').length >= round * answering ? true : undefined,
    );
  }
  // Nobody was answered that hangs, so that none of the others waited for that. Each has one request under way.
  assert.equal(to('answers').length, ROUNDS * answering);
  assert.equal(
    new Set(to('answers').map(({ path, event }) => `${path} ${event.id}`)).size,
    ROUNDS * answering,
  );
  await arrived(receiver, ROUNDS * answering + HANGING);
  assert.equal(hanging.length, HANGING);
  assert.equal(new Set(to('hangs').map(({ path }) => path)).size, HANGING);

  isOpen = true;
  for (const response of hanging) response.writeHead(204).end();
  await eventually('those that hung get everything, too', () =>
    new Set(to('hangs').map(({ path, event }) => `${path} ${event.id}`)).size === ROUNDS * HANGING
      ? true
      : undefined,
  );
  assert.equal(to('hangs').length, ROUNDS * HANGING);
});
