/**
 * Reads in time against a naive recomputation: a ledger of random postings and holds, and for random positions, times
 * and dates what the API says beside what its rows say when they are simply added up.
 *
 * `SEED=… npm test -- src/services/ledger/reads-in-time.test.ts` repeats a run.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import pg from 'pg';
import { formatId, parseId } from '../../platform/ids.ts';
import { formatMoney, type Money } from '../../platform/money.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';

const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
const runs = { seed, numRuns: 60 };

const chart = [
  ['1100', 'asset'],
  ['2100', 'liability'],
  ['3100', 'equity'],
  ['4100', 'income'],
  ['5100', 'expense'],
] as const;

interface Posting {
  position: number;
  leg: number;
  account_id: string;
  side: 'debit' | 'credit';
  amount: bigint;
  effective_date: string;
  created_at: Date;
}
interface Step {
  position: number;
  debit_account_id: string;
  credit_account_id: string;
  pending_change: bigint;
}
interface Account {
  id: string;
  currency: string;
  chart_code: string;
  normal_side: 'debit' | 'credit';
}

let platform: TestPlatform;
let bank: TestTenant;
let accounts: Account[];
let postings: Posting[];
let steps: Step[];
let head: number;
/** Time of each position, by position; those of one day are three. */
const timeOf = (position: number) => new Date(Date.UTC(2026, 0, 1) + position * 8 * 3_600_000);
const firstDay = Date.UTC(2025, 11, 20);
const dayAt = (offset: number) => new Date(firstDay + offset * 86_400_000).toISOString().slice(0, 10);
const DAYS = 120;

const Movement = fc.record({
  currency: fc.constantFrom('BRL', 'JPY'),
  legs: fc.array(
    fc.record({ debit: fc.nat(), credit: fc.nat(), minor: fc.integer({ min: 1, max: 10_000 }) }),
    { minLength: 1, maxLength: 3 },
  ),
  day: fc.integer({ min: 0, max: DAYS - 1 }),
  afterwards: fc.constantFrom(
    'nothing',
    'nothing',
    'reverse',
    'hold',
    'hold and capture',
    'hold and release',
  ),
});

async function postRandomly(): Promise<void> {
  const of = (currency: string) => accounts.filter((account) => account.currency === currency);
  const pick = (currency: string, index: number) => {
    const candidates = of(currency);
    return candidates[index % candidates.length]?.id ?? '';
  };
  for (const { currency, legs, day, afterwards } of fc.sample(Movement, { seed, numRuns: 50 })) {
    const body = {
      effective_date: dayAt(day),
      legs: legs.flatMap(({ debit, credit, minor }) => {
        const amount = formatMoney(BigInt(minor), currency);
        return [
          { account_id: pick(currency, debit), side: 'debit', amount },
          { account_id: pick(currency, credit), side: 'credit', amount },
        ];
      }),
    };
    const transfer = await bank.post('/api/v2/transfers', body);
    if (afterwards === 'reverse') {
      await bank.post(`/api/v2/transfers/${transfer.id}/reversals`, {
        effective_date: dayAt((day * 7) % DAYS),
      });
    }
    if (afterwards.startsWith('hold')) {
      const hold = await bank.post('/api/v2/holds', {
        debit_account_id: of(currency)[day % 3]?.id,
        credit_account_id: of(currency)[(day % 3) + 1]?.id,
        amount: formatMoney(BigInt(100 + day), currency),
      });
      const part = { amount: formatMoney(BigInt(50 + day), currency) };
      if (afterwards === 'hold and capture') {
        await bank.post(`/api/v2/holds/${hold.id}/captures`, { ...part, effective_date: dayAt(day) });
      }
      if (afterwards === 'hold and release') await bank.post(`/api/v2/holds/${hold.id}/releases`, part);
    }
  }
}

