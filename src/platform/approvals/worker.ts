/** What nobody asks for: proposals expire, and what a process left half done is done. */
import { Type } from 'typebox';
import type { Scope } from '../db.ts';
import { formatId } from '../ids.ts';
import type { JobHandler, JobTypes } from '../job/job.ts';
import { attend, type Deciding } from './decide.ts';

const PROPOSALS_A_LOOK = 100;

/** Name of the job that attends to proposals about routes of a service, or of the platform itself. */
export function attendingJob(owner: string): string {
  return `${owner}.attend_proposals`;
}

/**
 * A job for each of those whose routes proposals are about: a run goes to whichever process does the job, and one that has
 * not the routes could carry out nothing (tests/four-eyes-apart.test.ts).
 */
export function attendingJobs(owners: readonly string[]): JobTypes {
  return Object.fromEntries(
    owners.map((owner) => [
      attendingJob(owner),
      {
        meaning: `Expires proposals about what ${owner} does, and finishes what a process left half done about them`,
        per: 'tenant',
        schedule: 'when due',
        retries: 3,
        retry_after_s: 1,
      } as const,
    ]),
  );
}

const DueRow = Type.Object({
  tenant_id: Type.String(),
  environment: Type.Union([Type.Literal('sandbox'), Type.Literal('live')]),
  id: Type.String(),
});

/** Attends to proposals about routes, within about a second of when they are due. */
export function attendProposals(deciding: Deciding, routes: () => readonly string[]): JobHandler {
  const { db } = deciding;
  const due = async () =>
    routes().length === 0
      ? []
      : db.rows(DueRow, 'select * from platform.due_proposals($1, $2)', [routes(), PROPOSALS_A_LOOK]);

  return {
    async due() {
      const scopes = new Map<string, Scope>();
      for (const { tenant_id, environment } of await due()) {
        scopes.set(`${tenant_id} ${environment}`, { tenant_id, environment });
      }
      return [...scopes.values()];
    },
    async run({ scope, signal, log }) {
      const failed = new Map<string, unknown>();
      let proposals = 0;
      for (;;) {
        const own = (await due()).filter(
          ({ tenant_id, environment, id }) =>
            tenant_id === scope.tenant_id && environment === scope.environment && !failed.has(id),
        );
        if (own.length === 0 || signal.aborted) break;
        for (const { id } of own) {
          if (signal.aborted) break;
          try {
            await attend(deciding, scope, id);
            proposals += 1;
          } catch (error) {
            failed.set(id, error);
            log.error(
              { err: error, proposal_id: formatId('prp', id) },
              'a proposal could not be attended to',
            );
          }
        }
      }
      const [first] = failed.values();
      if (first !== undefined) throw first;
      return { proposals };
    },
  };
}
