/** `/portal`: the home of developers who are signed in, the front page for everybody else. */
import { lazy, Suspense } from 'react';
import { useFoundSelf } from '../../ui/self.tsx';

const Front = lazy(() => import('./front.tsx'));
const Home = lazy(async () => ({ default: (await import('../home/home.tsx')).Page }));

export function Page() {
  return <Suspense>{useFoundSelf() === undefined ? <Front /> : <Home />}</Suspense>;
}
