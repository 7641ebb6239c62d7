/** Tenants: the settings that an institution has, and what whoever operates the installation does with institutions. */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import type { Caller } from '../../../platform/access/caller.ts';
import { hashKey, hintOf, newKey } from '../../../platform/access/key.ts';
import { setSuspension } from '../../../platform/access/tenant.ts';
import { isDay, WEEKS } from '../../../platform/calendar.ts';
import { findExponent } from '../../../platform/currencies.ts';
import { type CursorContent, pageOf, pageQuery, readPage } from '../../../platform/cursor.ts';
import type { Database, Scope, Transaction } from '../../../platform/db.ts';
import { assertMatches } from '../../../platform/etag.ts';
import { Text } from '../../../platform/http.ts';
import { type Attempt, canonicalRequest } from '../../../platform/idempotency.ts';
import { formatId, Id, newUuid } from '../../../platform/ids.ts';
import { Currency } from '../../../platform/money.ts';
import { once } from '../../../platform/once.ts';
import { refuse as refuseRequest } from '../../../platform/problem.ts';
import { refuse } from '../errors.ts';

const Week = Type.Union(
  WEEKS.map((week) => Type.Literal(week)),
  { description: '`weekdays`: Monday to Friday are business days; `every_day`: all are' },
);
const Holidays = Type.Array(
  Type.String({ pattern: '^[0-9]{4}-[0-9]{2}-[0-9]{2}$', examples: ['2027-01-01'] }),
  { maxItems: 1_000, uniqueItems: true, description: 'Days that are no business days beside' },
);
/** Of what is not loaded here: an address of a picture elsewhere. */
export const LogoUrl = Type.String({
  pattern: '^https://[!-~]+$',
  maxLength: 2_000,
  description: 'https only',
});
export const Brand = Type.Object(
  {
    display_name: Type.Optional(Text({ min: 1, max: 255 })),
    primary_color: Type.Optional(Type.String({ pattern: '^#[0-9a-fA-F]{6}$', examples: ['#1a73e8'] })),
    logo_url: Type.Optional(LogoUrl),
  },
  { additionalProperties: false, description: 'How the institution appears on pages' },
);
const Name = Text({ min: 1, max: 255, examples: ['Banco Exemplo'] });
const TimeZone = Type.String({ minLength: 1, maxLength: 64, examples: ['America/Sao_Paulo'] });

const optionalSettings = {
  time_zone: Type.Optional(TimeZone),
  business_calendar: Type.Optional(Week),
  holidays: Type.Optional(Holidays),
  brand: Type.Optional(Brand),
};

export const TenantRequest = Type.Object(
  { name: Name, base_currency: Currency, ...optionalSettings },
  { additionalProperties: false },
);
type TenantRequest = Static<typeof TenantRequest>;

export const EditTenantRequest = Type.Object(
  { name: Type.Optional(Name), base_currency: Type.Optional(Currency), ...optionalSettings },
  { additionalProperties: false, minProperties: 1 },
);
type EditTenantRequest = Static<typeof EditTenantRequest>;

export const SuspensionRequest = Type.Object(
  { reason: Text({ min: 1, max: 1_000, description: 'For whoever operates the installation' }) },
  { additionalProperties: false },
);

const Kind = Type.Union([Type.Literal('institution'), Type.Literal('installation')], {
  description: '`installation`: the tenant whose people operate the installation',
});
const Status = Type.Union([Type.Literal('active'), Type.Literal('suspended')]);

const Summary = {
  id: Id('ten'),
  name: Type.String(),
  base_currency: Type.String({ description: 'Currency of what names none, as the v1 API does' }),
  kind: Kind,
  status: Status,
  created_at: Type.String(),
};

/** A tenant as it stands in the list of all. */
export const TenantSummary = Type.Object(Summary);

/** A tenant as its own people see it. */
export const OwnTenant = Type.Object({
  ...Summary,
  time_zone: Type.String(),
  business_calendar: Week,
  holidays: Type.Array(Type.String()),
  brand: Brand,
  updated_at: Type.String(),
});

export const Tenant = Type.Object({
  ...OwnTenant.properties,
  suspended_at: Type.Optional(Type.String()),
  suspended_reason: Type.Optional(Type.String()),
});
type Tenant = Static<typeof Tenant>;

export const NewTenant = Type.Object({
  ...Tenant.properties,
  key: Type.Optional(
    Type.String({
      description:
        'The first key of its administrator, of the sandbox. Told this once: a repetition of the request is answered without it',
    }),
  ),
});

