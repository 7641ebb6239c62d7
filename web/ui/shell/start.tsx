/** What every entry begins with: how it looks, in which language, and what was loaded before. */
import '@mantine/core/styles.css';
import '@mantine/notifications/styles.css';
import 'mantine-datatable/styles.css';
import '../ui.css';
import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { createRoot } from 'react-dom/client';
import { ApiProblem } from '../../api/client.ts';
import { theme } from '../theme.ts';
import { openLanguage } from '../words.ts';
import { type Place, PlaceProvider } from './place.ts';

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      // What the server refused it refuses again; what did not arrive may.
      retry: (count, error) => !(error instanceof ApiProblem && error.problem.status < 500) && count < 2,
    },
  },
});

/** To be called once by the script of an entry. */
export async function start(place: Place, screens: ReactNode): Promise<void> {
  const nonce = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? '';
  // What keeps the page from scrolling behind a dialog writes a style, too, and looks for the nonce here.
  Object.assign(globalThis, { __webpack_nonce__: nonce });
  const root = document.getElementById('root');
  if (root === null) throw new Error('the document has no place for the screens');
  await openLanguage();
  createRoot(root).render(
    <MantineProvider theme={theme} defaultColorScheme="auto" getStyleNonce={() => nonce}>
      <QueryClientProvider client={queries}>
        <PlaceProvider value={place}>{screens}</PlaceProvider>
      </QueryClientProvider>
    </MantineProvider>,
  );
}
