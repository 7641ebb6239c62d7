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
        { path: '*', element: <NotFound /> },
      ],
    },
  ],
  { basename: '/console' },
);
