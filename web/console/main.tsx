import { lazy, Suspense } from 'react';
import { RouterProvider } from 'react-router/dom';
import { SelfProvider } from '../ui/self.tsx';
import { start } from '../ui/shell/start.tsx';
import { place } from './menu.ts';
import { router } from './routes.tsx';

const Guest = lazy(() => import('../ui/access/guest.tsx'));
/** The pages of those who are not signed in yet. */
const guestPage = (['welcome', 'new-password'] as const).find(
  (page) => location.pathname === `/console/${page}`,
);

await start(
  place,
  guestPage === undefined ? (
    <SelfProvider>
      <RouterProvider router={router} />
    </SelfProvider>
  ) : (
    <Suspense>
      <Guest page={guestPage} />
    </Suspense>
  ),
);
