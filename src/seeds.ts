/**
 * What a sandbox can be filled with, by requests of the public API like any other: the books of a demo institution, with
 * a chart of accounts, a dozen accounts in four currencies and some history.
 */
import type { Seed, Seeds } from './platform/sandbox.ts';

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
export const accounts = [
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

export const demoSeed: Seed = {
  permissions: ['chart_of_accounts:edit', 'accounts:open', 'transfers:post', 'transfers:reverse'],
  async plant(post) {
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
  },
};

export const seeds: Seeds = { demo: demoSeed };
