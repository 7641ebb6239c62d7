/**
 * The demo institution of a first run, made through the public API like any other: a chart of accounts, a dozen
 * accounts in four currencies and some history. Its key is kept beside the data, since the database has only a hash.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createKey, isGoodKey } from './platform/access/access.ts';
import { createTenant, listScopes } from './platform/access/tenant.ts';
import type { Running } from './platform/boot.ts';
import type { Config } from './platform/config.ts';

export interface Demo {
  key: string;
}

function keyFile(config: Config): string {
  return join(config.data_dir, 'demo-key');
}

/** The key of the demo institution, if this data directory has one. */
export function findDemoKey(config: Config): string | undefined {
  try {
    return readFileSync(keyFile(config), 'utf8').trim();
  } catch {
    return undefined;
  }
}

const chart = [
  { code: '1000', name: 'Assets', type: 'asset' },
  { code: '1100', name: 'Cash and reserves', type: 'asset', parent_code: '1000' },
  { code: '1900', name: 'Exchange positions', type: 'asset', parent_code: '1000' },
  { code: '2000', name: 'Liabilities', type: 'liability' },
  { code: '2100', name: 'Customer deposits', type: 'liability', parent_code: '2000' },
  { code: '2200', name: 'Merchant settlement', type: 'liability', parent_code: '2000' },
  { code: '3000', name: 'Equity', type: 'equity' },
  { code: '4000', name: 'Fee income', type: 'income' },
  { code: '5000', name: 'Operating expenses', type: 'expense' },
] as const;

/** Name, currency, code of the chart, opening deposit in major units. */
const accounts = [
  ['Reserves BRL', 'BRL', '1100', null],
  ['Reserves USD', 'USD', '1100', null],
  ['Reserves JPY', 'JPY', '1100', null],
  ['Reserves KWD', 'KWD', '1100', null],
  ['Exchange BRL', 'BRL', '1900', null],
  ['Exchange USD', 'USD', '1900', null],
  ['Fees', 'BRL', '4000', null],
  ['Corner Bakery', 'BRL', '2200', null],
  ['Ana Souza', 'BRL', '2100', '2500.00'],
  ['Bruno Lima', 'BRL', '2100', '830.40'],
  ['Carla Dias', 'USD', '2100', '1200.00'],
  ['Daichi Sato', 'JPY', '2100', '98000'],
  ['Fatima Al-Sabah', 'KWD', '2100', '310.125'],
] as const;

/** Makes the demo institution where the database has no tenant yet, and finds it where it was made before. */
export async function openDemo(
  running: Running,
  config: Config,
  progress: (line: string) => void,
): Promise<Demo | undefined> {
  const known = findDemoKey(config);
  if (known !== undefined && (await isGoodKey(running.platform, known))) return { key: known };
  if ((await listScopes(running.platform)).length > 0) return undefined;

  progress('creating the demo institution');
  const tenant_id = await createTenant(running.platform, { name: 'Banco Exemplo', base_currency: 'BRL' });
  const key = await createKey(running.platform, { tenant_id, environment: 'sandbox' }, { label: 'demo' });
  let count = 0;
  const post = async (url: string, body: object): Promise<Record<string, unknown>> => {
    count += 1;
    const answer = await running.app.inject({
      method: 'POST',
      url,
      headers: { authorization: `Bearer ${key}`, 'idempotency-key': `demo-${count}` },
      payload: body,
    });
    if (answer.statusCode !== 201) throw new Error(`the demo could not ${url}: ${answer.body}`);
    return answer.json();
  };

  for (const entry of chart) await post('/api/v2/chart-of-accounts', entry);
  const ids = new Map<string, string>();
  for (const [name, currency, chart_code] of accounts) {
    const internal = chart_code === '1100' || chart_code === '1900';
    const account = await post('/api/v2/accounts', {
      name,
      currency,
      chart_code,
      ...(internal ? { credit_limit: null } : {}),
      metadata: { demo: 'yes' },
    });
    ids.set(name, String(account['id']));
  }
  progress(`opened ${accounts.length} accounts`);

  const id = (name: string) => ids.get(name);
  for (const [name, currency, , deposit] of accounts) {
    if (deposit === null) continue;
    await post('/api/v2/transfers', {
      debit_account_id: id(`Reserves ${currency}`),
      credit_account_id: id(name),
      amount: { amount: deposit, currency },
      description: 'Opening deposit',
    });
  }
  const brl = (amount: string) => ({ amount, currency: 'BRL' });
  await post('/api/v2/transfers', {
    debit_account_id: id('Ana Souza'),
    credit_account_id: id('Bruno Lima'),
    amount: brl('120.00'),
    description: 'Rent share',
  });
  const purchase = await post('/api/v2/transfers', {
    legs: [
      { account_id: id('Bruno Lima'), side: 'debit', amount: brl('45.90') },
      { account_id: id('Corner Bakery'), side: 'credit', amount: brl('45.00') },
      { account_id: id('Fees'), side: 'credit', amount: brl('0.90') },
    ],
    description: 'Birthday cake, with fee',
    metadata: { order_id: 'A-1042' },
  });
  await post(`/api/v2/transfers/${String(purchase['id'])}/reversals`, { description: 'The cake fell' });
  await post('/api/v2/transfers', {
    debit_account_id: id('Carla Dias'),
    credit_account_id: id('Ana Souza'),
    amount: { amount: '100.00', currency: 'USD' },
    exchange: {
      rate: '5.4321',
      credited: brl('543.21'),
      credit_exchange_account_id: id('Exchange USD'),
      debit_exchange_account_id: id('Exchange BRL'),
    },
    description: 'Freelance work',
  });
  mkdirSync(config.data_dir, { recursive: true });
  writeFileSync(keyFile(config), `${key}\n`, { mode: 0o600 });
  return { key };
}
