/** Communities of developers, as the staff of the institution that hosts them administer them, and as everybody sees them. */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import type { Caller, Principal } from '../../../platform/access/caller.ts';
import { PERMISSION_PATTERN, type PermissionCatalogue } from '../../../platform/access/permission.ts';
import { type CursorContent, pageOf, pageQuery, readPage } from '../../../platform/cursor.ts';
import type { Database, Scope, Transaction } from '../../../platform/db.ts';
import { assertMatches } from '../../../platform/etag.ts';
import { Text } from '../../../platform/http.ts';
import { type Attempt, canonicalRequest } from '../../../platform/idempotency.ts';
import { formatId, Id, newUuid } from '../../../platform/ids.ts';
import { once } from '../../../platform/once.ts';
import { refuse } from '../errors.ts';
import { assertMayAssign, PlanName } from '../plans.ts';
import { assertHolds } from '../roles/holding.ts';
import { Brand, LogoUrl } from '../tenants/tenants.ts';

const Slug = Type.String({
  pattern: '^[a-z][a-z0-9-]{1,62}$',
  description: 'Its name in addresses, as `/portal/partners`; unique in the installation',
  examples: ['partners'],
});
/** Pages that the portal has whatever the communities are: a community of that name would never be seen. */
const PAGES = new Set(
  (
    'announcements api-keys applications changelog errors event-types events explore inbox invitations live me people ' +
    'questions roles sandbox status usage verify webhook-deliveries webhooks'
  ).split(' '),
);
const Name = Text({ min: 1, max: 255, examples: ['Partners'] });
const Description = Text({ max: 2_000, description: 'What it is for, for whoever considers to join' });
const SignUp = Type.Enum(['open', 'approval', 'invitation', 'closed'], {
  description:
    '`open`: whoever shows that an address is theirs is in; `approval`: then somebody decides; `invitation`: only those whom staff invited; `closed`: nobody, whether invited or not',
});
const SecondFactor = Type.Enum(['before_live', 'at_sign_up'], {
  description:
    'When developers need a second factor: before live access is asked for, or before they do anything. It holds for those who joined already, too',
});
const EmailDomains = Type.Array(
  Type.String({ pattern: '^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$', examples: ['partner.example'] }),
  {
    maxItems: 100,
    uniqueItems: true,
    description: 'Of which addresses have to be, save of those whom staff invited; none: of any',
  },
);
const Terms = Type.Object(
  {
    version: Text({ min: 1, max: 64, examples: ['2027-01'] }),
    text: Text({ min: 1, max: 100_000 }),
  },
  { additionalProperties: false, description: 'What has to be accepted' },
);
const Apis = Type.Array(Text({ min: 1, max: 64, examples: ['Transfers'] }), {
  maxItems: 200,
  uniqueItems: true,
  description: 'Tags of the API reference that its portal shows; none: all',
});
const LiveScopes = Type.Array(Type.String({ pattern: PERMISSION_PATTERN, examples: ['accounts:read'] }), {
  maxItems: 200,
  uniqueItems: true,
  description:
    'Permissions, or patterns of them, that its applications may be given beyond their own sandbox',
});

/** The same as that of a tenant; a page of a community loads no picture from elsewhere. */
const CommunityBrand = Type.Object(
  {
    ...Brand.properties,
    logo_url: Type.Optional(
      Type.String({
        ...LogoUrl,
        description: 'https only. Kept for others to use: pages show the stored logo only (`PUT …/logo`)',
      }),
    ),
  },
  { additionalProperties: false, description: 'How the community appears on pages' },
);
const LogoType = Type.Enum(['image/png', 'image/webp']);
export const Logo = Type.Object(
  {
    url: Type.String({
      description: 'Path at this installation, for everybody; another for each picture',
      examples: ['/identity/communities/partners/logo?v=4a9c1fd04c3e'],
    }),
    content_type: LogoType,
    width: Type.Integer({ description: 'Pixels' }),
    height: Type.Integer({ description: 'Pixels' }),
    bytes: Type.Integer({ description: 'Length of the file' }),
  },
  { description: 'Absent where there is none' },
);

