/** Who is signed in, and what they may do. */
import { useQuery } from '@tanstack/react-query';
import { createContext, type ReactNode, useContext } from 'react';
import { ApiProblem, type BodyOf, get } from '../api/client.ts';
import { Loading, NotPermitted, Refused } from './states.tsx';

export type Self = BodyOf<'/api/v2/self'>;

const SelfContext = createContext<Self | undefined>(undefined);

/** @param props.guest what is shown to who is not signed in; they are led to sign in if absent */
export function SelfProvider({ children, guest }: { children: ReactNode; guest?: ReactNode }) {
  const self = useQuery({
    queryKey: ['self'],
    queryFn: () => get('/api/v2/self', { stays: guest !== undefined }),
    refetchInterval: ({ state }) => (state.data === undefined ? false : 60_000),
  });
  if (self.data !== undefined) return <SelfContext value={self.data}>{children}</SelfContext>;
  if (guest !== undefined && self.error instanceof ApiProblem && self.error.problem.status === 401)
    return guest;
  if (self.isError) return <Refused error={self.error} retry={() => void self.refetch()} />;
  return <Loading />;
}

/** Who is signed in, if anybody is. */
export function useFoundSelf(): Self | undefined {
  return useContext(SelfContext);
}

export function useSelf(): Self {
  const self = useFoundSelf();
  if (self === undefined) throw new Error('nobody is signed in here');
  return self;
}

/** Whether the person may do something, to everything or to what carries some labels. */
export function useMay(): (permission: string) => boolean {
  const { permissions, narrowed } = useSelf();
  return (permission) =>
    permissions.includes(permission) || narrowed.some((grant) => grant.permissions.includes(permission));
}

/** Shows what somebody may see; says what is missing to anybody else. */
export function Permitted({ permission, children }: { permission: string; children: ReactNode }) {
  const may = useMay();
  return may(permission) ? children : <NotPermitted permission={permission} />;
}
