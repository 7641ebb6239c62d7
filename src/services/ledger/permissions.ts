import type { Permissions } from '../../platform/access/permission.ts';

/** What one may be allowed to do with a ledger. */
export const permissions = {
  'accounts:read': { meaning: 'See accounts, their balances, entries and statements' },
  'accounts:open': { meaning: 'Open accounts' },
  'accounts:edit': { meaning: 'Edit the name, labels and balance rules of accounts, credit limits included' },
  'accounts:freeze': { meaning: 'Freeze accounts and let money move on them again' },
  'accounts:close': { meaning: 'Close empty accounts for good' },
  'accounts:adjust': {
    meaning:
      'Open, change and delete accounts by the v1 API, which posts adjustments to make a balance what it is told',
  },
  'chart_of_accounts:read': { meaning: 'See the chart of accounts' },
  'chart_of_accounts:edit': { meaning: 'Add codes to the chart of accounts' },
  'transfers:read': { meaning: 'See transfers and their entries' },
  'transfers:post': { meaning: 'Move money between accounts, singly or in batches' },
  'transfers:reverse': { meaning: 'Reverse transfers, in part or whole' },
  'holds:read': { meaning: 'See holds and their steps' },
  'holds:place': { meaning: 'Hold money, hold more of it and hold it longer' },
  'holds:capture': { meaning: 'Capture what is held' },
  'holds:release': { meaning: 'Release what is held' },
  'limits:read': { meaning: 'See the monetary limits of API keys and their use' },
  'limits:edit': { meaning: 'Set the monetary limits of API keys, unless one is under limits oneself' },
  'attempts:read': { meaning: 'See what came of a request by its idempotency key' },
  'trial_balance:read': { meaning: 'See the trial balance of any moment' },
  'periods:read': { meaning: 'See up to which day the books are closed, and the trial balance of then' },
  'periods:close': { meaning: 'Close the books up to a day' },
  'periods:reopen': { meaning: 'Reopen the last period that was closed, with a reason' },
  'integrity:read': { meaning: 'Have the books recomputed and see whether they are right' },
} satisfies Permissions;