const settings = {
  name: Name,
  description: Description,
  brand: CommunityBrand,
  sign_up: SignUp,
  email_domains: EmailDomains,
  terms: Terms,
  apis: Apis,
  live_scopes: LiveScopes,
  live_plan: PlanName,
  listed: Type.Boolean({ description: 'Whether the front page of the portal names it' }),
  second_factor: SecondFactor,
};

export const CommunityRequest = Type.Object(
  {
    slug: Slug,
    name: settings.name,
    terms: settings.terms,
    description: Type.Optional(Description),
    brand: Type.Optional(CommunityBrand),
    sign_up: Type.Optional(SignUp),
    email_domains: Type.Optional(EmailDomains),
    apis: Type.Optional(Apis),
    live_scopes: Type.Optional(LiveScopes),
    live_plan: Type.Optional(PlanName),
    listed: Type.Optional(settings.listed),
    second_factor: Type.Optional(SecondFactor),
  },
  { additionalProperties: false },
);
type CommunityRequest = Static<typeof CommunityRequest>;
export const EditCommunityRequest = Type.Partial(Type.Object(settings), {
  additionalProperties: false,
  minProperties: 1,
});

export const Community = Type.Object({
  id: Id('com'),
  slug: Type.String(),
  environment: Type.Enum(['sandbox', 'live'], {
    description:
      'Where its applications are given access: `live`, or the sandbox of the institution to try it out',
  }),
  ...settings,
  logo: Type.Optional(Logo),
  created_at: Type.String(),
  created_by: Type.String(),
  updated_at: Type.String(),
});
export type Community = Static<typeof Community>;

/** What everybody sees of a community. */
export const PublicCommunity = Type.Object({
  slug: Type.String(),
  name: Type.String(),
  description: Type.String(),
  institution: Type.String({ description: 'Who hosts it' }),
  brand: CommunityBrand,
  logo: Type.Optional(Logo),
  sign_up: SignUp,
  second_factor: SecondFactor,
  email_domains: EmailDomains,
  apis: Apis,
  live_scopes: LiveScopes,
  terms: Terms,
});
export type PublicCommunity = Static<typeof PublicCommunity>;

const Kind = Type.Enum(['key', 'person', 'application', 'service', 'device']);
const StoredLogo = Type.Object({
  sha256: Type.String({ description: 'Hexadecimal' }),
  content_type: LogoType,
  width: Type.Integer(),
  height: Type.Integer(),
  bytes: Type.Integer(),
});
type StoredLogo = Static<typeof StoredLogo>;
const Row = Type.Object({
  id: Type.String(),
  slug: Type.String(),
  environment: Type.Enum(['sandbox', 'live']),
  name: Type.String(),
  description: Type.String(),
  brand: CommunityBrand,
  logo: Type.Union([StoredLogo, Type.Null()]),
  sign_up: SignUp,
  email_domains: Type.Array(Type.String()),
  terms_version: Type.String(),
  terms_text: Type.String(),
  apis: Type.Array(Type.String()),
  live_scopes: Type.Array(Type.String()),
  live_plan: Type.String(),
  listed: Type.Boolean(),
  second_factor: SecondFactor,
  authority: Type.Object({ kind: Kind, id: Type.String(), name: Type.String() }),
  institution: Type.String(),
  created_at: Type.String(),
  created_by: Type.String(),
  updated_at: Type.String(),
  version: Type.Integer(),
});

const columns = `c.id, c.slug, c.environment, c.name, c.description, c.brand, c.sign_up, c.email_domains, c.terms_version,
  c.terms_text, c.apis, c.live_scopes, c.live_plan, c.listed, c.second_factor, c.authority, t.name as institution, c.created_at,
  c.created_by, c.updated_at, c.version,
  case when l.community_id is not null then jsonb_build_object('sha256', encode(l.sha256, 'hex'), 'content_type', l.content_type,
    'width', l.width, 'height', l.height, 'bytes', octet_length(l.picture)) end as logo`;
// The length of a picture is read without the picture, which PostgreSQL keeps apart from the row.
const from = `from identity.communities c join platform.tenants t on t.tenant_id = c.tenant_id
  left join identity.community_logos l on (l.tenant_id, l.environment, l.community_id) = (c.tenant_id, c.environment, c.id)`;

export interface FoundCommunity {
  /** UUID. */
  uuid: string;
  community: Community;
  institution: string;
  logo: StoredLogo | undefined;
  /** Who answers for what nobody is signed in for. */
  authority: Principal;
  version: number;
}

