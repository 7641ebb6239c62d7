import { Jobs } from './jobs.tsx';

export function Page() {
  return <Jobs of="system" />;
}
