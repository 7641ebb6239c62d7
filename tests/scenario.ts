/**
 * A day at an institution, asked of one address, whatever stands behind it. What comes of it is written down without what
 * differs from one run to the next, so that two runs can be compared.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client as Sql } from 'pg';
import { audit } from './audit.ts';
import { openClient } from './client.ts';
import type { Topology } from './topology.ts';

interface Step {
  what: string;
  status: number;
  replayed?: true;
  body: unknown;
}

const PATIENCE_MS = 60_000;

/** Replaces ids, times, keys and addresses by what they are, ids numbered in the order in which they come. */
function normaliser(base: string): (value: unknown) => unknown {
  const ids = new Map<string, string>();
  const nameOf = (id: string) => {
    const known = ids.get(id) ?? `<${id.slice(0, 3)} ${ids.size + 1}>`;
    ids.set(id, known);
    return known;
  };
  return (value) =>
    JSON.parse(
      JSON.stringify(value ?? null)
        .replaceAll(base, '')
        .replaceAll(/fa_(test|live)_\w+/g, '<key>')
        .replaceAll(/whsec_[\w+/=]+/g, '<secret>')
        .replaceAll(/\b[a-z]{3}_[0-7][0-9a-hjkmnp-tv-z]{25}\b/g, nameOf)
        .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>')
        .replaceAll(/\d{4}-\d\d-\d\d/g, '<date>')
        // Also what time left there: counts of requests, and what jobs are to do next.
        .replaceAll(/"rows_erased":\d+/g, '"rows_erased":"<count>"'),
    );
}