const Nullable = Type.Union([Type.String(), Type.Null()]);
const Row = Type.Object({
  ...Summary,
  id: Type.String(),
  time_zone: Type.String(),
  business_calendar: Week,
  holidays: Type.Array(Type.String()),
  brand: Brand,
  updated_at: Type.String(),
  suspended_at: Nullable,
  suspended_reason: Nullable,
  version: Type.Integer(),
});
const columns = `tenant_id as id, name, base_currency, kind, status, created_at, time_zone, business_calendar,
  holidays::text[], brand, updated_at, suspended_at, suspended_reason, version`;

interface Found {
  tenant: Tenant;
  version: number;
}

/** A tenant before and after a change. */
interface Changed extends Found {
  before: Tenant;
}

function foundOf({ version, ...row }: Static<typeof Row>): Found {
  const { suspended_at, suspended_reason, ...rest } = row;
  return {
    tenant: {
      ...rest,
      id: formatId('ten', row.id),
      ...(suspended_at === null ? {} : { suspended_at }),
      ...(suspended_reason === null ? {} : { suspended_reason }),
    },
    version,
  };
}

/** The scope in which a tenant's row is seen; it belongs to both environments. */
function ofTenant(tenant_id: string): Scope {
  return { tenant_id, environment: 'live' };
}

async function readTenant(tx: Transaction, tenant_id: string): Promise<Found> {
  const [row] = await tx.rows(Row, `select ${columns} from platform.tenants where tenant_id = $1`, [
    tenant_id,
  ]);
  if (row === undefined) {
    throw refuse('tenant_not_found', `There is no tenant ${formatId('ten', tenant_id)}.`);
  }
  return foundOf(row);
}

export function getTenant(db: Database, tenant_id: string): Promise<Found> {
  return db.read(ofTenant(tenant_id), (tx) => readTenant(tx, tenant_id));
}

/** What is a time zone: the names that the runtime's copy of the IANA database has, and UTC, which it leaves out. */
const timeZones: ReadonlySet<string> = new Set(['UTC', ...Intl.supportedValuesOf('timeZone')]);

function assertSettings(body: EditTenantRequest): void {
  const { base_currency, time_zone, holidays = [], brand } = body;
  if (base_currency !== undefined && findExponent(base_currency) === undefined) {
    throw refuse('unknown_base_currency', `${base_currency} is not an active ISO 4217 currency.`);
  }
  if (time_zone !== undefined && !timeZones.has(time_zone)) {
    throw refuse('unknown_time_zone', `${time_zone} is no time zone of the IANA database.`);
  }
  const odd = holidays.findIndex((day) => !isDay(day));
  if (odd !== -1) {
    throw refuseRequest('malformed_request', `${holidays[odd]} is not a day of the calendar.`, {
      errors: [{ pointer: `/holidays/${odd}`, detail: 'must be a day that exists' }],
    });
  }
  const { logo_url } = brand ?? {};
  const url = logo_url === undefined ? undefined : URL.parse(logo_url);
  if (url === null || (url !== undefined && url.username + url.password !== '')) {
    throw refuseRequest('malformed_request', 'The address of the logo is not one that a page can show.', {
      errors: [{ pointer: '/brand/logo_url', detail: 'must be an https URL without credentials' }],
    });
  }
}

const RESTRICT_VIOLATION = '23001';

/** Edits the settings of a tenant. A brand is replaced as a whole. */
export async function editTenant(
  db: Database,
  tenant_id: string,
  body: EditTenantRequest,
  ifMatch: string | undefined,
): Promise<Changed> {
  assertSettings(body);
  return db.write(ofTenant(tenant_id), async (tx) => {
    await tx.run('select from platform.tenants where tenant_id = $1 for no key update', [tenant_id]);
    const before = await readTenant(tx, tenant_id);
    assertMatches(ifMatch, before.version, 'the tenant');
    try {
      await tx.run(
        `update platform.tenants set name = coalesce($2, name), base_currency = coalesce($3, base_currency),
           time_zone = coalesce($4, time_zone), business_calendar = coalesce($5, business_calendar),
           holidays = coalesce($6::date[], holidays), brand = coalesce($7, brand), updated_at = now(),
           version = version + 1
         where tenant_id = $1`,
        [
          tenant_id,
          body.name ?? null,
          body.base_currency ?? null,
          body.time_zone ?? null,
          body.business_calendar ?? null,
          body.holidays?.toSorted() ?? null,
          body.brand === undefined ? null : JSON.stringify(body.brand),
        ],
      );
    } catch (error) {
      // A service keeps the base currency that its data are in.
      if (error instanceof Error && 'code' in error && error.code === RESTRICT_VIOLATION) {
        throw refuse(
          'base_currency_in_use',
          `${before.tenant.name} has accounts, hence stays with ${before.tenant.base_currency}.`,
        );
      }
      throw error;
    }
    return { before: before.tenant, ...(await readTenant(tx, tenant_id)) };
  });
}

