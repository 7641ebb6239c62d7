/** The frame that whoever looks has: developers who are signed in their own, everybody else that of the public pages. */
import './portal.css';
import { lazy, Suspense, useEffect } from 'react';
import { Outlet, useLocation } from 'react-router';
import { SelfProvider, useFoundSelf, useSelf } from '../ui/self.tsx';
import { Frame } from '../ui/shell/frame.tsx';
import { Loading } from '../ui/states.tsx';
import { GuestFrame } from './front/guest-frame.tsx';

const FactorFirst = lazy(() => import('./live/factor-first.tsx'));

export function Root() {
  return (
    <SelfProvider guest={<GuestFrame />}>
      <Own />
    </SelfProvider>
  );
}

/** The frame, or what has to be done before anything in it is of use. */
function Own() {
  const { second_factor_missing } = useSelf();
  return second_factor_missing === true ? (
    <Suspense>
      <FactorFirst />
    </Suspense>
  ) : (
    <Frame />
  );
}

/** Pages that somebody has to be signed in for: anybody else is led to sign in, and back. */
export function SignedIn() {
  const self = useFoundSelf();
  const { pathname, search } = useLocation();
  const isGuest = self === undefined;
  useEffect(() => {
    if (isGuest) {
      location.assign(`/identity/sign-in?next=${encodeURIComponent(`/portal${pathname}${search}`)}`);
    }
  }, [isGuest, pathname, search]);
  return isGuest ? <Loading /> : <Outlet />;
}