before(async () => {
  platform = await openTestPlatform();
  bank = await platform.newTenant();
  for (const [code, type] of chart) {
    await bank.post('/api/v2/chart-of-accounts', { code, name: `Code ${code}`, type });
  }
  accounts = [];
  for (const currency of ['BRL', 'JPY']) {
    for (const [chart_code] of [...chart, ...chart.slice(0, 2)]) {
      accounts.push(
        await bank.post('/api/v2/accounts', { name: 'A', currency, chart_code, credit_limit: null }),
      );
    }
  }
  await postRandomly();

  const superuser = new pg.Client({ connectionString: platform.url });
  await superuser.connect();
  // Recorded today, all of it; the reads are to see many days.
  await superuser.query("set session_replication_role = replica; set timezone = 'UTC'");
  for (const table of ['transfers', 'hold_steps']) {
    await superuser.query(
      `update ledger.${table} set created_at = timestamptz '2026-01-01 00:00Z' + position * interval '8 hours'`,
    );
  }
  const found = await superuser.query(
    `select e.*, t.created_at, e.effective_date::text from ledger.entries e
     join ledger.transfers t using (tenant_id, environment, position) order by e.position, e.leg`,
  );
  postings = found.rows.map((row) => ({
    position: Number(row.position),
    leg: row.leg,
    account_id: formatId('acc', row.account_id),
    side: row.side,
    amount: BigInt(row.amount),
    effective_date: row.effective_date,
    created_at: row.created_at,
  }));
  const held = await superuser.query(
    `select s.position, s.pending_change, h.debit_account_id, h.credit_account_id
     from ledger.hold_steps s join ledger.holds h on h.id = s.hold_id`,
  );
  steps = held.rows.map((row) => ({
    position: Number(row.position),
    debit_account_id: formatId('acc', row.debit_account_id),
    credit_account_id: formatId('acc', row.credit_account_id),
    pending_change: BigInt(row.pending_change),
  }));
  await superuser.end();
  head = Math.max(...postings.map(({ position }) => position), ...steps.map(({ position }) => position));
  assert.ok(postings.length > 150 && steps.length > 10, `${postings.length} entries, ${steps.length} steps`);
});
after(() => platform.close());

const sum = (amounts: readonly bigint[]) => amounts.reduce((total, amount) => total + amount, 0n);

function sumsOf(entries: readonly Posting[]) {
  const on = (side: 'debit' | 'credit') =>
    sum(entries.filter((entry) => entry.side === side).map(({ amount }) => amount));
  return { debits: on('debit'), credits: on('credit') };
}

function balanceOf(account: Account, entries: readonly Posting[]): bigint {
  const { debits, credits } = sumsOf(entries.filter(({ account_id }) => account_id === account.id));
  return account.normal_side === 'debit' ? debits - credits : credits - debits;
}

const Place = fc.nat({ max: 200 }).map((number) => number % (head + 1));
const anyAccount = () => fc.constantFrom(...accounts);
const Day = fc.integer({ min: -3, max: DAYS + 3 }).map(dayAt);

function pendingOf(account: Account, side: 'debit' | 'credit', position: number): bigint {
  return sum(
    steps
      .filter((step) => step[`${side}_account_id`] === account.id && step.position <= position)
      .map(({ pending_change }) => pending_change),
  );
}

test(`a balance at any position is what the entries until then come to (seed ${seed})`, async () => {
  await fc.assert(
    fc.asyncProperty(anyAccount(), fc.integer({ min: 0, max: head }), async (account, position) => {
      const answer = await bank.get(`/api/v2/accounts/${account.id}/balance?at_position=${position}`);
      const until = postings.filter((entry) => entry.position <= position);
      const { debits, credits } = sumsOf(until.filter(({ account_id }) => account_id === account.id));
      const money = (minor: bigint) => formatMoney(minor, account.currency);
      assert.deepEqual(answer, {
        account_id: account.id,
        currency: account.currency,
        normal_side: account.normal_side,
        as_of: { position },
        balance: money(balanceOf(account, until)),
        available: null,
        debits_posted: money(debits),
        credits_posted: money(credits),
        debits_pending: money(pendingOf(account, 'debit', position)),
        credits_pending: money(pendingOf(account, 'credit', position)),
      });
    }),
    runs,
  );
});

test('a balance at a recorded time is that of the last position until then, to the microsecond', async () => {
  await fc.assert(
    fc.asyncProperty(
      anyAccount(),
      fc.integer({ min: 0, max: head }),
      fc.constantFrom(-1, 0, 1),
      async (account, position, off_us) => {
        const at = `${new Date(timeOf(position).getTime() - (off_us < 0 ? 1_000 : 0)).toISOString().slice(0, 19)}.${
          off_us < 0 ? '999999' : off_us > 0 ? '000001' : '000000'
        }Z`;
        const expected = Math.max(0, off_us < 0 ? position - 1 : position);
        const [by_time, by_position] = await Promise.all([
          bank.get(`/api/v2/accounts/${account.id}/balance?at=${at}`),
          bank.get(`/api/v2/accounts/${account.id}/balance?at_position=${expected}`),
        ]);
        assert.equal(by_time.as_of.position, expected);
        assert.deepEqual({ ...by_time, as_of: 0 }, { ...by_position, as_of: 0 });
      },
    ),
    runs,
  );
});

