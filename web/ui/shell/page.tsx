import type { RouteObject } from 'react-router';
import { PageFailed } from './page-failed.tsx';

/** A page that a module exports under the name `Page`; it is loaded when it is first opened. */
export function page(path: string, load: () => Promise<{ Page: () => React.ReactNode }>): RouteObject {
  return {
    path,
    errorElement: <PageFailed />,
    lazy: async () => ({ Component: (await load()).Page }),
  };
}
