/** Who is calling, as every route sees it. */
import type { BlockList } from 'node:net';
import type { Scope } from '../db.ts';
import { refuse } from '../problem.ts';
import { SELF } from './permission.ts';

/** Whom a request is attributed to. */
export interface Principal {
  kind: 'key' | 'person' | 'application' | 'service' | 'device';
  /** Public id, e.g. `key_…`. */
  id: string;
  /** Label or name, for people who read a trail. */
  name: string;
}

/** Values of labels (`metadata`) that an account or customer must all have for a narrowed grant to reach it. */
export type Labels = Readonly<Record<string, string>>;

/** Permissions that reach only what carries certain labels. */
export interface NarrowedGrant {
  permissions: ReadonlySet<string>;
  labels: Labels;
}

/** The authenticated caller of a request. */
export interface Caller extends Scope {
  principal: Principal;
  /** Whom the principal acts for, where that is another: a person behind an application, a caller behind a service. */
  on_behalf_of?: Principal;
  tenant_name: string;
  /** Currency of requests that name none, as those of the v1 API. */
  base_currency: string;
  /** What the caller may do to everything of the tenant in this environment. */
  permissions: ReadonlySet<string>;
  /** What the caller may do beside that to what carries labels. */
  narrowed: readonly NarrowedGrant[];
  /** Present where the caller may do nothing until they have a second factor. */
  second_factor_missing?: true;
  /** UUID of the monetary limits that the ledger holds the principal to. */
  limits_id?: string;
  /** Name of the plan that says how much the principal may ask. */
  plan: string;
  /** Public id of the application that a key is of: what its keys and tokens ask is counted together, too. */
  application_id?: string;
  /** Unix time in milliseconds from which on the credential is no longer good. */
  expires_at_ms?: number;
  /** Where requests may come from; absent means anywhere. */
  allowed_addresses?: BlockList;
}

/** Whether a caller may do something to whatever it is done to. */
export function may(caller: Caller, permission: string): boolean {
  return caller.permissions.has(permission) || permission === SELF;
}

/**
 * Refuses a caller who lacks a permission. Who has it for some labels only passes where the route heeds labels, and
 * then reaches no more than `labelsFor` says.
 */
export function assertMay(caller: Caller, permission: string, heedsLabels: boolean): void {
  if (may(caller, permission)) return;
  if (caller.narrowed.some(({ permissions }) => permissions.has(permission))) {
    if (heedsLabels) return;
    throw refuse(
      'permission_missing',
      `${caller.principal.name} has the permission ${permission} for certain labels only, and this cannot be confined to them: it needs a grant that reaches everything.`,
      { permission, narrowed: true },
    );
  }
  throw refuse(
    'permission_missing',
    `This needs the permission ${permission}, which ${caller.principal.name} lacks.`,
    {
      permission,
    },
  );
}

/** The labels of which a thing must carry one set for the caller to reach it; undefined where it may be anything. */
export function labelsFor(caller: Caller, permission: string): readonly Labels[] | undefined {
  if (may(caller, permission)) return undefined;
  return caller.narrowed.filter(({ permissions }) => permissions.has(permission)).map(({ labels }) => labels);
}
