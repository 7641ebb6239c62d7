/** `npm run events`: what the operator sees and does, with the server that consumes beside it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { formatId, newUuid } from '../src/platform/ids.ts';
import { services } from '../src/services.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../src/testing.ts';
import { probeService } from './probe/service.ts';

let platform: TestPlatform;
let sql: Client;
/** Whether the probe refuses whatever comes. */
let refuses = false;
before(async () => {
  const probe = probeService(() => refuses);
  // That events are parked is logged as an error, and wanted here.
  platform = await openTestPlatform({ LOG_LEVEL: 'fatal' }, {}, [...services, probe]);
  sql = new Client({ connectionString: platform.url });
  await sql.connect();
});
after(async () => {
  await sql.end();
  await platform.close();
});

/** Runs the command and tells its exit code and output. */
async function command(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, ['scripts/events.ts', ...args], {
    env: { ...process.env, DATABASE_URL: platform.url },
  });
  const output = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.err += text;
  });
  const code = await new Promise<number | null>((settle) => child.once('close', settle));
  return { code, ...output };
}

async function done(...args: string[]): Promise<string> {
  const { code, out, err } = await command(...args);
  assert.deepEqual([code, err], [0, ''], out);
  return out;
}

interface Bank extends TestTenant {
  /** What the command is told to look at. */
  options: string[];
}

async function openBank(): Promise<Bank> {
  const bank = await platform.newTenant();
  await bank.post('/api/v2/chart-of-accounts', { code: '1', name: 'Cash', type: 'asset' });
  return {
    ...bank,
    options: ['--tenant', formatId('ten', bank.scope.tenant_id), '--environment', bank.scope.environment],
  };
}

const open = async (bank: Bank): Promise<string> =>
  (await bank.post('/api/v2/accounts', { name: 'A', currency: 'BRL', chart_code: '1' })).id;

/** How often each account's events took effect in the probe, once there are as many effects as wanted. */
async function effects(bank: Bank, wanted: number): Promise<Map<string, number>> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const { rows } = await sql.query<{ aggregateid: string }>(
      'select aggregateid from probe.effects where tenant_id = $1',
      [bank.scope.tenant_id],
    );
    if (rows.length >= wanted) {
      const counts = new Map<string, number>();
      for (const { aggregateid } of rows) {
        const id = formatId('acc', aggregateid);
        counts.set(id, (counts.get(id) ?? 0) + 1);
      }
      return counts;
    }
    assert.ok(Date.now() < deadline, `${rows.length} of ${wanted} effects`);
    await sleep(20);
  }
}

/** Accounts whose events the probe has parked, newest first. */
async function park(bank: Bank, count: number): Promise<{ account: string; event: string }[]> {
  const before = await bank.get('/api/v2/held-events?state=parked&limit=100');
  refuses = true;
  try {
    for (let index = 0; index < count; index += 1) await open(bank);
    const deadline = Date.now() + 20_000;
    for (;;) {
      const { data } = await bank.get('/api/v2/held-events?state=parked&limit=100');
      if (data.length === before.data.length + count) {
        return data.map(({ subject, event_id }: { subject: string; event_id: string }) => ({
          account: subject,
          event: event_id,
        }));
      }
      assert.ok(Date.now() < deadline, `${data.length} events are parked`);
      await sleep(20);
    }
  } finally {
    refuses = false;
  }
}

test('held events are listed and shown, tried again one or all, and on record as done by the operator', async () => {
  const bank = await openBank();
  const other = await openBank();
  assert.match(await done('list', ...bank.options), /^no consumer holds such events\n$/);
  const parked = await park(bank, 3);
  const [first] = parked;
  assert.ok(first !== undefined);

  const listed = await done('list', '--consumer', 'probe', '--state', 'parked');
  assert.match(listed, new RegExp(`^${formatId('ten', bank.scope.tenant_id)} sandbox$`, 'm'));
  for (const { account, event } of parked) {
    assert.match(
      listed,
      new RegExp(`^  probe  ${event}  ledger.account.opened ${account}  parked after 3 attempts$`, 'm'),
    );
  }
  assert.match(listed, /^ {4}Error: the probe refuses this event$/m);
  assert.match(listed, /^3 held events$/m);
  assert.match(
    await done('list', '--state', 'retrying', ...bank.options),
    /^no consumer holds such events\n$/,
  );
  assert.match(await done('list', ...other.options), /^no consumer holds such events\n$/);
  const shown = await done('show', '--consumer', 'probe', '--event', first.event);
  const held = JSON.parse(shown.slice(shown.indexOf('{')));
  assert.deepEqual([held.event_id, held.state, held.attempts], [first.event, 'parked', 3]);

  assert.match(
    await done('redrive', '--consumer', 'probe', '--event', first.event, ...bank.options),
    new RegExp(`probe  ${first.event} .* retrying after 0 attempts`),
  );
  assert.deepEqual([...(await effects(bank, 1))], [[first.account, 1]]);
  assert.match(
    await done('redrive', '--consumer', 'probe', '--all', ...bank.options),
    /^2 parked events of probe/m,
  );
  assert.deepEqual(new Map(parked.map(({ account }) => [account, 1])), await effects(bank, 3));

  const { data } = await bank.get('/api/v2/audit?principal=operator');
  const others = parked.map(({ event }) => event).filter((event) => event !== first.event);
  assert.deepEqual(
    data.map(
      ({
        principal,
        permission,
        path,
        outcome,
        subject,
        before,
      }: Record<string, Record<string, unknown>>) => [
        principal?.['kind'],
        permission,
        path,
        outcome,
        subject,
        before?.['state'],
      ],
    ),
    // Redriven newest first, recorded newest first.
    [...others.toReversed(), first.event].map((event) => [
      'operator',
      'held_events:redrive',
      'npm run events -- redrive',
      'done',
      event,
      'parked',
    ]),
  );
  const { rows } = await sql.query('select from platform.audit_intents where tenant_id = $1', [
    bank.scope.tenant_id,
  ]);
  assert.deepEqual(rows, []);
});