test('a balance effective on any date is what the entries until then come to', async () => {
  await fc.assert(
    fc.asyncProperty(anyAccount(), Day, async (account, day) => {
      const answer = await bank.get(`/api/v2/accounts/${account.id}/balance?effective_on=${day}`);
      const until = postings.filter(({ effective_date }) => effective_date <= day);
      const { debits, credits } = sumsOf(until.filter(({ account_id }) => account_id === account.id));
      assert.deepEqual(answer.balance, formatMoney(balanceOf(account, until), account.currency));
      assert.deepEqual(answer.debits_posted, formatMoney(debits, account.currency));
      assert.deepEqual(answer.credits_posted, formatMoney(credits, account.currency));
      assert.deepEqual(answer.as_of, { position: head, effective_on: day });
      assert.deepEqual([answer.available, answer.debits_pending, answer.credits_pending], [null, null, null]);
    }),
    runs,
  );
});

const Moment = fc.oneof(
  fc.constant({ name: 'now', value: '' }),
  Place.map((position) => ({ name: 'at_position', value: String(position) })),
  Place.map((position) => ({ name: 'at', value: timeOf(position).toISOString() })),
  Day.map((day) => ({ name: 'effective_on', value: day })),
);

test('the trial balance comes out at zero at any moment, and is what the entries come to', async () => {
  await fc.assert(
    fc.asyncProperty(Moment, async ({ name, value }) => {
      const answer = await bank.get(`/api/v2/trial-balance${name === 'now' ? '' : `?${name}=${value}`}`);
      const until = postings.filter((entry) => {
        if (name === 'at_position') return entry.position <= Number(value);
        if (name === 'at') return entry.created_at.toISOString() <= value;
        return name === 'now' || entry.effective_date <= value;
      });
      const expected = chart
        .flatMap(([code, type]) =>
          ['BRL', 'JPY'].map((currency) => {
            const members = accounts.filter(
              (account) => account.chart_code === code && account.currency === currency,
            );
            const moved = until.filter(({ account_id }) => members.some(({ id }) => id === account_id));
            const { debits, credits } = sumsOf(moved);
            return {
              chart_code: code,
              name: `Code ${code}`,
              type,
              currency,
              accounts: new Set(moved.map(({ account_id }) => account_id)).size,
              debit_balance: formatMoney(debits > credits ? debits - credits : 0n, currency),
              credit_balance: formatMoney(credits > debits ? credits - debits : 0n, currency),
            };
          }),
        )
        .filter(({ accounts: count }) => count > 0);
      assert.deepEqual(answer.lines, expected);
      for (const { currency, difference, debits, credits } of answer.totals) {
        assert.deepEqual(difference, formatMoney(0n, currency));
        assert.deepEqual(debits, credits);
      }
      assert.deepEqual(
        answer.totals.map(({ currency }: { currency: string }) => currency),
        [...new Set(expected.map(({ currency }) => currency))].toSorted(),
      );
    }),
    runs,
  );
});

const minor = ({ amount }: Money) => BigInt(amount.replace('.', ''));

