/**
 * The roles that every institution has. They are patterns, so that what a service adds to a resource belongs to whoever
 * has the resource. What a pattern names that no service of the installation declares comes to nothing.
 */
import type { TenantKind } from '../../../platform/access/permission.ts';

export interface PredefinedRole {
  description: string;
  /** Patterns of permissions. */
  permissions: readonly string[];
  /** The kind of tenant that has it, where not every one does. */
  of?: TenantKind;
}

/** Whoever keeps a record of people or money sees how the books and the chart stand. */
const books = ['accounts:read', 'chart_of_accounts:read', 'transfers:read', 'holds:read'];

const roles = {
  administrator: {
    description: 'Does everything, and says who may do what',
    permissions: ['*:*'],
  },
  operations: {
    description:
      'Runs the day: opens, edits, freezes and closes accounts, moves and holds money, serves customers',
    permissions: [
      ...books,
      'accounts:open',
      'accounts:edit',
      'accounts:freeze',
      'accounts:close',
      'transfers:*',
      'holds:*',
      'attempts:read',
      'trial_balance:read',
      'integrity:read',
      'proposals:*',
      'customers:*',
      'merchants:read',
      'webhooks:read',
      'notifications:read',
      'notifications:send',
      'personal_data:read',
    ],
  },
  finance: {
    description:
      'Keeps the books: the chart of accounts, postings, closings and reports, without personal data',
    permissions: [
      ...books,
      'chart_of_accounts:*',
      'transfers:*',
      'attempts:read',
      'trial_balance:read',
      'integrity:read',
      'periods:*',
      'proposals:*',
      'billing:*',
      'settlements:*',
      'reconciliations:*',
    ],
  },
  compliance: {
    description: 'Watches over the rules: sees customers and money, freezes accounts, reads the audit trail',
    permissions: [
      ...books,
      'accounts:freeze',
      'trial_balance:read',
      'integrity:read',
      'audit:*',
      'people:read',
      'roles:read',
      'grants:read',
      'proposals:read',
      'approval_policies:read',
      'customers:*',
      'kyc:*',
      'fraud_alerts:read',
      'personal_data:read',
    ],
  },
  fraud_analyst: {
    description: 'Looks into suspicious movements, freezes accounts and releases what is held',
    permissions: [
      ...books,
      'accounts:freeze',
      'holds:release',
      'customers:read',
      'merchants:read',
      'fraud_alerts:*',
      'fraud_rules:*',
      'personal_data:read',
    ],
  },
  credit_analyst: {
    description: 'Decides how much credit a customer has, which is a balance rule of the account',
    permissions: [
      ...books,
      'accounts:edit',
      'customers:read',
      'credit_limits:*',
      'credit_analyses:*',
      'personal_data:read',
    ],
  },
  merchant_manager: {
    description: 'Looks after merchants, their accounts and what is settled to them',
    permissions: [...books, 'merchants:*', 'settlements:read', 'personal_data:read'],
  },
  care_agent: {
    description: 'Answers customers: sees what is theirs and keeps their details right',
    permissions: [
      ...books,
      'customers:read',
      'customers:edit',
      'care_cases:*',
      'notifications:read',
      'notifications:send',
      'personal_data:read',
    ],
  },
  auditor: {
    description: 'Reads everything, personal data too, and changes nothing',
    permissions: ['*:read'],
  },
  developer: {
    description:
      'Builds on the API: sees how requests went and what happens, without personal data, and administers keys, applications, devices and webhooks',
    permissions: [
      ...books,
      'attempts:read',
      'api_keys:*',
      'applications:*',
      'devices:*',
      'limit_notices:*',
      'webhooks:*',
      'events:read',
      'notifications:read',
      'portal:*',
      'usage:read',
    ],
  },
  platform_administrator: {
    description: 'Operates the installation: its tenants and plans, and who else operates it',
    permissions: [
      'tenants:*',
      'plans:*',
      'installation:*',
      'people:*',
      'invitations:*',
      'identity_provider:*',
      'sessions:*',
      'roles:*',
      'grants:*',
      'api_keys:*',
      'applications:*',
      'devices:*',
      'limits:*',
      'usage:read',
      'proposals:*',
      'approval_policies:*',
      'audit:*',
      'personal_data:read',
    ],
    of: 'installation',
  },
} satisfies Record<string, PredefinedRole>;

/** Every predefined role by its name. */
export const predefinedRoles: ReadonlyMap<string, PredefinedRole> = new Map<string, PredefinedRole>(
  Object.entries(roles),
);

/** Of these roles the last grant that reaches everything stays: without it nobody could say who may do what. */
export const indispensableRoles: readonly string[] = ['administrator', 'platform_administrator'];

/** The predefined roles that a tenant of this kind has. */
export function predefinedRolesOf(kind: TenantKind): [string, PredefinedRole][] {
  return [...predefinedRoles].filter(([, { of }]) => of === undefined || of === kind);
}
