/** One endpoint that does not answer delays no other: a thousand endpoints, of which fifty hang. */
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { after, before, test } from 'node:test';
import { openOutgoing } from '../../platform/outgoing.ts';
import { defineService } from '../../platform/service.ts';
import { services } from '../../services.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';
import { webhooksWith } from './service.ts';
import { arrived, eventually, openAccount, openReceiver, type Receiver, settings } from './testing.ts';

const BANKS = 4;
const ENDPOINTS_EACH = 250;
const HANGING = 50;
/** Fewer than hang: if each of them held one until its time is over, nobody else would get any. */
const QUICK_SLOTS = 16;

let platform: TestPlatform;
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
  platform = await openTestPlatform(settings, {}, [
    ...services.filter(({ name }) => name !== 'webhooks'),
    webhooks,
  ]);
});
after(async () => {
  receiver.close();
  await platform.close();
});

async function newBank(hangs: (number: number) => boolean): Promise<TestTenant> {
  const bank = await platform.newTenant();
  for (let number = 0; number < ENDPOINTS_EACH; number += 1) {
    const path = `/${hangs(number) ? 'hangs' : 'answers'}/${bank.scope.tenant_id}/${number}`;
    const url = `${receiver.url}${path}`;
    await bank.post('/api/v2/webhooks/endpoints', { url, event_types: ['ledger.account.opened'] });
  }
  return bank;
}

const to = (kind: string) => receiver.received.filter(({ path }) => path.startsWith(`/${kind}/`));

test('of 1,000 endpoints 50 hang, and the other 950 get everything meanwhile', async () => {
  const banks = await Promise.all(
    Array.from({ length: BANKS }, (_, bank) =>
      newBank((number) => number % BANKS === bank && number < HANGING),
    ),
  );
  const answering = BANKS * ENDPOINTS_EACH - HANGING;
  for (const round of [1, 2, 3]) {
    await Promise.all(banks.map((bank) => openAccount(bank)));
    await eventually(`all get event ${round}`, () =>
      to('answers').length >= round * answering ? true : undefined,
    );
  }
  // Nobody was answered that hangs, so that none of the others waited for that. Each has one request under way.
  assert.equal(to('answers').length, 3 * answering);
  assert.equal(new Set(to('answers').map(({ path, event }) => `${path} ${event.id}`)).size, 3 * answering);
  await arrived(receiver, 3 * answering + HANGING);
  assert.equal(hanging.length, HANGING);
  assert.equal(new Set(to('hangs').map(({ path }) => path)).size, HANGING);

  isOpen = true;
  for (const response of hanging) response.writeHead(204).end();
  await eventually('those that hung get everything, too', () =>
    new Set(to('hangs').map(({ path, event }) => `${path} ${event.id}`)).size === 3 * HANGING
      ? true
      : undefined,
  );
  assert.equal(to('hangs').length, 3 * HANGING);
});
