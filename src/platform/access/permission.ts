/**
 * Permissions are named `resource:action`. Each service declares its own in its manifest and every route names the one
 * it needs; roles, keys and tokens carry patterns of them: `accounts:read`, `accounts:*`, `*:read`, `*:*`.
 */

interface PermissionType {
  /** What it lets one do, for whoever grants it. */
  meaning: string;
  /**
   * `installation`: concerns the installation and not one institution. Only principals of the tenant that operates the
   * installation can have it, whatever their roles say.
   */
  of?: 'institution' | 'installation';
}

export type Permissions = Readonly<Record<string, PermissionType>>;

/** What the platform itself asks for, whichever services run. */
export const platformPermissions = {
  'personal_data:read': {
    meaning:
      'See personal data: names, descriptions and labels. Who lacks it sees masks in their place, and cannot look for them',
  },
  'secrets:reveal': { meaning: 'See secrets that were told once already. Nobody needs it for a day of work' },
} satisfies Permissions;

/** To see who one is and what one may do: everybody who is known may, whatever their role says. */
export const SELF = 'self:read';

/** A permission or a pattern of them; `*` stands for every resource or every action. */
export const PERMISSION_PATTERN = '^(\\*|[a-z][a-z_]*):(\\*|[a-z][a-z_]*)$';

function covers(pattern: string, permission: string): boolean {
  const [resource, action] = pattern.split(':');
  const [wantedResource, wantedAction] = permission.split(':');
  return (resource === '*' || resource === wantedResource) && (action === '*' || action === wantedAction);
}

export interface PermissionCatalogue {
  types: Permissions;
  /** The permissions that patterns come to for a principal of a tenant of this kind. */
  expand: (patterns: readonly string[], kind: TenantKind) => ReadonlySet<string>;
}

/** `installation`: the tenant whose people operate the installation; there is one at most. */
export type TenantKind = 'institution' | 'installation';

export function openPermissions(types: Permissions): PermissionCatalogue {
  // Roles and keys have few different sets of patterns, and each is needed at every request.
  const known = new Map<string, ReadonlySet<string>>();
  return {
    types,
    expand(patterns, kind) {
      const name = `${kind} ${patterns.join(' ')}`;
      let found = known.get(name);
      if (found === undefined) {
        found = new Set(
          Object.entries(types)
            .filter(([, { of = 'institution' }]) => of === 'institution' || kind === 'installation')
            .map(([permission]) => permission)
            .filter((permission) => patterns.some((pattern) => covers(pattern, permission))),
        );
        if (known.size > 10_000) known.clear();
        known.set(name, found);
      }
      return found;
    },
  };
}
