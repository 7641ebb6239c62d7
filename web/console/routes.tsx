/** Every page of the console. Each is loaded when it is first opened. */
import { createBrowserRouter, type RouteObject } from 'react-router';
import { NotFound, PageFailed } from './shell/page-failed.tsx';
import { Shell } from './shell/shell.tsx';

/** A page that a module exports under the name `Page`. */
function page(path: string, load: () => Promise<{ Page: () => React.ReactNode }>): RouteObject {
  return {
    path,
    errorElement: <PageFailed />,
    lazy: async () => ({ Component: (await load()).Page }),
  };
}

export const router = createBrowserRouter(
  [
    {
      path: '/',
      element: <Shell />,
      errorElement: <PageFailed />,
      // What is shown until the first page is there.
      hydrateFallbackElement: <></>,
      children: [
        page('', () => import('./home/home.tsx')),
        page('accounts', () => import('./ledger/accounts.tsx')),
        page('accounts/:account_id', () => import('./ledger/account.tsx')),
        page('transfers', () => import('./ledger/transfers.tsx')),
        page('transfers/:transfer_id', () => import('./ledger/transfer.tsx')),
        page('transfers/new', () => import('./ledger/new-transfer.tsx')),
        page('holds', () => import('./ledger/holds.tsx')),
        page('holds/:hold_id', () => import('./ledger/hold.tsx')),
        page('approvals', () => import('./approvals/approvals.tsx')),
        page('approvals/:proposal_id', () => import('./approvals/approval.tsx')),
        page('trial-balance', () => import('./reports/trial-balance.tsx')),
        page('chart-of-accounts', () => import('./reports/chart-of-accounts.tsx')),
        page('integrity', () => import('./reports/integrity.tsx')),
        { path: '*', element: <NotFound /> },
      ],
    },
  ],
  { basename: '/console' },
);
