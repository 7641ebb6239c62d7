/** Tenants as whoever operates the installation makes them. */
import { Type } from 'typebox';
import type { Database, Scope, Transaction } from '../db.ts';
import { newUuid } from '../ids.ts';
import { createKey } from './access.ts';
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

/** Whether an error says that somebody operates the installation already. */
function isSecondInstallation(error: unknown): boolean {
  return error instanceof Error && 'constraint' in error && error.constraint === 'tenants_one_installation';
}

/**
 * Creates the tenant whose people operate the installation, and the first key of its administrator. Undefined where there
 * is such a tenant already.
 */
export async function createInstallation(
  db: Database,
  tenant: { name: string; base_currency: string },
): Promise<{ tenant_id: string; key: string } | undefined> {
  try {
    const tenant_id = await createTenant(db, { ...tenant, kind: 'installation' });
    const key = await createKey(db, { tenant_id, environment: 'live' }, { label: 'platform administrator' });
    return { tenant_id, key };
  } catch (error) {
    if (isSecondInstallation(error)) return undefined;
    throw error;
  }
}

const Status = Type.Object({
  kind: Type.Union([Type.Literal('institution'), Type.Literal('installation')]),
  status: Type.Union([Type.Literal('active'), Type.Literal('suspended')]),
});

/**
 * Suspends or resumes a tenant: its people, keys and tokens are refused at once in every process. One that is suspended
 * stays so, for its first reason. Says what became of it.
 *
 * @param reason why it is suspended; undefined to resume it
 */
export async function setSuspension(
  tx: Transaction,
  tenant_id: string,
  reason: string | undefined,
): Promise<'done' | 'no_tenant' | 'operates_the_installation'> {
  const [tenant] = await tx.rows(
    Status,
    'select kind, status from platform.tenants where tenant_id = $1 for no key update',
    [tenant_id],
  );
  if (tenant === undefined) return 'no_tenant';
  if (tenant.kind === 'installation') return 'operates_the_installation';
  if ((tenant.status === 'suspended') === (reason !== undefined)) return 'done';
  await tx.run(
    `update platform.tenants set status = $2, suspended_reason = $3,
       suspended_at = case when $3::text is null then null else now() end, updated_at = now(), version = version + 1
     where tenant_id = $1`,
    [tenant_id, reason === undefined ? 'active' : 'suspended', reason ?? null],
  );
  return 'done';
}
