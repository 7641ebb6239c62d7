/** Which tenants are suspended, for credentials that are believed without being looked up. */
import { LRUCache } from 'lru-cache';
import { Type } from 'typebox';
import type { Database } from '../db.ts';
import { refuse } from '../problem.ts';
import { suspended } from './access.ts';

const Row = Type.Object({
  name: Type.String(),
  status: Type.Union([Type.Literal('active'), Type.Literal('suspended')]),
});

/** As long as a tenant is believed to be active if the database's word does not come. */
const BELIEVED_FOR_MS = 5_000;
const REMEMBERED_TENANTS = 10_000;

export interface Suspensions {
  /** Throws `tenant_suspended`, or `unauthenticated` where there is no such tenant. */
  assertActive(tenant_id: string): Promise<void>;
  forget(): void;
}

export function openSuspensions(db: Database): Suspensions {
  const active = new LRUCache<string, true>({ max: REMEMBERED_TENANTS, ttl: BELIEVED_FOR_MS });
  /** Increases when tenants are forgotten, so that one that was being looked up then is not remembered. */
  let generation = 0;
  return {
    async assertActive(tenant_id) {
      if (active.has(tenant_id)) return;
      const began = generation;
      const [tenant] = await db.read({ tenant_id, environment: 'sandbox' }, (tx) =>
        tx.rows(Row, 'select name, status from platform.tenants where tenant_id = $1', [tenant_id]),
      );
      if (tenant === undefined) throw refuse('unauthenticated', 'The tenant of this credential is unknown.');
      if (tenant.status === 'suspended') throw suspended(tenant.name);
      if (began === generation) active.set(tenant_id, true);
    },
    forget() {
      generation += 1;
      active.clear();
    },
  };
}