/** Characters of the hash by which an address names a picture and not the next one. */
const VERSION_CHARACTERS = 12;
export const logoVersion = (sha256: string) => sha256.slice(0, VERSION_CHARACTERS);

/** A logo as everybody is told of it. */
export function logoOf(slug: string, { sha256, ...logo }: StoredLogo): Static<typeof Logo> {
  return { url: `/identity/communities/${slug}/logo?v=${logoVersion(sha256)}`, ...logo };
}

function foundOf(row: Static<typeof Row>): FoundCommunity {
  const { id: uuid, version, authority, institution, terms_version, terms_text, logo, ...rest } = row;
  const community = {
    ...rest,
    id: formatId('com', uuid),
    terms: { version: terms_version, text: terms_text },
    ...(logo === null ? {} : { logo: logoOf(row.slug, logo) }),
  };
  return { uuid, community, institution, logo: logo ?? undefined, authority, version };
}

export function publicView({ community, institution }: FoundCommunity): PublicCommunity {
  const { slug, name, description, brand, logo, sign_up, second_factor } = community;
  const { email_domains, apis, live_scopes, terms } = community;
  return {
    slug,
    name,
    description,
    institution,
    brand,
    ...(logo === undefined ? {} : { logo }),
    sign_up,
    second_factor,
    email_domains,
    apis,
    live_scopes,
    terms,
  };
}

export async function getCommunity(tx: Transaction, scope: Scope, uuid: string): Promise<FoundCommunity> {
  const [row] = await tx.rows(
    Row,
    `select ${columns} ${from} where c.tenant_id = $1 and c.environment = $2 and c.id = $3`,
    [scope.tenant_id, scope.environment, uuid],
  );
  if (row === undefined) {
    throw refuse(
      'community_not_found',
      `There is no community ${formatId('com', uuid)} in ${scope.environment}.`,
    );
  }
  return foundOf(row);
}

const Filters = Type.Object({ sign_up: Type.Optional(SignUp) }, { additionalProperties: false });
const Content = Type.Object(
  { filters: Filters, after: Type.String({ format: 'uuid' }) },
  { additionalProperties: false },
);
const isContent = (content: unknown): content is CursorContent<Static<typeof Filters>, string> =>
  Check(Content, content);
export const ListCommunitiesQuery = Type.Object(
  { ...Filters.properties, ...pageQuery },
  { additionalProperties: false },
);

