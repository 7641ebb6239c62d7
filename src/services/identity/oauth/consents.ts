/** What people have allowed applications to do on their behalf: the grants of oidc-provider, as their owners see them. */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import type { Caller } from '../../../platform/access/caller.ts';
import { type CursorContent, pageOf, pageQuery, readPage } from '../../../platform/cursor.ts';
import type { Database, Scope, Transaction } from '../../../platform/db.ts';
import { Id } from '../../../platform/ids.ts';
import { refuse } from '../errors.ts';
import { destroyGrant, hashArtifact } from './artifacts.ts';

export const Consent = Type.Object({
  id: Id('con'),
  application_id: Id('app'),
  scopes: Type.Array(Type.String()),
  created_at: Type.String(),
  expires_at: Type.Optional(Type.String()),
});

const Row = Type.Object({
  id: Type.String(),
  client_id: Type.String(),
  openid: Type.Union([Type.String(), Type.Null()]),
  resources: Type.Union([Type.Record(Type.String(), Type.String()), Type.Null()]),
  created_at: Type.String(),
  expires_at: Type.Union([Type.String(), Type.Null()]),
});

const Content = Type.Object(
  { filters: Type.Object({}, { additionalProperties: false }), after: Type.String({ maxLength: 40 }) },
  { additionalProperties: false },
);
const isContent = (content: unknown): content is CursorContent<object, string> => Check(Content, content);
export const ListConsentsQuery = Type.Object(pageQuery, { additionalProperties: false });

/** The person of a caller: who calls, or whom an application calls for. */
function personOf(caller: Caller): string {
  const person = [caller.principal, caller.on_behalf_of].find((each) => each?.kind === 'person');
  return person?.id ?? '';
}

/** What a consent lets an application do: permissions are scopes of the issuer and of the API. */
function scopesOf({
  openid,
  resources,
}: Pick<Static<typeof Row>, 'openid' | 'resources'>): ReadonlySet<string> {
  const all = [openid ?? '', ...Object.values(resources ?? {})].flatMap((scope) => scope.split(' '));
  return new Set(all.filter((scope) => scope !== ''));
}

function consentOf({ id, client_id, created_at, expires_at, ...allowed }: Static<typeof Row>) {
  return {
    id,
    application_id: client_id,
    scopes: [...scopesOf(allowed)],
    created_at,
    ...(expires_at === null ? {} : { expires_at }),
  };
}

const columns = `payload->>'consent_id' as id, client_id, payload->'openid'->>'scope' as openid,
  payload->'resources' as resources, created_at, expires_at`;

export async function listConsents(tx: Transaction, caller: Caller, query: Static<typeof ListConsentsQuery>) {
  const page = readPage(isContent, {}, query);
  const rows = await tx.rows(
    Row,
    `select ${columns}
     from identity.oauth_artifacts
     where tenant_id = $1 and environment = $2 and model = 'Grant' and account_id = $3
       and (expires_at is null or expires_at > now()) and ($4::text is null or payload->>'consent_id' < $4)
     order by payload->>'consent_id' desc limit $5`,
    [caller.tenant_id, caller.environment, personOf(caller), page.after ?? null, page.limit + 1],
  );
  return pageOf(rows, page, consentOf, ({ id }) => id);
}

/** Takes a consent back: what was given for it is no longer good, in any process. Returns what it was. */
export async function revokeConsent(
  db: Database,
  caller: Caller,
  id: string,
): Promise<Static<typeof Consent>> {
  return db.write(caller, async (tx) => {
    const [found] = await tx.rows(
      Row,
      `select ${columns} from identity.oauth_artifacts
       where tenant_id = $1 and environment = $2 and model = 'Grant' and id_hash = $3 and account_id = $4`,
      [caller.tenant_id, caller.environment, hashArtifact(id), personOf(caller)],
    );
    if (found === undefined) throw refuse('consent_not_found', `There is no consent ${id} of yours.`);
    await destroyGrant(tx, caller, id);
    return consentOf(found);
  });
}

const LatestRow = Type.Object({ id: Type.String() });

/** The latest consent that a person gave an application, remembered beyond the browser's session. */
export async function findConsent(
  db: Database,
  scope: Scope,
  account_id: string,
  client_id: string,
): Promise<string | undefined> {
  const [row] = await db.read(scope, (tx) =>
    tx.rows(
      LatestRow,
      `select payload->>'consent_id' as id from identity.oauth_artifacts
       where tenant_id = $1 and environment = $2 and model = 'Grant' and account_id = $3 and client_id = $4
         and (expires_at is null or expires_at > now())
       order by created_at desc limit 1`,
      [scope.tenant_id, scope.environment, account_id, client_id],
    ),
  );
  return row?.id;
}

const ScopesRow = Type.Object({ openid: Row.properties.openid, resources: Row.properties.resources });

/** What a person allows an application now, by the latest consent; undefined where there is none that is good. */
export async function consentedScopes(
  db: Database,
  scope: Scope,
  account_id: string,
  client_id: string,
): Promise<ReadonlySet<string> | undefined> {
  const [row] = await db.read(scope, (tx) =>
    tx.rows(
      ScopesRow,
      `select payload->'openid'->>'scope' as openid, payload->'resources' as resources
       from identity.oauth_artifacts
       where tenant_id = $1 and environment = $2 and model = 'Grant' and account_id = $3 and client_id = $4
         and (expires_at is null or expires_at > now())
       order by created_at desc limit 1`,
      [scope.tenant_id, scope.environment, account_id, client_id],
    ),
  );
  return row === undefined ? undefined : scopesOf(row);
}
