/** Tenants as whoever operates the installation makes them. */
import { Type } from 'typebox';
import type { Database, Scope } from '../db.ts';
import { newUuid } from '../ids.ts';
import type { TenantKind } from './permission.ts';

const ScopeRow = Type.Object({
  tenant_id: Type.String(),
  environment: Type.Union([Type.Literal('sandbox'), Type.Literal('live')]),
});

/** Creates a tenant. Its books are opened by the services, on their first use of it. */
export async function createTenant(
  db: Database,
  tenant: { name: string; base_currency: string; kind?: TenantKind },
): Promise<string> {
  const tenant_id = newUuid();
  await db.write({ tenant_id, environment: 'sandbox' }, (tx) =>
    tx.run('insert into platform.tenants (tenant_id, name, base_currency, kind) values ($1, $2, $3, $4)', [
      tenant_id,
      tenant.name,
      tenant.base_currency,
      tenant.kind ?? 'institution',
    ]),
  );
  return tenant_id;
}

/** Every tenant and environment there is, for work that no caller asked for. */
export async function listScopes(db: Database): Promise<Scope[]> {
  return db.rows(ScopeRow, 'select * from platform.list_scopes()');
}
