/** Grants that are narrowed to labels: they reach the accounts that carry these in their metadata, and no other. */
import type { FastifyRequest, RouteOptions } from 'fastify';
import { Type } from 'typebox';
import { type Caller, type Labels, labelsFor } from '../../platform/access/caller.ts';
import type { Database } from '../../platform/db.ts';
import { formatId, uuidOf } from '../../platform/ids.ts';
import { refuse } from './errors.ts';

const Found = Type.Object({});

/** Sets of labels as a parameter that is to be `jsonb[]`: what a thing must contain any of. Null where it may be anything. */
export function reachOf(caller: Caller, permission: string): string[] | null {
  return labelsFor(caller, permission)?.map((labels: Labels) => JSON.stringify(labels)) ?? null;
}

/**
 * Makes a route with an `:account_id` that heeds labels answer 404 for accounts which the caller's grants do not reach:
 * whether they are there is not told either. Lists confine themselves, by `reachOf`.
 */
export function confineToLabels(route: RouteOptions, db: Database): void {
  const { permission, heeds_labels = false } = route.config ?? {};
  if (!heeds_labels || permission === undefined || !route.url.includes('/:account_id')) return;

  async function confine({ caller, params }: FastifyRequest): Promise<void> {
    const reach = reachOf(caller, permission ?? '');
    if (reach === null) return;
    const { account_id }: { account_id?: unknown } = Object(params);
    const uuid = uuidOf('acc', String(account_id));
    const found = await db.read(caller, (tx) =>
      tx.rows(
        Found,
        `select from ledger.accounts
         where tenant_id = $1 and environment = $2 and id = $3 and metadata @> any ($4::jsonb[])`,
        [caller.tenant_id, caller.environment, uuid, reach],
      ),
    );
    if (found.length === 0)
      throw refuse('account_not_found', `There is no account ${formatId('acc', uuid)}.`);
  }
  route.preHandler = [confine, route.preHandler ?? []].flat();
}
