/** Everything that is refused about background work. */
import { defineProblems } from '../problem.ts';

export const refuse = defineProblems({
  job_not_found: {
    status: 404,
    title: 'No such job',
    meaning: 'No service of this process has a job of this name that runs for the tenant.',
  },
  job_in_progress: {
    status: 409,
    title: 'A run of the job is waiting or under way',
    meaning:
      'A job runs once at a time for each tenant and environment. `run_id` names the run; wait for it to end.',
  },
  job_not_pausable: {
    status: 422,
    title: 'The job cannot be paused',
    meaning:
      'It has no schedule: it runs when something is due, such as a hold whose time has come, and nothing that is due may stay undone.',
  },
});
