import '@mantine/core/styles.css';
import '@mantine/notifications/styles.css';
import 'mantine-datatable/styles.css';
import '../ui/ui.css';
import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { lazy, Suspense } from 'react';
import { createRoot } from 'react-dom/client';
import { RouterProvider } from 'react-router/dom';
import { ApiProblem } from '../api/client.ts';
import { SelfProvider } from '../ui/self.tsx';
import { theme } from '../ui/theme.ts';
import { openLanguage } from '../ui/words.ts';
import { router } from './routes.tsx';

const Guest = lazy(() => import('./access/guest.tsx'));
/** The pages of those who are not signed in yet. */
const guestPage = (['welcome', 'new-password'] as const).find(
  (page) => location.pathname === `/console/${page}`,
);

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      // What the server refused it refuses again; what did not arrive may.
      retry: (count, error) => !(error instanceof ApiProblem && error.problem.status < 500) && count < 2,
    },
  },
});

const nonce = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? '';
// What keeps the page from scrolling behind a dialog writes a style, too, and looks for the nonce here.
Object.assign(globalThis, { __webpack_nonce__: nonce });
const place = document.getElementById('root');
if (place === null) throw new Error('the document has no place for the console');

await openLanguage();
createRoot(place).render(
  <MantineProvider theme={theme} defaultColorScheme="auto" getStyleNonce={() => nonce}>
    <QueryClientProvider client={queries}>
      {guestPage === undefined ? (
        <SelfProvider>
          <RouterProvider router={router} />
        </SelfProvider>
      ) : (
        <Suspense>
          <Guest page={guestPage} />
        </Suspense>
      )}
    </QueryClientProvider>
  </MantineProvider>,
);