export async function runScenario(topology: Topology): Promise<Step[]> {
  const { gateway, tenant } = topology;
  const client = openClient(() => ({ url: gateway.url, key: tenant.key }));
  const normalise = normaliser(gateway.url);
  const steps: Step[] = [];

  /** A request that is written down. Its id and its idempotency key follow from what it is. */
  async function step(
    what: string,
    method: string,
    path: string,
    body?: unknown,
    options: { key?: string; headers?: Record<string, string> } = {},
  ) {
    const name = what.replaceAll(/\W+/g, '-');
    const answer = await client.ask(
      method,
      path,
      body,
      method === 'POST' ? (options.key ?? `scenario-${name}`) : undefined,
      { 'request-id': `scenario-${name}`, ...options.headers },
    );
    assert.ok(answer !== undefined, `${what}: no answer`);
    steps.push({
      what,
      status: answer.status,
      ...(answer.headers.get('idempotent-replayed') === 'true' ? { replayed: true } : {}),
      body: normalise(answer.body),
    });
    return answer.body;
  }
  /** Asks until the answer is as wanted, and nothing of it is written down. */
  async function until(path: string, wanted: (body: Record<string, unknown>) => boolean) {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const answer = await client.ask('GET', path);
      if (answer?.status === 200 && wanted(answer.body)) return answer.body;
      assert.ok(performance.now() < deadline, `${path} is still ${JSON.stringify(answer?.body)}`);
      await sleep(50);
    }
  }
  const brl = (amount: string) => ({ amount, currency: 'BRL' });

  await step('a heading', 'POST', '/api/v2/chart-of-accounts', { code: '1', name: 'Cash', type: 'asset' });
  await step('another', 'POST', '/api/v2/chart-of-accounts', {
    code: '2',
    name: 'Deposits',
    type: 'liability',
  });
  const open = async (name: string, chart_code: string, more = {}) =>
    (await step(`open ${name}`, 'POST', '/api/v2/accounts', { name, currency: 'BRL', chart_code, ...more }))
      .id;
  const cash = await open('Cash', '1', { credit_limit: null });
  const ana = await open('Ana', '2');
  const bruno = await open('Bruno', '2');

  // Nothing is there: what counts is that it is sent what it asked for.
  await step('an endpoint of webhooks', 'POST', '/api/v2/webhooks/endpoints', {
    url: 'https://receiver.invalid/hooks',
    event_types: ['ledger.transfer.posted'],
  });

  const deposit = { debit_account_id: cash, credit_account_id: ana, amount: brl('100.00') };
  await step('deposit', 'POST', '/api/v2/transfers', deposit);
  await step('deposit again', 'POST', '/api/v2/transfers', deposit, { key: 'scenario-deposit' });
  await step(
    'deposit more by the same key',
    'POST',
    '/api/v2/transfers',
    { ...deposit, amount: brl('1.00') },
    { key: 'scenario-deposit' },
  );
  const payment = { debit_account_id: ana, credit_account_id: bruno };
  await step('too much', 'POST', '/api/v2/transfers', { ...payment, amount: brl('100.01') });
  const hold = await step('hold', 'POST', '/api/v2/holds', { ...payment, amount: brl('30.00') });
  await step('more than is left', 'POST', '/api/v2/transfers', { ...payment, amount: brl('70.01') });
  await step('capture', 'POST', `/api/v2/holds/${hold.id}/captures`, { amount: brl('10.00'), final: true });
  await step('balance', 'GET', `/api/v2/accounts/${ana}/balance`);

  const reader = await step('a key that reads', 'POST', '/api/v2/api-keys', {
    label: 'reader',
    scopes: ['accounts:read'],
  });
  const by = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });
  await step('it reads', 'GET', `/api/v2/accounts/${bruno}`, undefined, by(reader.key));
  await step('it pays', 'POST', '/api/v2/transfers', { ...payment, amount: brl('1.00') }, by(reader.key));
  const payer = await step('a key that pays', 'POST', '/api/v2/api-keys', {
    label: 'payer',
    scopes: ['transfers:post'],
  });
  await step('its limits', 'PUT', `/api/v2/api-keys/${payer.id}/limits`, {
    amounts: [{ currency: 'BRL', per_transfer: brl('5.00') }],
  });
  await untilBound(payer.key);
  await step(
    'it pays within them',
    'POST',
    '/api/v2/transfers',
    { ...payment, amount: brl('5.00') },
    by(payer.key),
  );
  await step(
    'it pays beyond them',
    'POST',
    '/api/v2/transfers',
    { ...payment, amount: brl('5.01') },
    by(payer.key),
  );

  /** Until every process has heard of a key's limits: dry runs keep nothing. */
  async function untilBound(key: string): Promise<void> {
    let refused = 0;
    const deadline = performance.now() + PATIENCE_MS;
    while (refused < 10) {
      assert.ok(performance.now() < deadline, 'the limits of the key are not heeded');
      const answer = await client.ask(
        'POST',
        '/api/v2/transfers?dry_run=true',
        { ...payment, amount: brl('5.01') },
        crypto.randomUUID(),
        { authorization: `Bearer ${key}` },
      );
      refused = answer?.status === 422 ? refused + 1 : 0;
    }
  }

  await step('a policy', 'PUT', '/api/v2/approval-policies/transfers:post', {
    above: [brl('20.00')],
    expires_in_s: 86_400,
  });
  const large = { ...payment, amount: brl('25.00') };
  const deadline = performance.now() + PATIENCE_MS;
  for (let proposed = 0; proposed < 10; ) {
    assert.ok(performance.now() < deadline, 'the policy is not heeded');
    const answer = await client.ask('POST', '/api/v2/transfers?dry_run=true', large, crypto.randomUUID());
    proposed = answer?.body.would_wait === true || answer?.status === 202 ? proposed + 1 : 0;
  }
  const proposal = await step('a large transfer', 'POST', '/api/v2/transfers', large);
  await step('approved by whoever proposed it', 'POST', `/api/v2/proposals/${proposal.id}/approve`, {});
  const approved = await client.ask(
    'POST',
    `/api/v2/proposals/${proposal.id}/approve`,
    { reason: 'rent' },
    undefined,
    {
      authorization: `Bearer ${tenant.second}`,
    },
  );
  assert.equal(approved?.status, 200, JSON.stringify(approved?.body));
  await until(`/api/v2/proposals/${proposal.id}`, ({ status }) => status !== 'approved');
  await step('it was carried out', 'GET', `/api/v2/proposals/${proposal.id}`);
  await step('balances', 'GET', '/api/v2/trial-balance');

  const otto = await step('somebody to tell', 'POST', '/api/v2/notifications/recipients', {
    kind: 'staff',
    name: 'Otto',
  });
  const told = await step('tell them', 'POST', '/api/v2/notifications/messages', {
    recipient_id: otto.id,
    topic: 'announcement',
    channels: ['in_app'],
    data: { title: 'Closed', message: 'On Friday' },
  });
  await until(`/api/v2/notifications/messages/${told.messages[0].id}`, ({ state }) => state === 'sent');
  await step('what they were told', 'GET', `/api/v2/notifications/inbox?recipient_id=${otto.id}`);

  await recordEvents();
  await recordAudit();

  // Of another tenant: under a policy what a seed asks would be proposals, too.
  const other = by(topology.other.key);
  const reset = await step(
    'the sandbox is emptied and filled',
    'POST',
    '/api/v2/sandbox/reset',
    { seed: 'demo' },
    other,
  );
  assert.ok(typeof reset.seeded_at === 'string', JSON.stringify(reset));
  await step('balances of the seed', 'GET', '/api/v2/trial-balance', undefined, other);

  const sql = new Sql({ connectionString: topology.databaseUrl });
  await sql.connect();
  try {
    assert.deepEqual(await audit(sql, tenant.scope), []);
    assert.deepEqual(await audit(sql, topology.other.scope), []);
  } finally {
    await sql.end();
  }
  return steps;

  /** What the feed tells, without gaps, and that the probe has heard each event of the ledger once, in order. */
  async function recordEvents(): Promise<void> {
    const sql = new Sql({ connectionString: topology.databaseUrl });
    await sql.connect();
    try {
      const written = async () => {
        const { rows } = await sql.query<{ count: number }>(
          `select ((select count(*) from ledger.outbox where tenant_id = $1) + (select count(*) from platform.outbox where tenant_id = $1))::int as count`,
          [tenant.scope.tenant_id],
        );
        return rows[0]?.count ?? 0;
      };
      const expected = await written();
      const feed = await until(
        '/api/v2/events?after=0&limit=100',
        ({ data }) => Array.isArray(data) && data.length >= expected,
      );
      const events: { sequence: string | number; type: string; subject: string }[] = feed.data;
      assert.deepEqual(
        events.map(({ sequence }) => Number(sequence)),
        events.map((_, index) => index + 1),
      );
      // Between the outboxes of two services the order is that in which they are carried.
      const told = events.map(({ type, subject }) => ({ type, subject }));
      steps.push({
        what: 'events of the ledger',
        status: 200,
        body: normalise(told.filter(({ type }) => type.startsWith('ledger.'))),
      });
      steps.push({
        what: 'other events',
        status: 200,
        body: normalise(told.filter(({ type }) => !type.startsWith('ledger.'))),
      });
      const posted = events.filter(({ type }) => type === 'ledger.transfer.posted').length;
      const sent = await until(
        '/api/v2/webhooks/deliveries?limit=100',
        ({ data }) => Array.isArray(data) && data.length >= posted,
      );
      const types = sent.data.map(({ event_type }: { event_type: string }) => event_type);
      steps.push({ what: 'sent by webhooks', status: 200, body: types });
      const ofLedger = events.filter(({ type }) => type.startsWith('ledger.')).length;
      const limit = performance.now() + PATIENCE_MS;
      for (;;) {
        const { rows } = await sql.query<{ type: string; count: number; events: number }>(
          `select type, count(*)::int as count, count(distinct event_id)::int as events from probe.effects
           where tenant_id = $1 group by type order by type`,
          [tenant.scope.tenant_id],
        );
        if (rows.reduce((sum, { count }) => sum + count, 0) >= ofLedger) {
          steps.push({ what: 'heard by the probe', status: 200, body: rows });
          return;
        }
        assert.ok(performance.now() < limit, `the probe has heard ${JSON.stringify(rows)} of ${ofLedger}`);
        await sleep(50);
      }
    } finally {
      await sql.end();
    }
  }

  /** Who is on record for which request, and what came of it. Records of postings come to the trail a little later. */
  async function recordAudit(): Promise<void> {
    type Record = {
      request_id: string;
      permission: string;
      outcome: string;
      status: number;
      code?: string;
      principal: { name: string };
    };
    const wanted = steps.filter(({ what }) =>
      ['deposit', 'capture', 'it pays within them'].includes(what),
    ).length;
    const { data } = await until('/api/v2/audit?limit=100', (body) => {
      const found: Record[] = Array.isArray(body['data']) ? body['data'] : [];
      return (
        ['deposit', 'capture', 'it-pays-within-them'].filter((name) =>
          found.some(({ request_id, outcome }) => request_id === `scenario-${name}` && outcome === 'done'),
        ).length >= wanted
      );
    });
    const records: Record[] = data;
    steps.push({
      what: 'the audit trail',
      status: 200,
      body: records
        .filter(({ request_id }) => request_id.startsWith('scenario-'))
        .map(({ request_id, permission, outcome, status, code, principal }) => ({
          request_id,
          permission,
          outcome,
          status,
          code,
          by: principal.name,
        }))
        .toSorted((one, other) => (JSON.stringify(one) < JSON.stringify(other) ? -1 : 1)),
    });
  }
}