test('an event that is given up by the command is held no more, and on record with the reason', async () => {
  const bank = await openBank();
  const [parked] = await park(bank, 1);
  assert.ok(parked !== undefined);
  const said = await done(
    'discard',
    '--consumer',
    'probe',
    '--event',
    parked.event,
    '--reason',
    'Known and done by hand',
    ...bank.options,
  );
  assert.match(said, new RegExp(`^${parked.event} is given up; what waited behind it goes on$`, 'm'));
  assert.deepEqual((await bank.get('/api/v2/held-events')).data, []);
  assert.equal((await effects(bank, 0)).size, 0);
  const [record] = (await bank.get('/api/v2/audit?principal=operator')).data;
  assert.deepEqual(
    [record.permission, record.path, record.subject, record.before.state, record.after.reason],
    ['held_events:discard', 'npm run events -- discard', parked.event, 'parked', 'Known and done by hand'],
  );
});

test('a consumer receives again from a place or a time on, of one tenant', async () => {
  const bank = await openBank();
  const other = await openBank();
  const accounts = [await open(bank), await open(bank), await open(bank)];
  await open(other);
  await effects(bank, 3);
  await effects(other, 1);
  const again = ['replay', '--consumer', 'probe', ...bank.options];
  const { data } = await bank.get('/api/v2/events?after=0');
  const second = data.find(({ subject }: { subject: string }) => subject === accounts[1]);
  assert.match(
    await done(
      ...again,
      '--from-sequence',
      String(second.sequence),
      '--until-sequence',
      String(second.sequence),
    ),
    / sandbox: probe receives 1 events again\n$/,
  );
  assert.equal((await effects(bank, 4)).get(accounts[1] ?? ''), 2);
  await done(...again, '--from-time', '2026-01-01T00:00:00Z');
  assert.deepEqual(
    [...(await effects(bank, 7)).values()].toSorted((left, right) => left - right),
    [2, 2, 3],
  );
  assert.deepEqual([...(await effects(other, 1)).values()], [1]);
  const [record] = (await bank.get('/api/v2/audit?principal=operator')).data;
  assert.deepEqual(
    [record.outcome, record.after.consumer, record.after.events],
    ['done', 'probe', data.length],
  );
});

test('what cannot be done is said, with exit code 2, and nothing is changed', async () => {
  const bank = await openBank();
  const [parked] = await park(bank, 1);
  const nothing = formatId('evt', newUuid());
  const tenant = formatId('ten', bank.scope.tenant_id);
  for (const [args, said] of [
    [[], /what to do with events is not said, or not whole\nusage: npm run events/],
    [['redrive', '--consumer', 'probe'], /not whole/],
    [['redrive', '--consumer', 'probe', '--all', '--event', parked?.event ?? ''], /not whole/],
    [['list', '--state', 'lost'], /lost is no state of a held event/],
    [['list', '--tenant', 'ten_x'], /ten_x is not the id of a tenant/],
    [['list', '--nonsense'], /Unknown option '--nonsense'/],
    [['show', '--consumer', 'probe', '--event', 'evt_x'], /evt_x is not the id of an event/],
    [['show', '--consumer', 'probe', '--event', nothing], new RegExp(`probe holds no event ${nothing}`)],
    [['discard', '--consumer', 'probe', '--event', parked?.event ?? ''], /say why by --reason/],
    [['redrive', '--consumer', 'Probe', '--all'], /Probe is no name of a consumer/],
    [['replay', '--consumer', 'probe', '--from-sequence', '1', '--tenant', tenant], /name both/],
    [['replay', '--consumer', 'probe', ...bank.options], /a replay begins at a sequence/],
    [
      ['replay', '--consumer', 'probe', '--from-sequence', '0', ...bank.options],
      /a replay begins at a sequence/,
    ],
    [
      ['replay', '--consumer', 'nobody', '--from-sequence', '1', ...bank.options],
      /Nothing consumes events as nobody/,
    ],
  ] as const) {
    const { code, out, err } = await command(...args);
    assert.deepEqual([code, out], [2, ''], args.join(' '));
    assert.match(err, said);
  }
  const { data } = await bank.get('/api/v2/held-events');
  assert.deepEqual([data.length, data[0].state], [1, 'parked']);
  assert.equal((await effects(bank, 0)).size, 0);
  // What was refused by the platform itself is on record as refused.
  const { data: records } = await bank.get('/api/v2/audit?principal=operator');
  assert.deepEqual(
    records.map(({ outcome, code }: Record<string, unknown>) => [outcome, code]),
    [['refused', 'consumer_not_found']],
  );
});
