/** What holds for every bus, as tests that are given the settings of one. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { boot, type Running } from '../src/platform/boot.ts';
import type { Event } from '../src/platform/bus/event.ts';
import { readConfig } from '../src/platform/config.ts';
import { formatId, parseId } from '../src/platform/ids.ts';
import { refuse } from '../src/platform/problem.ts';
import { services } from '../src/services.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../src/testing.ts';
import { probeService } from './probe/service.ts';

interface Effect {
  event_id: string;
  sequence: string;
  type: string;
  aggregateid: string;
}

/** Asks until the answer is as wanted; the test's own time limit ends it otherwise. */
async function until<T>(ask: () => Promise<T>, wanted: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (wanted(answer)) return answer;
    await sleep(20);
  }
}

/** @param skip why the bus cannot be tested here; false where it can */
export function testBus(
  name: string,
  settings: () => Promise<Record<string, string>>,
  skip: string | false = false,
): void {
  describe(`the bus on ${name}`, { timeout: 300_000, skip }, () => {
    let platform: TestPlatform;
    let second: Running;
    let sql: Client;
    const refused = new Set<string>();
    /** Of which the database says, each time, that it took too long. */
    const slow = new Set<string>();
    const probe = probeService(({ aggregateid }: Event) => {
      if (slow.has(aggregateid))
        throw refuse('unavailable', 'The database took longer than a statement may.');
      return refused.has(aggregateid);
    });

    before(async () => {
      const chosen = await settings();
      platform = await openTestPlatform(chosen, {}, [...services, probe]);
      // Another process of the same installation, with its own relay and consumers.
      second = await boot(
        readConfig({ DATABASE_URL: platform.url, PORT: '0', DEMO: 'false', LOG_LEVEL: 'error', ...chosen }),
        [...services, probe],
      );
      sql = new Client({ connectionString: platform.url });
      await sql.connect();
    });
    after(async () => {
      await sql?.end();
      await second?.stop();
      await platform?.close();
    });

    async function effects(tenant: TestTenant): Promise<Effect[]> {
      const { rows } = await sql.query<Effect>(
        'select event_id, sequence, type, aggregateid from probe.effects where tenant_id = $1 order by number',
        [tenant.scope.tenant_id],
      );
      return rows;
    }
    async function newTenant(): Promise<TestTenant> {
      const tenant = await platform.newTenant();
      await chart(tenant);
      return tenant;
    }
    /** Events that any consumer, or what fills the bus, has yet to receive. */
    async function lagOfAll(): Promise<number> {
      const { text } = await (await platform.newTenant()).ask('GET', '/metrics');
      const lags = [...text.matchAll(/^events_consumer_lag\{.*\} (\d+)$/gm)];
      assert.ok(lags.length > 0, text);
      return lags.reduce((sum, [, lag]) => sum + Number(lag), 0);
    }
    /** What an account needs. */
    async function chart(tenant: TestTenant): Promise<void> {
      await tenant.post('/api/v2/chart-of-accounts', { code: '2100', name: 'Deposits', type: 'liability' });
    }
    async function account(tenant: TestTenant): Promise<string> {
      const { id } = await tenant.post('/api/v2/accounts', {
        name: 'A',
        currency: 'BRL',
        chart_code: '2100',
      });
      return id;
    }
    async function rename(tenant: TestTenant, id: string, to: string): Promise<void> {
      const { headers } = await tenant.ask('GET', `/api/v2/accounts/${id}`);
      const answer = await tenant.ask(
        'PATCH',
        `/api/v2/accounts/${id}`,
        { name: to },
        { 'if-match': headers['etag'] ?? '' },
      );
      assert.equal(answer.status, 200, answer.text);
    }
    const uuid = (id: string) => parseId('acc', id) ?? '';

    test('each event takes effect once, in the order of its aggregate, with two processes', async () => {
      const tenant = await newTenant();
      const ids = await Promise.all(Array.from({ length: 8 }, () => account(tenant)));
      for (let round = 0; round < 5; round += 1) {
        await Promise.all(ids.map((id) => rename(tenant, id, `Round ${round}`)));
      }
      const seen = await until(
        () => effects(tenant),
        (rows) => rows.length >= 48,
      );
      assert.equal(new Set(seen.map(({ event_id }) => event_id)).size, 48);
      for (const id of ids) {
        const own = seen
          .filter(({ aggregateid }) => aggregateid === uuid(id))
          .map(({ sequence }) => Number(sequence));
        assert.equal(own.length, 6);
        assert.deepEqual(
          own,
          own.toSorted((a, b) => a - b),
        );
      }
      const { rows } = await sql.query<{ sequence: string }>(
        'select sequence from platform.events where tenant_id = $1 order by sequence',
        [tenant.scope.tenant_id],
      );
      assert.deepEqual(
        rows.map(({ sequence }) => Number(sequence)),
        Array.from({ length: 48 }, (_, n) => n + 1),
      );
    });

    test('what is delivered again does nothing', async () => {
      const tenant = await newTenant();
      await account(tenant);
      await until(
        () => effects(tenant),
        (rows) => rows.length === 1,
      );
      // The consumer's own place in the log, or that of what fills the bus from it.
      await sql.query('update platform.consumer_offsets set log_offset = 0');
      await account(tenant);
      await until(
        () => effects(tenant),
        (rows) => rows.length >= 2,
      );
      await until(lagOfAll, (lag) => lag === 0);
      assert.equal((await effects(tenant)).length, 2);
    });

    test('a consumer that wants nothing of a tenant receives nothing of it, until it does', async () => {
      const tenant = await newTenant();
      const received = async () => {
        const { rows } = await sql.query<{ type: string }>(
          `select e.type from platform.inbox i join platform.events e on e.tenant_id = i.tenant_id and e.id = i.event_id
           where i.tenant_id = $1 and i.consumer = 'webhooks' order by e.sequence`,
          [tenant.scope.tenant_id],
        );
        return rows.map(({ type }) => type);
      };
      const id = await account(tenant);
      await until(
        () => effects(tenant),
        (rows) => rows.length === 1,
      );
      await until(lagOfAll, (lag) => lag === 0);
      assert.deepEqual(await received(), []);
      await tenant.post('/api/v2/webhooks/endpoints', {
        url: 'https://partner.example/hook',
        event_types: ['ledger.account.opened'],
      });
      await rename(tenant, id, 'Wanted');
      const types = await until(received, (found) => found.includes('ledger.account.edited'));
      assert.equal(types.includes('ledger.account.opened'), false);
    });

    test('a transaction that commits late is not skipped, nor overtaken by a later one of its tenant', async () => {
      const [late, early] = [await newTenant(), await newTenant()];
      const ids = { late: await account(late), early: await account(early) };
      await until(
        () => effects(late),
        (rows) => rows.length === 1,
      );
      const slow = new Client({ connectionString: platform.url });
      await slow.connect();
      try {
        await slow.query('begin');
        await slow.query(
          `with head as (update ledger.heads set outbox_sequence = outbox_sequence + 1
             where tenant_id = $1 and environment = 'sandbox' returning outbox_sequence)
           insert into ledger.outbox (tenant_id, environment, sequence, id, time, type, source, aggregatetype, aggregateid, payload)
           select $1, 'sandbox', outbox_sequence, gen_random_uuid(), now(), 'ledger.account.late', '/ledger', 'account', $2, '{}'
           from head`,
          [late.scope.tenant_id, uuid(ids.late)],
        );
        // Another tenant's event begins later and commits first; one of the same tenant has to wait.
        await rename(early, ids.early, 'Early');
        const waiting = rename(late, ids.late, 'Later');
        await until(
          () => effects(early),
          (rows) => rows.length === 2,
        );
        assert.equal((await effects(late)).length, 1);
        await slow.query('commit');
        await waiting;
      } finally {
        await slow.end();
      }
      const seen = await until(
        () => effects(late),
        (rows) => rows.length >= 3,
      );
      assert.deepEqual(
        seen.map(({ type }) => type),
        ['ledger.account.opened', 'ledger.account.late', 'ledger.account.edited'],
      );
    });

    test('an event that fails is parked, holds back its own aggregate only, and is redriven', async () => {
      const tenant = await newTenant();
      const [poisoned, sound] = [await account(tenant), await account(tenant)];
      await until(
        () => effects(tenant),
        (rows) => rows.length === 2,
      );
      refused.add(uuid(poisoned));
      await rename(tenant, poisoned, 'First');
      await rename(tenant, poisoned, 'Second');
      await rename(tenant, sound, 'Other');
      await until(
        () => effects(tenant),
        (rows) => rows.length === 3,
      );
      const held = await until(
        () => tenant.get('/api/v2/held-events?consumer=probe'),
        ({ data }) => data.length === 2 && data[1].state === 'parked',
      );
      assert.deepEqual(
        held.data.map((one: Record<string, unknown>) => [one['state'], one['subject'], one['attempts']]),
        [
          ['waiting', poisoned, 0],
          ['parked', poisoned, 3],
        ],
      );
      const [, parked] = held.data;
      assert.match(parked.reason, /the probe refuses this event/);
      const path = `/api/v2/consumers/probe/held-events/${parked.event_id}`;
      assert.equal((await tenant.get(path)).state, 'parked');
      const other = await newTenant();
      assert.equal((await other.ask('POST', `${path}/redrive`)).status, 404);
      // It still fails: parked again. Then it does not.
      await tenant.post(`${path}/redrive`);
      await until(
        () => tenant.get(path),
        ({ state }) => state === 'parked',
      );
      refused.clear();
      await tenant.post(`${path}/redrive`);
      const seen = await until(
        () => effects(tenant),
        (rows) => rows.length === 5,
      );
      assert.deepEqual(
        seen
          .filter(({ aggregateid }) => aggregateid === uuid(poisoned))
          .map(({ event_id }) => formatId('evt', event_id))
          .slice(1),
        [parked.event_id, held.data[0].event_id],
      );
      assert.deepEqual((await tenant.get('/api/v2/held-events')).data, []);
      const [record] = (await tenant.get(`/api/v2/audit?subject=${parked.event_id}`)).data;
      assert.deepEqual([record.before.state, record.after.state], ['parked', 'retrying']);
    });

    test('an event that is given up never takes effect, is on record with the reason, and those behind it go on', async () => {
      const tenant = await newTenant();
      const id = await account(tenant);
      await until(
        () => effects(tenant),
        (rows) => rows.length === 1,
      );
      refused.add(uuid(id));
      await rename(tenant, id, 'Given up');
      await rename(tenant, id, 'Goes on');
      const held = await until(
        () => tenant.get('/api/v2/held-events?consumer=probe'),
        ({ data }) => data.length === 2 && data[1].state === 'parked',
      );
      const [waiting, parked] = held.data;
      const discardOf = (event: string) => `/api/v2/consumers/probe/held-events/${event}/discard`;
      const reason = { reason: 'Its account was closed by hand' };
      const early = await tenant.ask('POST', discardOf(waiting.event_id), reason);
      assert.deepEqual([early.status, early.body.code], [409, 'held_event_waiting']);
      const other = await newTenant();
      assert.equal((await other.ask('POST', discardOf(parked.event_id), reason)).status, 404);
      assert.equal((await tenant.ask('POST', discardOf(parked.event_id), {})).status, 400);
      refused.clear();
      assert.equal((await tenant.post(discardOf(parked.event_id), reason)).state, 'parked');
      await until(
        () => effects(tenant),
        (rows) => rows.length === 2,
      );
      assert.equal((await tenant.ask('POST', discardOf(parked.event_id), reason)).status, 404);
      // Delivered again it does nothing, either.
      await until(lagOfAll, (lag) => lag === 0);
      await sql.query('update platform.consumer_offsets set log_offset = 0');
      await rename(tenant, id, 'And again');
      await until(
        () => effects(tenant),
        (rows) => rows.length >= 3,
      );
      await until(lagOfAll, (lag) => lag === 0);
      assert.deepEqual(
        (await effects(tenant)).map(({ sequence }) => Number(sequence)),
        [1, 3, 4],
      );
      assert.deepEqual((await tenant.get('/api/v2/held-events')).data, []);
      const { data: records } = await tenant.get(`/api/v2/audit?subject=${parked.event_id}`);
      const record = records.find(({ outcome }: { outcome: string }) => outcome === 'done');
      assert.deepEqual(
        [record.permission, record.before.state, record.after],
        ['held_events:discard', 'parked', { discarded: true, ...reason }],
      );
    });

    test('events are replayed into a consumer from a place on, once for a key', async () => {
      const tenant = await newTenant();
      const id = await account(tenant);
      await rename(tenant, id, 'One');
      await rename(tenant, id, 'Two');
      await until(
        () => effects(tenant),
        (rows) => rows.length === 3,
      );
      const headers = { 'idempotency-key': 'replay-1' };
      await tenant.post('/api/v2/consumers/probe/replay', { from_sequence: 2 }, headers);
      const seen = await until(
        () => effects(tenant),
        (rows) => rows.length >= 5,
      );
      assert.deepEqual(
        seen.map(({ sequence }) => Number(sequence)),
        [1, 2, 3, 2, 3],
      );
      const again = await tenant.ask('POST', '/api/v2/consumers/probe/replay', { from_sequence: 2 }, headers);
      assert.equal(again.headers['idempotent-replayed'], 'true');
      const [record] = (await tenant.get('/api/v2/audit?permission=held_events:redrive')).data;
      assert.deepEqual(record.after, { consumer: 'probe', from_sequence: 2 });
      assert.equal((await effects(tenant)).length, 5);
      assert.equal(
        (await tenant.ask('POST', '/api/v2/consumers/nobody/replay', { from_sequence: 1 })).status,
        404,
      );
      assert.equal((await tenant.ask('POST', '/api/v2/consumers/probe/replay', {})).status, 400);
    });

    test('an event that the database gives up each time holds back its own aggregate only, too', async () => {
      const tenant = await newTenant();
      const ids = await Promise.all(Array.from({ length: 20 }, () => account(tenant)));
      await until(
        () => effects(tenant),
        (rows) => rows.length === 20,
      );
      const [poisoned = '', ...sound] = ids;
      slow.add(uuid(poisoned));
      await rename(tenant, poisoned, 'Slow');
      // Of twenty aggregates some are in the partition of the first.
      await Promise.all(sound.map((id) => rename(tenant, id, 'Sound')));
      await until(
        () => effects(tenant),
        (rows) => rows.length === 39,
      );
      const { data } = await until(
        () => tenant.get('/api/v2/held-events?state=parked'),
        (found) => found.data.length > 0,
      );
      assert.deepEqual([data[0].subject, data[0].attempts], [poisoned, 3]);
      assert.match(data[0].reason, /^unavailable: /);
      slow.clear();
    });

    test('a replayed event that fails is parked as any other', async () => {
      const tenant = await newTenant();
      const id = await account(tenant);
      await until(
        () => effects(tenant),
        (rows) => rows.length === 1,
      );
      refused.add(uuid(id));
      await tenant.post('/api/v2/consumers/probe/replay', { from_sequence: 1 });
      const { data } = await until(
        () => tenant.get('/api/v2/held-events?state=parked'),
        (found) => found.data.length > 0,
      );
      assert.deepEqual([data[0].subject, data[0].attempts], [id, 3]);
      refused.clear();
      await tenant.post(`/api/v2/consumers/probe/held-events/${data[0].event_id}/redrive`);
      const seen = await until(
        () => effects(tenant),
        (rows) => rows.length === 2,
      );
      assert.deepEqual(
        seen.map(({ sequence }) => Number(sequence)),
        [1, 1],
      );
    });

    test('after a sandbox was emptied its new events are carried, and their sequence goes on', async () => {
      const tenant = await newTenant();
      await account(tenant);
      await account(tenant);
      await until(
        () => effects(tenant),
        (rows) => rows.length === 2,
      );
      await tenant.post('/api/v2/sandbox/reset', {});
      await chart(tenant);
      await account(tenant);
      const seen = await until(
        () => effects(tenant),
        (rows) => rows.length === 3,
      );
      assert.equal(Number(seen.at(-1)?.sequence), 3);
    });
  });
}
