/** Runs a job now, pauses it, resumes it. */
import { Group } from '@mantine/core';
import { Pause, Play, StepForward } from 'lucide-react';
import { act } from '../../api/act.ts';
import { ActButton } from '../../ui/act-button.tsx';
import { usePlatformWords } from './platform-words.ts';

const paths = {
  tenant: {
    run: '/api/v2/jobs/{job}/run',
    pause: '/api/v2/jobs/{job}/pause',
    resume: '/api/v2/jobs/{job}/resume',
  },
  system: {
    run: '/api/v2/system-jobs/{job}/run',
    pause: '/api/v2/system-jobs/{job}/pause',
    resume: '/api/v2/system-jobs/{job}/resume',
  },
} as const;

export function JobActs({ job, of }: { job: { name: string; paused: boolean }; of: 'tenant' | 'system' }) {
  const t = usePlatformWords();
  const ids = { job: job.name };
  const permissions = of === 'system' ? 'system_jobs' : 'jobs';
  const toggle = paths[of][job.paused ? 'resume' : 'pause'];
  return (
    <Group gap={6} wrap="nowrap">
      <ActButton
        permission={`${permissions}:run`}
        icon={<Play size={14} />}
        title={`${t('run_now')}: ${job.name}`}
        verb={t('run_now')}
        consequence={t('run_now_consequence')}
        run={(key) => act('post', paths[of].run, { ids, key })}
        call={{ method: 'POST', path: paths[of].run, ids, idempotent: true }}
      />
      <ActButton
        permission={`${permissions}:pause`}
        icon={job.paused ? <StepForward size={14} /> : <Pause size={14} />}
        title={`${t(job.paused ? 'resume_job' : 'pause')}: ${job.name}`}
        verb={t(job.paused ? 'resume_job' : 'pause')}
        consequence={t(job.paused ? 'resume_job_consequence' : 'pause_consequence')}
        {...(job.paused ? {} : { danger: 'undoable' })}
        run={(key) => act('post', toggle, { ids, key })}
        call={{ method: 'POST', path: toggle, ids }}
      />
    </Group>
  );
}
