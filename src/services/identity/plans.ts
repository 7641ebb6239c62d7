/** Plans and quotas as they are administered. What they do is in `platform/limits`. */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import { type Caller, may } from '../../platform/access/caller.ts';
import { type CursorContent, pageOf, pageQuery, readPage } from '../../platform/cursor.ts';
import type { Database, Scope, Transaction } from '../../platform/db.ts';
import { assertMatches } from '../../platform/etag.ts';
import { Text } from '../../platform/http.ts';
import { type Attempt, canonicalRequest } from '../../platform/idempotency.ts';
import { formatId, Id, newUuid } from '../../platform/ids.ts';
import type { ReadLimits, Standing } from '../../platform/limits/limits.ts';
import { STANDARD, standardWindows, tenantWindows } from '../../platform/limits/plan.ts';
import { Window } from '../../platform/limits/window.ts';
import { once } from '../../platform/once.ts';
import { refuse as refuseRequest } from '../../platform/problem.ts';
import { refuse } from './errors.ts';

export const PlanName = Type.String({ pattern: '^[a-z][a-z0-9_-]{0,63}$', examples: ['gold'] });
const Description = Text({ max: 1_000, description: 'For people who choose a plan' });
const Windows = Type.Array(Window, {
  maxItems: 10,
  description: 'All of them hold at once. None: the plan limits nothing, the quota of the tenant still does',
});
const Status = Type.Union([Type.Literal('active'), Type.Literal('disabled')], {
  description: 'Whoever is on a disabled plan may ask nothing',
});

export const PlanRequest = Type.Object(
  { name: PlanName, description: Type.Optional(Description), windows: Windows },
  { additionalProperties: false },
);
export const EditPlanRequest = Type.Object(
  {
    description: Type.Optional(Description),
    status: Type.Optional(Status),
    windows: Type.Optional(Windows),
  },
  { additionalProperties: false, minProperties: 1 },
);

export const Plan = Type.Object({
  name: PlanName,
  description: Type.String(),
  status: Status,
  windows: Type.Array(Window),
  built_in: Type.Boolean({ description: 'There without having been created, as long as nobody edits it' }),
  created_at: Type.Optional(Type.String()),
  updated_at: Type.Optional(Type.String()),
});
export type Plan = Static<typeof Plan>;

const Nullable = Type.Union([Type.String(), Type.Null()]);
const Row = Type.Object({
  id: Nullable,
  name: Type.String(),
  description: Type.String(),
  status: Status,
  windows: Type.Array(Window),
  created_at: Nullable,
  updated_at: Nullable,
  version: Type.Integer(),
});

/** A plan and the version that its ETag names. */
interface Versioned<Thing> {
  thing: Thing;
  version: number;
}

function planOf(row: Static<typeof Row>): Plan {
  const { name, description, status, windows, created_at, updated_at } = row;
  return {
    name,
    description,
    status,
    windows,
    built_in: row.version === 0,
    ...(created_at === null ? {} : { created_at }),
    ...(updated_at === null ? {} : { updated_at }),
  };
}

const BUILT_IN = 'What everyone is on who has no other plan';

/** The tenant's plans, the built-in one among them. Parameters: tenant, environment, and the windows built in. */
const plans = `(
  select id, name, description, status, windows, created_at, updated_at, version from platform.plans
  where tenant_id = $1 and environment = $2
  union all
  select null, '${STANDARD}', '${BUILT_IN}', 'active', $3::jsonb, null, null, 0
  where not exists (
    select from platform.plans where tenant_id = $1 and environment = $2 and name = '${STANDARD}')
) p`;
const parametersOf = ({ tenant_id, environment }: Scope) => [
  tenant_id,
  environment,
  JSON.stringify(standardWindows),
];

/** Each window has a name of its own, and one length. */
function assertWindows(windows: readonly Window[] | undefined): void {
  const names = new Set<string>();
  for (const [index, { name, window_s, period }] of (windows ?? []).entries()) {
    const wrong = (member: string, detail: string) =>
      refuseRequest('malformed_request', `The window ${name} cannot be used.`, {
        errors: [{ pointer: `/windows/${index}${member}`, detail }],
      });
    if (names.has(name)) throw wrong('/name', 'another window of the plan has this name');
    if ((window_s === undefined) === (period === undefined)) {
      throw wrong('', 'must have window_s or period, and not both');
    }
    names.add(name);
  }
}

export async function getPlan(tx: Transaction, scope: Scope, name: string): Promise<Versioned<Plan>> {
  const [row] = await tx.rows(Row, `select * from ${plans} where name = $4`, [...parametersOf(scope), name]);
  if (row === undefined) throw refuse('plan_not_found', `There is no plan ${name} in ${scope.environment}.`);
  return { thing: planOf(row), version: row.version };
}

const Filters = Type.Object({ status: Type.Optional(Status) }, { additionalProperties: false });
const Content = Type.Object({ filters: Filters, after: PlanName }, { additionalProperties: false });
const isContent = (content: unknown): content is CursorContent<Static<typeof Filters>, string> =>
  Check(Content, content);

