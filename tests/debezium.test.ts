/** The outboxes as Debezium's outbox event router reads them with its default settings, set up as the guide says. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, connect as dial, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Consumer } from '@platformatic/kafka';
import { Client } from 'pg';
import { type Cluster, removeKafka, startKafka, whyNoKafka } from '../scripts/kafka/cluster.ts';
import { startConnect, type Worker, whyNoConnect } from '../scripts/kafka/connect.ts';
import { parseId } from '../src/platform/ids.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../src/platform/postgres.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../src/testing.ts';

const skip = process.env['CI'] === 'true' ? false : (whyNoKafka() ?? whyNoConnect() ?? false);

const guide = readFileSync(new URL('../docs/guides/kafka.md', import.meta.url), 'utf8');

/** The blocks of the guide in a language, in their order. */
function blocksOf(language: string): string[] {
  return [...guide.matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\`$`, 'gm'))].map(
    ([, text = '']) => text,
  );
}

interface Message {
  topic: string;
  key: string;
  value: string;
  headers: Record<string, string>;
}

interface OutboxRow {
  id: string;
  aggregatetype: string;
  aggregateid: string;
  payload: string;
  type: string;
}

describe("Debezium's outbox event router", { timeout: 240_000, skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'financialapi-debezium-'));
  const undo: (() => unknown)[] = [];
  const received: Message[] = [];
  let cluster: Cluster;
  let server: EmbeddedPostgres;
  let platform: TestPlatform;
  let bank: TestTenant;
  let sql: Client;
  let port: number;
  let worker: Worker | undefined;

  before(async () => {
    undo.push(() => rmSync(folder, { recursive: true, force: true }));
    const settings = { wal_level: 'logical', fsync: 'off' };
    [cluster, server] = await Promise.all([
      startKafka({ data_dir: join(folder, 'kafka'), brokers: 1 }),
      startEmbeddedPostgres({ data_dir: join(folder, 'postgres'), settings }),
    ]);
    undo.push(
      () => removeKafka(join(folder, 'kafka')),
      () => cluster.stop(),
      () => server.stop(),
    );
    process.env['TEST_DATABASE_URL'] = server.url;
    platform = await openTestPlatform();
    undo.push(() => platform.close());
    sql = new Client({ connectionString: platform.url });
    await sql.connect();
    undo.push(() => sql.end());
    // The embedded server has a socket only, and Java knows only TCP.
    const door: Server = createServer((coming) => {
      const going = dial(join(server.socket_dir, '.s.PGSQL.5432'));
      coming.pipe(going).pipe(coming);
      coming.on('error', () => going.destroy());
      going.on('error', () => coming.destroy());
      going.on('close', () => coming.destroy());
    });
    await new Promise<void>((resolve) => {
      door.listen(0, '127.0.0.1', resolve);
    });
    undo.push(() => door.close());
    const address = door.address();
    assert.ok(typeof address === 'object' && address !== null);
    port = address.port;
    undo.push(
      // A slot keeps its database from being dropped.
      () =>
        sql.query('select pg_drop_replication_slot(slot_name) from pg_replication_slots where not active'),
      () => worker?.kill(),
    );
    for (const block of blocksOf('sql')) await sql.query(block);
    bank = await platform.newTenant();
    await bank.post('/api/v2/chart-of-accounts', { code: '1', name: 'Cash', type: 'asset' });
  });
  after(async () => {
    for (const step of undo.toReversed()) await step();
  });

  /** The guide's configuration, with the addresses of here. */
  function connector(): string {
    const [text = ''] = blocksOf('properties');
    const own: Record<string, string> = {
      'database.hostname': '127.0.0.1',
      'database.port': String(port),
      'database.dbname': new URL(platform.url).pathname.slice(1),
    };
    const changed = text.replaceAll(/^([a-z.]+)=.*$/gm, (line, name: string) =>
      own[name] === undefined ? line : `${name}=${own[name]}`,
    );
    assert.match(changed, /^transforms.outbox.type=io.debezium.transforms.outbox.EventRouter$/m);
    assert.deepEqual(
      changed.match(/^transforms\.outbox\./gm)?.length,
      1,
      'the router has its default settings',
    );
    return changed;
  }
  function start(): void {
    worker = startConnect({
      data_dir: join(folder, 'connect'),
      brokers: cluster.addresses,
      connector: connector(),
    });
  }

  const open = async (): Promise<string> =>
    (
      await bank.post('/api/v2/accounts', {
        name: 'A',
        currency: 'BRL',
        chart_code: '1',
        credit_limit: { amount: '10', currency: 'BRL' },
      })
    ).id;

  /** What the outboxes hold, of every service and tenant. */
  async function written(): Promise<OutboxRow[]> {
    const outboxes = await sql.query<{ name: string }>('select name from platform.outboxes');
    const { rows } = await sql.query<OutboxRow>(
      outboxes.rows
        .map(({ name }) => `select id, aggregatetype, aggregateid, payload, type from ${name}.outbox`)
        .join(' union all '),
    );
    return rows;
  }

  /** Reads the router's topics, those that it makes later too, until every event is received. */
  async function receiveAll(): Promise<OutboxRow[]> {
    const rows = await written();
    const topics = [...new Set(rows.map(({ aggregatetype }) => `outbox.event.${aggregatetype}`))];
    const missing = () => {
      const seen = new Set(received.map(({ headers }) => headers['id']));
      return rows.filter(({ id }) => !seen.has(id));
    };
    while (missing().length > 0) {
      const end = worker?.end();
      assert.equal(end, undefined, end);
      const consumer = new Consumer({
        groupId: 'debezium-test',
        clientId: 'debezium-test',
        bootstrapBrokers: cluster.addresses.split(','),
      });
      consumer.on('error', () => {});
      try {
        const there =
          (await consumer.listOffsetsWithTimestamps({ topics }).catch(() => undefined)) !== undefined;
        if (there) {
          const stream = await consumer.consume({
            topics,
            mode: 'committed',
            fallbackMode: 'earliest',
            autocommit: true,
          });
          stream.on('error', () => {});
          // A worker that ended brings nothing more: the reason is told above.
          void worker?.ended.then(() => stream.close()).catch(() => {});
          for await (const message of stream) {
            received.push({
              topic: message.topic,
              key: String(message.key),
              value: String(message.value),
              headers: Object.fromEntries(
                [...message.headers].map(([name, value]) => [String(name), String(value)]),
              ),
            });
            if (missing().length === 0) break;
          }
        }
      } finally {
        await consumer.close(true);
      }
      await sleep(200);
    }
    return rows;
  }

  test('events posted through the API come on the topics of what they are about, none lost when a worker is killed', async () => {
    const early = [await open(), await open()];
    await bank.ask('PUT', '/api/v2/approval-policies/accounts:freeze', {});
    // Of the platform's own outbox: a proposal.
    assert.equal((await bank.ask('POST', `/api/v2/accounts/${early[0]}/freeze`)).status, 202);
    // And of the service that was given one last.
    const { id: application } = await bank.post('/api/v2/applications', {
      name: 'Ledgerly',
      auth_method: 'client_secret_basic',
      grant_types: ['client_credentials'],
      scopes: ['accounts:read'],
    });
    const disabled = { status: 'disabled' };
    await bank.ask('PATCH', `/api/v2/applications/${application}`, disabled, { 'if-match': '*' });
    start();
    await receiveAll();

    const live = await open();
    await bank.post('/api/v2/transfers', {
      debit_account_id: early[1],
      credit_account_id: live,
      amount: { amount: '1.50', currency: 'BRL' },
    });
    await receiveAll();

    await Promise.all(Array.from({ length: 20 }, open));
    await worker?.kill();
    await Promise.all(Array.from({ length: 20 }, open));
    start();
    const rows = await receiveAll();

    const byId = new Map(rows.map((row) => [row.id, row]));
    for (const { topic, key, value, headers } of received) {
      const row = byId.get(headers['id'] ?? '');
      assert.ok(row !== undefined, `${topic} holds ${headers['id']}, which no outbox does`);
      assert.deepEqual(
        [topic, key, value],
        [`outbox.event.${row.aggregatetype}`, row.aggregateid, row.payload],
      );
    }
    const accounts = received.filter(({ topic }) => topic === 'outbox.event.account').map(({ key }) => key);
    for (const id of [...early, live]) assert.ok(accounts.includes(parseId('acc', id) ?? ''), id);
    assert.deepEqual(
      new Set(received.map(({ topic }) => topic)),
      new Set(['account', 'transfer', 'proposal', 'application'].map((about) => `outbox.event.${about}`)),
    );
  });
});
