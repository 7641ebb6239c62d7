/**
 * Traces: the place that a caller names is carried from its request into events, to who consumes them and to who is asked
 * because of them, with spans or without; and spans tell of that way and of nothing that is nobody's business.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import type { Event } from '../src/platform/bus/event.ts';
import { newUuid, parseId } from '../src/platform/ids.ts';
import { addEvent } from '../src/platform/outbox.ts';
import { currentTraceparent, doAt, readTraceparent } from '../src/platform/trace/context.ts';
import { services } from '../src/services.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../src/testing.ts';
import { openCollector } from './otlp.ts';
import { probeService } from './probe/service.ts';

const LIMIT = { timeout: 120_000 };
const idOf = (letter: string) => letter.repeat(32);
const traceparent = (letter: string, flags = '01') => `00-${idOf(letter)}-${'b'.repeat(16)}-${flags}`;

/** Asks until there is an answer; the test's own time limit ends it otherwise. */
async function until<T>(ask: () => Promise<T | undefined> | T | undefined): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    await sleep(20);
  }
}

/** Somebody outside who is asked, and keeps the `traceparent` that came with each request. */
async function openOutside(t: TestContext): Promise<{ url: string; heard: Map<string, string | undefined> }> {
  const heard = new Map<string, string | undefined>();
  const server = createServer((request, response) => {
    heard.set(request.url ?? '', String(request.headers['traceparent']));
    response.end('ok');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return { url: `http://127.0.0.1:${address.port}`, heard };
}

interface World {
  platform: TestPlatform;
  tenant: TestTenant;
  sql: Client;
  /** Ids of two accounts. */
  accounts: [string, string];
  /** What was the place while the probe heard each event, by its id, and what the outside was told. */
  places: Map<string, string | undefined>;
  outside: Awaited<ReturnType<typeof openOutside>>;
  lines: string[];
  /** The `traceparent` of the one event about something. */
  told: (subject: string) => Promise<string | null>;
}

async function open(t: TestContext, settings: Record<string, string>): Promise<World> {
  const outside = await openOutside(t);
  const places = new Map<string, string | undefined>();
  const lines: string[] = [];
  const hear = async (event: Event, outgoing: { guardedFetch: (url: string) => Promise<unknown> }) => {
    await outgoing.guardedFetch(`${outside.url}/${event.id}`);
    places.set(event.id, currentTraceparent());
  };
  const platform = await openTestPlatform(
    { OUTGOING_ALLOW: '127.0.0.0/8', ...settings },
    { logStream: { write: (line: string) => lines.push(line) } },
    [...services, probeService(() => false, { hear })],
  );
  const sql = new Client({ connectionString: platform.url });
  await sql.connect();
  t.after(async () => {
    await sql.end();
    await platform.close();
  });
  const tenant = await platform.newTenant();
  await tenant.post('/api/v2/chart-of-accounts', { code: '2100', name: 'Deposits', type: 'liability' });
  const account = async () => {
    const body = { name: 'Maria da Silva', currency: 'BRL', chart_code: '2100', credit_limit: null };
    return String((await tenant.post('/api/v2/accounts', body)).id);
  };
  const accounts: [string, string] = [await account(), await account()];
  const told = (subject: string) =>
    until(async () => {
      const { data } = await tenant.get(`/api/v2/events?subject=${subject}`);
      return data.length === 0 ? undefined : (data[0].traceparent ?? null);
    });
  return { platform, tenant, sql, accounts, places, outside, lines, told };
}

function transfer(world: World, headers: Record<string, string>, description = 'Lunch') {
  const [debit_account_id, credit_account_id] = world.accounts;
  return world.tenant.ask(
    'POST',
    '/api/v2/transfers',
    {
      debit_account_id,
      credit_account_id,
      amount: { amount: '1.00', currency: 'BRL' },
      description,
    },
    headers,
  );
}

test(
  'without spans the place of a caller goes from its request to events, consumers and who is asked',
  LIMIT,
  async (t) => {
    const world = await open(t, {});
    const { tenant, sql, places, outside, told } = world;
    const letters = ['1', '2', '3', '4', '5', '6'];
    // They are posted in few commits; each event has the place of its own request, or none.
    const answers = await Promise.all(
      letters.flatMap((letter) => [
        transfer(world, { traceparent: traceparent(letter) }),
        transfer(world, { 'idempotency-key': `untraced-${letter}` }),
      ]),
    );
    for (const [index, { status, body, text }] of answers.entries()) {
      assert.equal(status, 201, text);
      const letter = letters[index >> 1] ?? '';
      assert.equal(await told(body.id), index % 2 === 0 ? traceparent(letter) : null);
    }

    const batch = await tenant.post(
      '/api/v2/transfers/batch',
      {
        transfers: [1, 2, 3].map(() => ({
          debit_account_id: world.accounts[0],
          credit_account_id: world.accounts[1],
          amount: { amount: '1.00', currency: 'BRL' },
        })),
      },
      { traceparent: traceparent('7', '00') },
    );
    for (const { transfer: posted } of batch.outcomes) {
      assert.equal(await told(posted.id), traceparent('7', '00'));
    }

    const opened = await tenant.post(
      '/api/v2/accounts',
      { name: 'A', currency: 'BRL', chart_code: '2100' },
      { traceparent: traceparent('8') },
    );
    assert.equal(await told(opened.id), traceparent('8'));

    const place = readTraceparent(traceparent('9'));
    await world.platform.running.platform.write(tenant.scope, (tx) =>
      doAt(place, () =>
        addEvent(tx, tenant.scope, { type: 'platform.limit.near', subject: 'somebody', data: {} }),
      ),
    );
    world.platform.running.wakeRelay();
    assert.equal(await told('somebody'), traceparent('9'));

    for (const wrong of [
      'nonsense',
      `00-${'0'.repeat(32)}-${'b'.repeat(16)}-01`,
      `ff-${idOf('a')}-${'b'.repeat(16)}-01`,
      `00-${idOf('A')}-${'b'.repeat(16)}-01`,
      `${traceparent('a')}-more`,
    ]) {
      const { status, body } = await transfer(world, { traceparent: wrong });
      assert.equal(status, 201);
      assert.equal(await told(body.id), null, wrong);
    }

    const { rows } = await sql.query<{ id: string; traceparent: string | null }>(
      "select id, traceparent from platform.events where tenant_id = $1 and type like 'ledger.%'",
      [tenant.scope.tenant_id],
    );
    assert.ok(rows.length >= 20, String(rows.length));
    for (const { id, traceparent: carried } of rows) {
      await until(() => (places.has(id) ? true : undefined));
      assert.equal(places.get(id), carried ?? undefined);
      assert.equal(outside.heard.get(`/${id}`), String(carried ?? undefined));
    }
  },
);

test(
  'a process of the version before, which knows no place, posts on while a new one has migrated',
  LIMIT,
  async (t) => {
    const world = await open(t, {});
    const [debit, credit] = world.accounts.map((id) => parseId('acc', id) ?? '').toSorted();
    const old = new Client({ connectionString: world.platform.url });
    await old.connect();
    await old.query('set role ledger');
    const types =
      'uuid,platform.environment,uuid[],smallint[],text[],smallint[],text[],text[],text[],text[],integer[],integer[],uuid[],date[],text[],text[],text[],uuid[],bigint[],timestamptz[],boolean[],text[],text[],integer[],uuid[],integer[],smallint[],integer[],boolean[],bigint[],text[],smallint[]';
    const parameters = types.split(',').map((type, index) => `$${index + 1}::${type}`);
    const absent = (count: number) => Array.from({ length: count }, () => null);
    const post = async (id: string) => {
      const { rows } = await old.query({
        name: 'ledger.post',
        text: `select * from ledger.post(${parameters.join(', ')})`,
        values: [
          world.tenant.scope.tenant_id,
          'sandbox',
          [id],
          [1],
          [`old-${id}`],
          [0],
          ['POST /old'],
          ['{}'],
          ...absent(2),
          [1, 2],
          ...absent(10),
          ['{}'],
          null,
          [1, 3],
          [debit, credit],
          [1, 1],
          [1, 2],
          [1, 2],
          [false, true],
          [100, 100],
          ['BRL', 'BRL'],
          null,
        ],
      });
      assert.equal(rows.length, 1, JSON.stringify(rows));
      assert.notEqual(rows[0].positions[0], null);
    };
    await post(newUuid());
    // What the statement was prepared for is not there any more.
    const file = new URL('../src/services/ledger/migrations/0025_post.sql', import.meta.url);
    const [, function_anew = ''] = readFileSync(file, 'utf8').split('drop function ledger.post;');
    assert.match(function_anew, /create function ledger\.post\(/);
    await world.sql.query(
      `begin; set local role financialapi_owner; drop function ledger.post; ${function_anew} commit`,
    );
    await post(newUuid());
    await old.end();
    const { status } = await transfer(world, { traceparent: traceparent('f') });
    assert.equal(status, 201);
  },
);

test('a refusal tells the id of the trace it belongs to, and none where there is none', LIMIT, async (t) => {
  const world = await open(t, {});
  const refused = await world.tenant.ask('GET', '/api/v2/accounts/acc_none', undefined, {
    traceparent: traceparent('c'),
  });
  assert.equal(refused.body.trace_id, idOf('c'));
  const unknown = await world.platform.running.app.inject({
    url: '/api/v2/accounts',
    headers: { traceparent: traceparent('d') },
  });
  assert.equal(unknown.statusCode, 401);
  assert.equal(unknown.json().trace_id, idOf('d'));
  const untraced = await world.tenant.ask('GET', '/api/v2/accounts/acc_none');
  assert.equal('trace_id' in untraced.body, false);
});

test(
  'one trace joins a request, the batch it was posted in, its event, who consumes it and who that asks',
  LIMIT,
  async (t) => {
    const collector = await openCollector();
    t.after(() => collector.close());
    const world = await open(t, {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-collector-key=se%20cret',
      OTEL_SERVICE_NAME: 'bank',
      OTEL_TRACES_SAMPLER: 'parentbased_always_on',
      LOG_LEVEL: 'warn',
    });
    const { platform, outside, told } = world;
    const answers = await Promise.all(
      ['1', '2', '3', '4'].map((letter) => transfer(world, { traceparent: traceparent(letter) })),
    );
    // One whose trace begins here.
    answers.push(await transfer(world, {}));
    const events: { traceId: string; requestSpan: string; id: string }[] = [];
    for (const [index, { body }] of answers.entries()) {
      const place = readTraceparent(await told(body.id));
      assert.ok(place !== undefined);
      if (index < 4) assert.equal(place.traceId, idOf(String(index + 1)));
      const { rows } = await world.sql.query<{ id: string }>(
        'select id from platform.events where traceparent like $1',
        [`%${place.traceId}-${place.spanId}%`],
      );
      assert.equal(rows.length, 1);
      events.push({ traceId: place.traceId, requestSpan: place.spanId, id: rows[0]?.id ?? '' });
    }
    for (const { id } of events) await until(() => outside.heard.get(`/${id}`));
    // Nothing is waited for: what was recorded is sent when the server stops.
    await platform.running.stop();

    const { spans } = collector;
    const named = (traceId: string, name: RegExp) =>
      spans.filter((span) => span.traceId === traceId && name.test(span.name));
    for (const [index, { traceId, requestSpan, id }] of events.entries()) {
      const [request] = named(traceId, /^POST \/api\/v2\/transfers$/);
      assert.equal(request?.spanId, requestSpan, 'the event names the span of the request');
      assert.equal(request.parentSpanId ?? '', index < 4 ? 'b'.repeat(16) : '');
      assert.equal(request.service, 'bank');
      assert.equal(request.attributes['http.response.status_code'], 201);
      assert.equal(request.attributes['http.route'], '/api/v2/transfers');

      const batches = spans.filter(({ name, links = [] }) => {
        return name === 'ledger.post' && links.some((link) => link.spanId === requestSpan);
      });
      assert.equal(batches.length, 1, 'the one call that posted it is linked with it');
      const [wait] = named(traceId, /^wait for a batch$/);
      assert.equal(wait?.parentSpanId, requestSpan);
      assert.equal(wait.links?.[0]?.spanId, batches[0]?.spanId);

      const [consumed] = named(traceId, /^consume probe$/);
      assert.equal(consumed?.parentSpanId, requestSpan);
      assert.equal(consumed.attributes['financialapi.event_type'], 'ledger.transfer.posted');
      const [asked] = named(traceId, /^GET$/);
      assert.equal(asked?.parentSpanId, consumed.spanId);
      assert.equal(outside.heard.get(`/${id}`), `00-${traceId}-${asked.spanId}-01`);
    }
    assert.ok(spans.some(({ name }) => name === 'relay'));
    const links = spans.filter(({ name }) => name === 'ledger.post').map((span) => span.links?.length ?? 0);
    assert.ok(Math.max(...links) > 1, 'requests shared a batch');
    assert.ok(collector.headers.every((headers) => headers['x-collector-key'] === 'se cret'));
    assert.deepEqual(
      world.lines.filter((line) => line.includes('spans cannot be sent')),
      [],
    );
  },
);

test('a run of a job belongs to the trace of who asked for it', LIMIT, async (t) => {
  const collector = await openCollector();
  t.after(() => collector.close());
  const world = await open(t, {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_TRACES_SAMPLER: 'parentbased_always_off',
  });
  const asked = await world.tenant.ask('POST', '/api/v2/jobs/platform.remove_old_runs/run', undefined, {
    traceparent: traceparent('e'),
  });
  assert.equal(asked.status, 201, asked.text);
  const run = await collector.find(({ name }) => name === 'job platform.remove_old_runs');
  assert.equal(run.traceId, idOf('e'));
  assert.equal(run.attributes['financialapi.run_id'], asked.body.id);
  // Without a caller who records, nothing else is recorded here.
  assert.deepEqual([...new Set(collector.spans.map(({ traceId }) => traceId))], [idOf('e')]);
});

test('a span says nothing personal, nothing secret and nothing that a client wrote', LIMIT, async (t) => {
  const collector = await openCollector();
  t.after(() => collector.close());
  const world = await open(t, {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_TRACES_SAMPLER: 'always_on',
  });
  const { tenant, accounts, places } = world;
  const key = 'client-key-0815';
  const posted = await transfer(
    world,
    { 'idempotency-key': key, 'request-id': 'client-request-0815' },
    'Alimony',
  );
  assert.equal(posted.status, 201);
  await tenant.ask('GET', `/api/v2/accounts?q=Silva`);
  await tenant.ask('GET', `/api/v2/accounts/${accounts[0]}`);
  await tenant.ask('POST', '/api/v2/transfers', '{"name": "Maria da Silva"');
  await world.platform.running.app.inject({
    url: '/nowhere/maria?token=t0ken',
    headers: { authorization: 'Bearer wr0ng', cookie: 'a=c00kie', 'user-agent': 'agent-0815' },
  });
  await until(() => (places.size >= 3 ? true : undefined));
  await world.platform.running.stop();
  assert.ok(collector.spans.length > 10);
  const text = collector.texts.join('\n');
  for (const word of [
    tenant.key,
    'Maria',
    'Silva',
    'maria',
    'Alimony',
    key,
    'client-request',
    't0ken',
    'wr0ng',
    'c00kie',
    'agent-0815',
    accounts[0],
    posted.body.id,
    'Deposits',
    '127.0.0.1/',
    'insert into',
  ]) {
    assert.ok(
      !text.includes(word),
      `${word} was sent: ${text.slice(text.indexOf(word) - 200).slice(0, 400)}`,
    );
  }
  const known = new Set([
    'http.request.method',
    'http.route',
    'http.response.status_code',
    'server.address',
    'error.type',
    'db.system.name',
    'messaging.consumer.group.name',
    'messaging.message.id',
    'financialapi.tenant_id',
    'financialapi.environment',
    'financialapi.commands',
    'financialapi.requests',
    'financialapi.events',
    'financialapi.event_type',
    'financialapi.job',
    'financialapi.run_id',
    'financialapi.attempt',
  ]);
  for (const { name, attributes, events, status } of collector.spans) {
    const others = Object.keys(attributes).filter((attribute) => !known.has(attribute));
    assert.deepEqual(others, [], name);
    assert.deepEqual(events ?? [], [], name);
    assert.equal(status.message ?? '', '', name);
  }
});

test(
  'a collector that is away or says nothing fails and delays nobody, and what it missed is counted',
  LIMIT,
  async (t) => {
    for (const answers of [undefined, false]) {
      const collector = await openCollector(answers ?? true);
      // One that is closed is away; the other takes what it is sent and is silent.
      if (answers === undefined) await collector.close();
      else t.after(() => collector.close());
      const world = await open(t, {
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_TRACES_SAMPLER: 'always_on',
      });
      const outcomes = async () => {
        const { text } = await world.tenant.ask('GET', '/metrics');
        return Object.fromEntries(
          [...text.matchAll(/^traces_spans_total\{outcome="(\w+)"\} (\d+)$/gm)].map(
            ([, name = '', count]) => [name, Number(count)],
          ),
        );
      };
      assert.deepEqual(Object.keys(await outcomes()), ['sent', 'failed', 'dropped']);
      // More than may wait.
      for (let round = 0; round < 30; round += 1) {
        await Promise.all(
          Array.from({ length: 100 }, async () => {
            const { status } = await world.tenant.ask('GET', '/api/v2/currencies-that-are-not-there');
            assert.equal(status, 404);
          }),
        );
      }
      assert.equal((await transfer(world, {})).status, 201);
      await until(async () => ((await outcomes())['dropped'] ?? 0) > 0 || undefined);
      const { sent = -1 } = await outcomes();
      assert.equal(sent, 0);
      const began = performance.now();
      await world.platform.running.stop();
      assert.ok(performance.now() - began < 10_000, 'it stops all the same');
    }
  },
);