/** Communities of an environment, newest first. */
export async function listCommunities(
  tx: Transaction,
  scope: Scope,
  { limit, cursor, ...given }: Static<typeof ListCommunitiesQuery>,
) {
  const page = readPage(isContent, given, {
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  const rows = await tx.rows(
    Row,
    `select ${columns} ${from}
     where c.tenant_id = $1 and c.environment = $2 and ($3::uuid is null or c.id < $3)
       and ($4::text is null or c.sign_up = $4)
     order by c.id desc limit $5`,
    [scope.tenant_id, scope.environment, page.after ?? null, page.filters.sign_up ?? null, page.limit + 1],
  );
  return pageOf(
    rows,
    page,
    (row) => foundOf(row).community,
    ({ id }) => id,
  );
}

export interface Communities {
  db: Database;
  permissions: PermissionCatalogue;
}

/** Refuses to offer others what the caller could not give them. */
async function assertMayOffer(
  tx: Transaction,
  caller: Caller,
  permissions: PermissionCatalogue,
  { live_scopes, live_plan }: { live_scopes?: readonly string[]; live_plan?: string },
): Promise<void> {
  if (live_scopes !== undefined) await assertHolds(tx, caller, permissions, live_scopes);
  if (live_plan !== undefined) await assertMayAssign(tx, caller, live_plan);
}

const authorityOf = ({ principal, on_behalf_of }: Caller) => JSON.stringify(on_behalf_of ?? principal);

export async function createCommunity(
  { db, permissions }: Communities,
  caller: Caller,
  body: CommunityRequest,
  attempt: Attempt,
): Promise<FoundCommunity & { replayed: boolean }> {
  if (PAGES.has(body.slug)) {
    throw refuse('community_name_taken', `The portal has a page of its own at /portal/${body.slug}.`);
  }
  const { id, replayed } = await once(
    db,
    caller,
    { ...attempt, request: canonicalRequest(body) },
    refuse,
    async (tx) => {
      const live_plan = body.live_plan ?? caller.plan;
      await assertMayOffer(tx, caller, permissions, { live_scopes: body.live_scopes ?? [], live_plan });
      const uuid = newUuid();
      const made = await tx.run(
        `insert into identity.communities (tenant_id, environment, id, slug, name, description, brand, sign_up,
           email_domains, terms_version, terms_text, apis, live_scopes, live_plan, listed, authority, created_by,
           second_factor)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
         on conflict (slug) do nothing`,
        [
          caller.tenant_id,
          caller.environment,
          uuid,
          body.slug,
          body.name,
          body.description ?? '',
          JSON.stringify(body.brand ?? {}),
          body.sign_up ?? 'closed',
          body.email_domains ?? [],
          body.terms.version,
          body.terms.text,
          body.apis ?? [],
          body.live_scopes ?? [],
          live_plan,
          body.listed ?? false,
          authorityOf(caller),
          caller.principal.id,
          body.second_factor ?? 'before_live',
        ],
      );
      if (made === 0) {
        throw refuse('community_exists', `There is a community ${body.slug} in this installation already.`);
      }
      return uuid;
    },
  );
  return { ...(await db.read(caller, (tx) => getCommunity(tx, caller, id))), replayed };
}

/** Edits a community. Whoever edits it answers for it from then on. */
export function editCommunity(
  { db, permissions }: Communities,
  caller: Caller,
  uuid: string,
  body: Static<typeof EditCommunityRequest>,
  ifMatch: string | undefined,
): Promise<{ before: Community; after: Community; version: number }> {
  return db.write(caller, async (tx) => {
    await tx.run(
      'select from identity.communities where tenant_id = $1 and environment = $2 and id = $3 for no key update',
      [caller.tenant_id, caller.environment, uuid],
    );
    const { community: before, version } = await getCommunity(tx, caller, uuid);
    assertMatches(ifMatch, version, 'the community');
    // Also what was offered by somebody else is from then on what the caller offers.
    const { live_scopes = before.live_scopes, live_plan } = body;
    await assertMayOffer(tx, caller, permissions, {
      live_scopes,
      ...(live_plan === undefined || live_plan === before.live_plan ? {} : { live_plan }),
    });
    const next = { ...before, ...body };
    await tx.run(
      `update identity.communities
       set name = $4, description = $5, brand = $6, sign_up = $7, email_domains = $8, terms_version = $9,
         terms_text = $10, apis = $11, live_scopes = $12, live_plan = $13, listed = $14, authority = $15,
         second_factor = $16, updated_at = now(), version = version + 1
       where tenant_id = $1 and environment = $2 and id = $3`,
      [
        caller.tenant_id,
        caller.environment,
        uuid,
        next.name,
        next.description,
        JSON.stringify(next.brand),
        next.sign_up,
        next.email_domains,
        next.terms.version,
        next.terms.text,
        next.apis,
        next.live_scopes,
        next.live_plan,
        next.listed,
        authorityOf(caller),
        next.second_factor,
      ],
    );
    const { community: after, version: now } = await getCommunity(tx, caller, uuid);
    return { before, after, version: now };
  });
}

const Where = Type.Object({
  tenant_id: Type.String(),
  environment: Type.Enum(['sandbox', 'live']),
  id: Type.String(),
});

/** The community of a name, and where it is; undefined where there is none. */
export async function findCommunity(
  db: Database,
  slug: string,
): Promise<(FoundCommunity & { scope: Scope }) | undefined> {
  const [where] = await db.rows(Where, 'select * from identity.find_community($1)', [slug]);
  if (where === undefined) return undefined;
  const scope: Scope = { tenant_id: where.tenant_id, environment: where.environment };
  return { ...(await db.read(scope, (tx) => getCommunity(tx, scope, where.id))), scope };
}

/** Communities that everybody may know of. */
export async function listedCommunities(db: Database): Promise<PublicCommunity[]> {
  const all = await db.rows(Where, 'select * from identity.listed_communities()');
  return Promise.all(
    all.map(async ({ id, tenant_id, environment }) => {
      const scope = { tenant_id, environment };
      return publicView(await db.read(scope, (tx) => getCommunity(tx, scope, id)));
    }),
  );
}
