import { Job } from './job.tsx';

export function Page() {
  return <Job of="system" />;
}
