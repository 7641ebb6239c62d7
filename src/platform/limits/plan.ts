/** Plans and quotas: those that are built in, and those of a tenant. */
import { type Static, Type } from 'typebox';
import type { Database, Scope } from '../db.ts';
import { Window } from './window.ts';

/** The plan of whoever has no other. It is there without a row; a row of this name replaces it. */
export const STANDARD = 'standard';

/** Generous: it stops what has run away and sells nothing. Who sells requests makes plans. */
export const standardWindows: readonly Window[] = [
  { name: 'burst', requests: 20_000, window_s: 1 },
  { name: 'minute', requests: 600_000, window_s: 60 },
  { name: 'month', requests: 1_000_000_000, period: 'month' },
];

/** What all callers of a tenant may ask together where nobody has set it. */
export const tenantWindows: readonly Window[] = [
  { name: 'minute', requests: 1_200_000, window_s: 60 },
  { name: 'month', requests: 5_000_000_000, period: 'month' },
];

/** In place of plan and quota on the routes by which those are read and mended: nobody can lock themselves out. */
export const administrationWindows: readonly Window[] = [
  { name: 'administration', requests: 600, window_s: 60, tells: false },
];

/** How much one address may ask of what needs no caller. */
export const addressWindows = {
  /** Requests whose credential is missing or no good. */
  unidentified: [{ name: 'unidentified', requests: 120, window_s: 60 }],
  sign_in: [
    { name: 'sign_in', requests: 30, window_s: 60 },
    { name: 'sign_in_hour', requests: 300, window_s: 3_600 },
  ],
  sign_up: [
    { name: 'sign_up', requests: 20, window_s: 60 },
    { name: 'sign_up_hour', requests: 100, window_s: 3_600 },
  ],
  token: [{ name: 'token', requests: 600, window_s: 60 }],
} as const satisfies Readonly<Record<string, readonly Window[]>>;
export type AddressLimit = keyof typeof addressWindows;

const Status = Type.Union([Type.Literal('active'), Type.Literal('disabled')]);
const PlanRow = Type.Object({ name: Type.String(), status: Status, windows: Type.Array(Window) });
const QuotaRow = Type.Object({ windows: Type.Array(Window) });

export interface Plan {
  name: string;
  status: Static<typeof Status>;
  windows: readonly Window[];
}

export interface PlansOfTenant {
  quota: readonly Window[];
  /** Undefined for a plan that is not there. */
  find: (name: string) => Plan | undefined;
}

/** The quota and every plan of a tenant. */
export function loadPlans(db: Database, scope: Scope): Promise<PlansOfTenant> {
  return db.read(scope, async (tx) => {
    const rows = await tx.rows(
      PlanRow,
      'select name, status, windows from platform.plans where tenant_id = $1 and environment = $2',
      [scope.tenant_id, scope.environment],
    );
    const [quota] = await tx.rows(
      QuotaRow,
      'select windows from platform.tenant_quotas where tenant_id = $1 and environment = $2',
      [scope.tenant_id, scope.environment],
    );
    const plans = new Map<string, Plan>([
      [STANDARD, { name: STANDARD, status: 'active', windows: standardWindows }],
      ...rows.map((row): [string, Plan] => [row.name, row]),
    ]);
    return { quota: quota?.windows ?? tenantWindows, find: (name) => plans.get(name) };
  });
}