test('a statement: opening and movements are closing, in either order, on pages of any size, and as CSV', async () => {
  await fc.assert(
    fc.asyncProperty(
      anyAccount(),
      fc.tuple(Day, Day).map((days) => days.toSorted()),
      fc.constantFrom('effective', 'recorded'),
      fc.integer({ min: 1, max: 20 }),
      async (account, [from = '', to = ''], by, limit) => {
        const url = `/api/v2/accounts/${account.id}/statement?from=${from}&to=${to}&by=${by}`;
        const dateOf = (entry: Posting) =>
          by === 'effective' ? entry.effective_date : entry.created_at.toISOString().slice(0, 10);
        const mine = postings.filter(({ account_id }) => account_id === account.id);
        const opening = balanceOf(
          account,
          mine.filter((entry) => dateOf(entry) < from),
        );
        const period = mine.filter((entry) => dateOf(entry) >= from && dateOf(entry) <= to);
        const ordered = period.toSorted(
          (a, b) =>
            (by === 'effective' ? a.effective_date.localeCompare(b.effective_date) : 0) ||
            a.position - b.position ||
            a.leg - b.leg,
        );
        let running = opening;
        const expected = ordered.map((entry) => {
          running += entry.side === account.normal_side ? entry.amount : -entry.amount;
          return [entry.position, entry.leg, entry.side, entry.amount, running];
        });

        const entries: unknown[] = [];
        let cursor = '';
        do {
          const page = await bank.get(`${url}&limit=${limit}${cursor && `&cursor=${cursor}`}`);
          assert.deepEqual(minor(page.opening_balance), opening);
          assert.deepEqual(minor(page.closing_balance), running);
          assert.deepEqual([minor(page.debits), minor(page.credits)], Object.values(sumsOf(period)));
          assert.ok(page.data.length <= limit);
          for (const { position, leg, side, amount, balance } of page.data) {
            entries.push([position, leg, side, minor(amount), minor(balance)]);
          }
          cursor = page.next_cursor ?? '';
        } while (cursor !== '');
        assert.deepEqual(entries, expected);

        const csv = await bank.ask('GET', url, undefined, { accept: 'text/csv' });
        assert.equal(csv.status, 200);
        const lines = csv.text
          .trimEnd()
          .split('\r\n')
          .slice(1)
          .map((line) => line.split(','));
        const shown = lines.map((cells) => [cells[0], cells[10]]);
        const text = (amount: bigint) => formatMoney(amount, account.currency).amount;
        assert.deepEqual(shown, [
          ['opening', text(opening)],
          ...expected.map((entry) => ['entry', text(BigInt(String(entry[4])))]),
          ['closing', text(running)],
        ]);
      },
    ),
    { ...runs, numRuns: 40 },
  );
});

test('entries: every filter is what it says, on pages of any size, newest first', async () => {
  await fc.assert(
    fc.asyncProperty(
      anyAccount(),
      fc.record(
        {
          side: fc.constantFrom('debit', 'credit'),
          effective_from: Day,
          effective_to: Day,
          created_from: Place.map((position) => timeOf(position).toISOString()),
          created_to: Place.map((position) => timeOf(position).toISOString()),
          from_position: Place.map(String),
          to_position: Place.map(String),
        },
        { requiredKeys: [] },
      ),
      fc.integer({ min: 1, max: 30 }),
      async (account, filters, limit) => {
        const expected = postings
          .filter(
            (entry) =>
              entry.account_id === account.id &&
              entry.side === (filters.side ?? entry.side) &&
              entry.effective_date >= (filters.effective_from ?? '') &&
              entry.effective_date <= (filters.effective_to ?? '9') &&
              entry.created_at.toISOString() >= (filters.created_from ?? '') &&
              entry.created_at.toISOString() <= (filters.created_to ?? '9') &&
              entry.position >= Number(filters.from_position ?? 0) &&
              entry.position <= Number(filters.to_position ?? head),
          )
          .map(({ position, leg }) => [position, leg])
          .toReversed();
        const found: unknown[] = [];
        let cursor = '';
        do {
          const query = new URLSearchParams({ ...filters, limit: String(limit), ...(cursor && { cursor }) });
          const page = await bank.get(`/api/v2/accounts/${account.id}/entries?${query.toString()}`);
          for (const { position, leg } of page.data) found.push([position, leg]);
          cursor = page.next_cursor ?? '';
        } while (cursor !== '');
        assert.deepEqual(found, expected);
      },
    ),
    runs,
  );
});

test('a read at a position does not change when more is posted', async () => {
  const [a, b] = accounts;
  assert.ok(a !== undefined && b !== undefined && parseId('acc', a.id) !== undefined);
  const urls = [
    `/api/v2/accounts/${a.id}/balance?at_position=${head}`,
    `/api/v2/trial-balance?at_position=${head}`,
  ];
  const earlier = await Promise.all(urls.map((url) => bank.get(url)));
  const page = await bank.get(`/api/v2/accounts/${a.id}/statement?from=2025-01-01&to=2026-12-31&limit=1`);
  await bank.post('/api/v2/transfers', {
    debit_account_id: a.id,
    credit_account_id: b.id,
    amount: { amount: '1.00', currency: 'BRL' },
    effective_date: '2026-01-01',
  });
  assert.deepEqual(await Promise.all(urls.map((url) => bank.get(url))), earlier);
  const next = await bank.get(
    `/api/v2/accounts/${a.id}/statement?from=2025-01-01&to=2026-12-31&limit=1&cursor=${page.next_cursor}`,
  );
  assert.deepEqual(next.closing_balance, page.closing_balance);
  assert.equal(next.as_of.position, head);
});