/**
 * Creates a tenant and the first key of its administrator, for its sandbox. The key is told once; a repetition of the
 * request gets the rest.
 */
export async function createTenant(
  db: Database,
  caller: Caller,
  body: TenantRequest,
  attempt: Attempt,
): Promise<Static<typeof NewTenant> & { replayed: boolean }> {
  assertSettings(body);
  const key = newKey('sandbox');
  const request = canonicalRequest(body);
  const { id, replayed } = await once(db, caller, { ...attempt, request }, refuse, async (tx) => {
    const tenant_id = newUuid();
    const act = (as: Scope) =>
      tx.run("select set_config('app.tenant_id', $1, true), set_config('app.environment', $2, true)", [
        as.tenant_id,
        as.environment,
      ]);
    // As the new tenant, whose rows nobody else may write; then as the caller again, who keeps the outcome.
    await act({ tenant_id, environment: 'sandbox' });
    await tx.run(
      `insert into platform.tenants (tenant_id, name, base_currency, time_zone, business_calendar, holidays, brand)
       values ($1, $2, $3, $4, $5, $6::date[], $7)`,
      [
        tenant_id,
        body.name,
        body.base_currency,
        body.time_zone ?? 'UTC',
        body.business_calendar ?? 'weekdays',
        body.holidays?.toSorted() ?? [],
        JSON.stringify(body.brand ?? {}),
      ],
    );
    await tx.run(
      `insert into platform.api_keys (tenant_id, environment, id, hash, hint, label, created_by)
       values ($1, 'sandbox', $2, $3, $4, 'administrator', $5)`,
      [tenant_id, newUuid(), hashKey(key), hintOf(key), caller.principal.id],
    );
    await act(caller);
    return tenant_id;
  });
  const { tenant } = await getTenant(db, id);
  return { ...tenant, ...(replayed ? {} : { key }), replayed };
}

/**
 * Suspends a tenant, at once in every process, or resumes it. Its books are looked after meanwhile.
 *
 * @param reason why; undefined to resume it
 */
export function suspendTenant(db: Database, tenant_id: string, reason: string | undefined): Promise<Changed> {
  return db.write(ofTenant(tenant_id), async (tx) => {
    await tx.run('select from platform.tenants where tenant_id = $1 for no key update', [tenant_id]);
    const { tenant: before } = await readTenant(tx, tenant_id);
    const outcome = await setSuspension(tx, tenant_id, reason);
    if (outcome === 'operates_the_installation') {
      throw refuse(
        'tenant_operates_installation',
        `${formatId('ten', tenant_id)} operates the installation and stays active.`,
      );
    }
    return { before, ...(await readTenant(tx, tenant_id)) };
  });
}

const Filters = Type.Object(
  {
    status: Type.Optional(Status),
    q: Type.Optional(Text({ min: 1, max: 255, description: 'Part of the name' })),
  },
  { additionalProperties: false },
);
const Content = Type.Object(
  { filters: Filters, after: Type.String({ format: 'uuid' }) },
  { additionalProperties: false },
);
const isContent = (content: unknown): content is CursorContent<Static<typeof Filters>, string> =>
  Check(Content, content);

export const ListTenantsQuery = Type.Object(
  { ...Filters.properties, ...pageQuery },
  { additionalProperties: false },
);

/** All tenants of the installation, newest first. */
export async function listTenants(db: Database, query: Static<typeof ListTenantsQuery>) {
  const { limit, cursor, ...given } = query;
  const page = readPage(isContent, given, {
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  const rows = await db.rows(
    Type.Object({ ...Summary, id: Type.String() }),
    `select tenant_id as id, name, base_currency, kind, status, created_at from platform.list_tenants()
     where ($1::uuid is null or tenant_id < $1) and ($2::text is null or status::text = $2)
       and ($3::text is null or strpos(lower(name), lower($3)) > 0)
     order by tenant_id desc limit $4`,
    [page.after ?? null, page.filters.status ?? null, page.filters.q ?? null, page.limit + 1],
  );
  return pageOf(
    rows,
    page,
    (row) => ({ ...row, id: formatId('ten', row.id) }),
    ({ id }) => id,
  );
}
