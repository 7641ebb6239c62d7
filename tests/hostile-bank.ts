/** What tests of bad input stand on: a bank whose books are known, and what every refusal must look like. */
import assert from 'node:assert/strict';
import { Client } from 'pg';
import { type Answer, openTestPlatform, type TestPlatform, type TestTenant } from '../src/testing.ts';
import { audit } from './audit.ts';

export const brl = (amount: string) => ({ amount, currency: 'BRL' });

export interface Refusal {
  status: number;
  code: string;
  /** Of `errors`, those that must be there. */
  pointers?: readonly string[];
  /** What the detail, or that of an error, must say. */
  says?: RegExp;
}

/** What must never be told: places in code, SQL, and what PostgreSQL or Node call their errors. */
const internals =
  /\.[jt]s:\d+|node_modules|\bselect \w|insert into|DatabaseError|TypeError|SyntaxError|"stack"|\bledger\.\w+|\bplatform\.\w+|undefined|\[object/;

/** Asserts that an answer is a complete problem, and this one. */
export function assertRefused(answer: Answer, expected: Refusal, what: string): void {
  const shown = `${what}: ${answer.status} ${answer.text.slice(0, 500)}`;
  assert.equal(answer.status, expected.status, shown);
  assert.match(answer.headers['content-type'] ?? '', /^application\/problem\+json\b/, shown);
  const { body } = answer;
  assert.equal(body.code, expected.code, shown);
  assert.equal(body.status, answer.status, shown);
  assert.match(body.type, new RegExp(`^http://[^/]+/errors/${expected.code}$`), shown);
  assert.ok(typeof body.title === 'string' && body.title !== '', shown);
  assert.match(body.detail, /\S.*\.$/s, shown);
  assert.equal(body.request_id, answer.headers['request-id'], shown);
  assert.doesNotMatch(answer.text, internals, shown);
  const errors: { pointer: string; detail: string }[] = body.errors ?? [];
  for (const pointer of expected.pointers ?? []) {
    assert.ok(
      errors.some((error) => error.pointer === pointer && error.detail !== ''),
      `${shown} does not point to ${pointer}`,
    );
  }
  if (expected.says !== undefined) {
    assert.match([body.detail, ...errors.map(({ detail }) => detail)].join('\n'), expected.says, shown);
  }
}

export interface HostileBank {
  platform: TestPlatform;
  bank: TestTenant;
  /** A connection that row-level security does not bind. */
  superuser: Client;
  /** An asset without limit, from which customers are paid. */
  cash: string;
  /** A customer's account that holds 100.00 BRL. */
  customer: string;
  open: (options?: object) => Promise<string>;
  /** A transfer that would be posted. */
  payment: (changes?: object) => Record<string, unknown>;
  /** Asserts that nothing moved since the bank was opened or this was last accepted, and that the books are right. */
  assertUnmoved: () => Promise<void>;
  /** Takes the books as they are now for what `assertUnmoved` compares with. */
  acceptMoves: () => Promise<void>;
  close: () => Promise<void>;
}

export async function openHostileBank(settings: Record<string, string> = {}): Promise<HostileBank> {
  const platform = await openTestPlatform(settings);
  const bank = await platform.newTenant();
  const superuser = new Client({ connectionString: platform.url });
  await superuser.connect();
  await bank.post('/api/v2/chart-of-accounts', { code: '1100', name: 'Cash', type: 'asset' });
  await bank.post('/api/v2/chart-of-accounts', { code: '2100', name: 'Deposits', type: 'liability' });
  const open = async (options: object = {}): Promise<string> => {
    const body = { name: 'A', currency: 'BRL', chart_code: '2100', ...options };
    return (await bank.post('/api/v2/accounts', body)).id;
  };
  const cash = await open({ chart_code: '1100', credit_limit: null });
  const customer = await open();
  const payment = (changes: object = {}) => ({
    debit_account_id: customer,
    credit_account_id: cash,
    amount: brl('1.00'),
    ...changes,
  });
  await bank.post('/api/v2/transfers', {
    debit_account_id: cash,
    credit_account_id: customer,
    amount: brl('100.00'),
  });

  /** Everything of the tenant that a request could have changed, but what is kept of attempts. */
  async function books(): Promise<unknown> {
    const { rows } = await superuser.query(
      `select (select json_agg(a order by a.id) from ledger.accounts a where a.tenant_id = $1) as accounts,
         (select json_agg(h) from ledger.heads h where h.tenant_id = $1) as heads,
         (select count(*) from ledger.entries e where e.tenant_id = $1) as entries,
         (select count(*) from ledger.holds h where h.tenant_id = $1) as holds,
         (select count(*) from ledger.chart_of_accounts c where c.tenant_id = $1) as chart,
         (select count(*) from ledger.outbox o where o.tenant_id = $1) as events`,
      [bank.scope.tenant_id],
    );
    return rows[0];
  }
  let before = await books();
  return {
    platform,
    bank,
    superuser,
    cash,
    customer,
    open,
    payment,
    assertUnmoved: async () => {
      assert.deepEqual(await books(), before);
      // Without statistics the audit of 14,000 transfers took over a minute.
      await superuser.query(
        'analyze ledger.accounts, ledger.transfers, ledger.entries, ledger.attempts, ledger.outbox',
      );
      assert.deepEqual(await audit(superuser, bank.scope), []);
      assert.equal((await bank.get('/readyz')).status, 'ok');
    },
    acceptMoves: async () => {
      before = await books();
    },
    close: async () => {
      await superuser.end();
      await platform.close();
    },
  };
}
