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
        page('people', () => import('./access/people.tsx')),
        page('people/:person_id', () => import('./access/person.tsx')),
        page('invitations', () => import('./access/invitations.tsx')),
        page('grants', () => import('./access/grants.tsx')),
        page('roles', () => import('./access/roles.tsx')),
        page('roles/:role', () => import('./access/role.tsx')),
        page('api-keys', () => import('./access/keys.tsx')),
        page('api-keys/:key_id', () => import('./access/key.tsx')),
        page('applications', () => import('./access/applications.tsx')),
        page('applications/:application_id', () => import('./access/application.tsx')),
        page('devices', () => import('./access/devices.tsx')),
        page('audit', () => import('./access/audit.tsx')),
        page('audit/:record_id', () => import('./access/audit-record.tsx')),
        page('me', () => import('./access/me.tsx')),
        { path: '*', element: <NotFound /> },
      ],
    },
  ],
  { basename: '/console' },
);
