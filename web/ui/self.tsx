/** Who is signed in, and what they may do. */
import { useQuery } from '@tanstack/react-query';
import { createContext, type ReactNode, useContext } from 'react';
import { type BodyOf, get } from '../api/client.ts';
import { Loading, NotPermitted, Refused } from './states.tsx';

export type Self = BodyOf<'/api/v2/self'>;

const SelfContext = createContext<Self | undefined>(undefined);

export function SelfProvider({ children }: { children: ReactNode }) {
  const self = useQuery({
    queryKey: ['self'],
    queryFn: () => get('/api/v2/self'),
    refetchInterval: 60_000,
  });
  if (self.data !== undefined) return <SelfContext value={self.data}>{children}</SelfContext>;
  if (self.isError) return <Refused error={self.error} retry={() => void self.refetch()} />;
  return <Loading />;
}

export function useSelf(): Self {
  const self = useContext(SelfContext);
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
