import { lazy, Suspense } from 'react';
import { RouterProvider } from 'react-router/dom';
import { start } from '../ui/shell/start.tsx';
import { place } from './menu.ts';
import { router } from './routes.tsx';

const Guest = lazy(() => import('../ui/access/guest.tsx'));
/** Where links lead that were handed to somebody who has no password yet. */
const guestPage = (['welcome', 'new-password'] as const).find(
  (page) => location.pathname === `/portal/${page}`,
);

await start(
  place,
  guestPage === undefined ? (
    <RouterProvider router={router} />
  ) : (
    <Suspense>
      <Guest page={guestPage} />
    </Suspense>
  ),
);