export const ListPlansQuery = Type.Object(
  { ...Filters.properties, ...pageQuery },
  { additionalProperties: false },
);

/** Plans, in the order of their names. */
export async function listPlans(tx: Transaction, scope: Scope, query: Static<typeof ListPlansQuery>) {
  const { limit, cursor, ...given } = query;
  const page = readPage(isContent, given, {
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  const rows = await tx.rows(
    Row,
    `select * from ${plans} where ($4::text is null or name > $4) and ($5::text is null or status = $5)
     order by name limit $6`,
    [...parametersOf(scope), page.after ?? null, page.filters.status ?? null, page.limit + 1],
  );
  return pageOf(rows, page, planOf, ({ name }) => name);
}

export async function createPlan(
  db: Database,
  caller: Caller,
  body: Static<typeof PlanRequest>,
  attempt: Attempt,
): Promise<Versioned<Plan> & { replayed: boolean }> {
  assertWindows(body.windows);
  const { id, replayed } = await once(
    db,
    caller,
    { ...attempt, request: canonicalRequest(body) },
    refuse,
    async (tx) => {
      const uuid = newUuid();
      const created =
        body.name === STANDARD
          ? 0
          : await tx.run(
              `insert into platform.plans (tenant_id, environment, name, id, description, windows)
               values ($1, $2, $3, $4, $5, $6) on conflict do nothing`,
              [
                caller.tenant_id,
                caller.environment,
                body.name,
                uuid,
                body.description ?? '',
                JSON.stringify(body.windows),
              ],
            );
      if (created === 0) throw refuse('plan_exists', `There is a plan ${body.name} already; edit it.`);
      return uuid;
    },
  );
  return db.read(caller, async (tx) => {
    const [row] = await tx.rows(Row, `select * from ${plans} where id = $4`, [...parametersOf(caller), id]);
    if (row === undefined) throw new Error(`the plan ${id} that was created is not there`);
    return { thing: planOf(row), version: row.version, replayed };
  });
}

/** Edits a plan, the built-in one too. Every process reads it again, and what was counted stays counted. */
export function editPlan(
  db: Database,
  scope: Scope,
  name: string,
  body: Static<typeof EditPlanRequest>,
  ifMatch: string | undefined,
): Promise<Versioned<Plan> & { before: Plan }> {
  assertWindows(body.windows);
  return db.write(scope, async (tx) => {
    await tx.run(
      'select from platform.plans where tenant_id = $1 and environment = $2 and name = $3 for no key update',
      [scope.tenant_id, scope.environment, name],
    );
    const { thing: before, version } = await getPlan(tx, scope, name);
    assertMatches(ifMatch, version, 'the plan');
    const after = { ...before, ...body };
    const changed = await tx.run(
      `insert into platform.plans as p (tenant_id, environment, name, id, description, status, windows)
       values ($1, $2, $3, $4, $5, $6, $7)
       on conflict (tenant_id, environment, name) do update
         set description = excluded.description, status = excluded.status, windows = excluded.windows,
             updated_at = now(), version = p.version + 1
         where p.version = $8`,
      [
        scope.tenant_id,
        scope.environment,
        name,
        newUuid(),
        after.description,
        after.status,
        JSON.stringify(after.windows),
        version,
      ],
    );
    // Two who edit the built-in plan at once have no row to wait for each other at.
    if (changed === 0)
      throw refuseRequest('precondition_failed', 'The plan was edited by somebody else at the same time.');
    return { before, ...(await getPlan(tx, scope, name)) };
  });
}

/**
 * Refuses a plan for a key, an application or a device that is not there, and one that its giver is not on and may not
 * give: who may ask little would otherwise make itself a key that may ask much.
 */
export async function assertMayAssign(tx: Transaction, caller: Caller, plan: string): Promise<void> {
  if (plan === caller.plan) return;
  if (!may(caller, 'plans:assign')) {
    throw refuse(
      'permission_not_held',
      `${caller.principal.name} may give no other plan than its own, ${caller.plan}: it lacks plans:assign.`,
      { permissions: ['plans:assign'] },
    );
  }
  await getPlan(tx, caller, plan);
}

const { per: _, ...quotaWindow } = Window.properties;
/** A window of a quota is of the whole tenant, never of a caller. */
const QuotaWindow = Type.Object(quotaWindow, { additionalProperties: false });

export const Quota = Type.Object({
  tenant_id: Id('ten'),
  environment: Type.Union([Type.Literal('sandbox'), Type.Literal('live')]),
  windows: Type.Array(QuotaWindow),
  built_in: Type.Boolean({ description: 'Nobody has set it' }),
  updated_at: Type.Optional(Type.String()),
});
export const QuotaRequest = Type.Object(
  {
    windows: Type.Array(QuotaWindow, {
      maxItems: 10,
      description: 'All of them hold at once. None: the tenant is limited by the plans of its callers only',
    }),
  },
  { additionalProperties: false },
);

const QuotaRow = Type.Object({
  windows: Type.Array(Window),
  updated_at: Type.String(),
  version: Type.Integer(),
});
const TenantRow = Type.Object({ tenant_id: Type.String() });

export async function getQuota(tx: Transaction, scope: Scope): Promise<Versioned<Static<typeof Quota>>> {
  const { tenant_id, environment } = scope;
  const id = formatId('ten', tenant_id);
  const [tenant] = await tx.rows(TenantRow, 'select tenant_id from platform.tenants where tenant_id = $1', [
    tenant_id,
  ]);
  if (tenant === undefined) throw refuseRequest('not_found', `There is no tenant ${id}.`);
  const [row] = await tx.rows(
    QuotaRow,
    'select windows, updated_at, version from platform.tenant_quotas where tenant_id = $1 and environment = $2',
    [tenant_id, environment],
  );
  const { windows, updated_at, version } = row ?? { windows: [...tenantWindows], version: 0 };
  return {
    thing: {
      tenant_id: id,
      environment,
      windows,
      built_in: version === 0,
      ...(updated_at === undefined ? {} : { updated_at }),
    },
    version,
  };
}

/** Sets what all callers of a tenant may ask together in an environment. */
export function setQuota(
  db: Database,
  scope: Scope,
  { windows }: Static<typeof QuotaRequest>,
  ifMatch: string | undefined,
): Promise<Versioned<Static<typeof Quota>> & { before: Static<typeof Quota> }> {
  assertWindows(windows);
  return db.write(scope, async (tx) => {
    const { thing: before, version } = await getQuota(tx, scope);
    assertMatches(ifMatch, version, 'the quota');
    const changed = await tx.run(
      `insert into platform.tenant_quotas as q (tenant_id, environment, windows) values ($1, $2, $3)
       on conflict (tenant_id, environment) do update
         set windows = excluded.windows, updated_at = now(), version = q.version + 1
         where q.version = $4`,
      [scope.tenant_id, scope.environment, JSON.stringify(windows), version],
    );
    if (changed === 0)
      throw refuseRequest('precondition_failed', 'The quota was set by somebody else at the same time.');
    return { before, ...(await getQuota(tx, scope)) };
  });
}

/** A limit and what is left of it. */
export const LimitStanding = Type.Object({
  limit: Type.String({ description: 'As `RateLimit` names it' }),
  per: Type.Union([
    Type.Literal('caller'),
    Type.Literal('application'),
    Type.Literal('plan'),
    Type.Literal('tenant'),
    Type.Literal('address'),
  ]),
  allowed: Type.Integer({ description: 'Requests in one window' }),
  used: Type.Integer(),
  left: Type.Integer(),
  starts_at: Type.String(),
  resets_at: Type.String(),
});

export function standingOf({ limit, requests }: Standing): Static<typeof LimitStanding> {
  const { counter, per, requests: allowed } = limit;
  return {
    limit: counter.name,
    per,
    allowed,
    used: requests,
    left: Math.max(0, allowed - requests),
    starts_at: new Date(counter.start_ms).toISOString(),
    resets_at: new Date(counter.end_ms).toISOString(),
  };
}

export const OwnLimits = Type.Object({
  plan: Type.String(),
  limits: Type.Array(LimitStanding, {
    description:
      'Windows shorter than an hour are counted by each process for itself, and by all together where Redis is used',
  }),
});

export const KeyUsage = Type.Object({
  key_id: Id('key'),
  plan: Type.String(),
  limits: OwnLimits.properties.limits,
  history: Type.Array(
    Type.Object({
      limit: Type.String(),
      starts_at: Type.String(),
      ends_at: Type.String(),
      requests: Type.Integer(),
    }),
    { description: 'Windows of an hour and longer, newest first: the last 100 of three months' },
  ),
});

const HistoryRow = Type.Object({
  limit: Type.String(),
  starts_at: Type.String(),
  ends_at: Type.String(),
  requests: Type.BigInt(),
});

/** What a key asked in windows of the last months. */
async function readHistory(
  tx: Transaction,
  scope: Scope,
  key_id: string,
): Promise<Static<typeof KeyUsage>['history']> {
  const rows = await tx.rows(
    HistoryRow,
    `select limit_name as "limit", starts_at, ends_at, requests from platform.request_counts
     where tenant_id = $1 and environment = $2 and subject = $3 order by starts_at desc, limit_name limit 100`,
    [scope.tenant_id, scope.environment, key_id],
  );
  return rows.map((row) => ({ ...row, requests: Number(row.requests) }));
}

/** What a key has asked, and what it may still ask. */
export async function readKeyUsage(
  db: Database,
  limits: ReadLimits,
  { tenant_id, environment }: Scope,
  { id, plan, application_id }: { id: string; plan: string; application_id?: string },
): Promise<Static<typeof KeyUsage>> {
  const scope = { tenant_id, environment };
  const standings = await limits.read({ ...scope, id, plan, application_id });
  const history = await db.read(scope, (tx) => readHistory(tx, scope, id));
  return { key_id: id, plan, limits: standings.map(standingOf), history };
}
