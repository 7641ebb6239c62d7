/** The institution's own OpenID Connect provider, through which its people may sign in. */
import {
  allowInsecureRequests,
  type Configuration,
  type CustomFetch,
  customFetch,
  discovery,
} from 'openid-client';
import { type Static, Type } from 'typebox';
import type { Caller } from '../../../platform/access/caller.ts';
import type { Database, Scope, Transaction } from '../../../platform/db.ts';
import { assertMatches } from '../../../platform/etag.ts';
import { Text } from '../../../platform/http.ts';
import type { Problem } from '../../../platform/problem.ts';
import type { Secrets } from '../../../platform/secret.ts';
import { refuse } from '../errors.ts';
import { assertConfined } from '../roles/holding.ts';

export const ProviderRequest = Type.Object(
  {
    issuer: Text({
      min: 1,
      max: 1_000,
      description: 'Its issuer identifier, whose discovery document is read',
      examples: ['https://login.bank.example'],
    }),
    client_id: Text({ min: 1, max: 255, description: 'What this installation is called there' }),
    client_secret: Type.Optional(
      // Marked so that no proposal keeps it.
      Object.assign(Text({ min: 1, max: 1_000, description: 'Absent in an edit: the one before is kept' }), {
        writeOnly: true,
      }),
    ),
    email_domains: Type.Array(
      Type.String({ pattern: '^[a-z0-9-]+(\\.[a-z0-9-]+)+$', maxLength: 253, examples: ['bank.example'] }),
      {
        minItems: 1,
        maxItems: 100,
        uniqueItems: true,
        description: 'Domains of e-mail addresses that it is believed about',
      },
    ),
  },
  { additionalProperties: false },
);

export const IdentityProvider = Type.Object({
  status: Type.Union([Type.Literal('set'), Type.Literal('unset')]),
  issuer: Type.Optional(Type.String()),
  client_id: Type.Optional(Type.String()),
  email_domains: Type.Optional(Type.Array(Type.String())),
  redirect_uri: Type.String({ description: 'To be registered at the provider' }),
  sign_in_url: Type.String({ description: 'Where people begin to sign in through it' }),
  updated_at: Type.Optional(Type.String()),
});

const Row = Type.Object({
  issuer: Type.String(),
  client_id: Type.String(),
  client_secret: Type.String(),
  email_domains: Type.Array(Type.String()),
  updated_at: Type.String(),
  version: Type.Integer(),
});
export type ProviderRow = Static<typeof Row>;

/** The provider of a tenant; undefined where it has none. */
export async function findProvider(tx: Transaction, { tenant_id }: Scope): Promise<ProviderRow | undefined> {
  const [row] = await tx.rows(
    Row,
    `select issuer, client_id, client_secret, email_domains, updated_at, version
     from identity.identity_providers where tenant_id = $1`,
    [tenant_id],
  );
  return row;
}

export function noProvider(): Problem {
  return refuse('identity_provider_not_found', 'The tenant has no identity provider.');
}

export const clientSecretContext = (tenant_id: string) => `identity provider ${tenant_id}`;
const TIMEOUT_S = 10;

export interface Providers {
  db: Database;
  secrets: Secrets;
  publicUrl: () => string;
  /** How calls leave the process; the runtime's own fetch where absent. */
  outgoing?: CustomFetch;
}

/** Plain HTTP is for a provider on this machine while this server is itself used on this machine, in development. */
function isPlainHttpAllowed(issuer: URL, publicUrl: string): boolean {
  const isHere = (hostname: string) => ['localhost', '127.0.0.1', '[::1]'].includes(hostname);
  return isHere(issuer.hostname) && isHere(new URL(publicUrl).hostname);
}

/** Reads the discovery document. Throws `identity_provider_not_good`. */
export async function discover(
  { publicUrl, outgoing }: Providers,
  { issuer, client_id, client_secret }: Pick<ProviderRow, 'issuer' | 'client_id' | 'client_secret'>,
): Promise<Configuration> {
  const url = URL.parse(issuer);
  const isPlain = url?.protocol === 'http:';
  if (
    url === null ||
    !(url.protocol === 'https:' || (isPlain && isPlainHttpAllowed(url, publicUrl()))) ||
    url.search + url.hash + url.username + url.password !== ''
  ) {
    throw refuse('identity_provider_not_good', `${issuer} is no https URL without query or credentials.`);
  }
  try {
    return await discovery(url, client_id, client_secret, undefined, {
      timeout: TIMEOUT_S,
      ...(outgoing === undefined ? {} : { [customFetch]: outgoing }),
      ...(isPlain ? { execute: [allowInsecureRequests] } : {}),
    });
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw refuse('identity_provider_not_good', `The discovery document of ${issuer} cannot be used.`);
  }
}

/** The client's secret at the provider, for the calls to it. */
export function clientSecretOf({ secrets }: Providers, tenant_id: string, row: ProviderRow): string {
  return secrets.decrypt(row.client_secret, clientSecretContext(tenant_id));
}

export function redirectUri(publicUrl: string): string {
  return `${publicUrl}/identity/external/callback`;
}

/** A provider as it is shown: the secret is not. Where none is set, what must be registered to set one. */
export function providerOf(
  { publicUrl }: Pick<Providers, 'publicUrl'>,
  tenant: string,
  row: ProviderRow | undefined,
): Static<typeof IdentityProvider> {
  return {
    status: row === undefined ? 'unset' : 'set',
    ...(row === undefined
      ? {}
      : {
          issuer: row.issuer,
          client_id: row.client_id,
          email_domains: row.email_domains,
          updated_at: row.updated_at,
        }),
    redirect_uri: redirectUri(publicUrl()),
    sign_in_url: `${publicUrl()}/identity/external/${tenant}`,
  };
}

/** Sets the provider of a tenant, in place of the one before, once its discovery document could be read. */
export async function setProvider(
  providers: Providers,
  caller: Caller,
  body: Static<typeof ProviderRequest>,
  ifMatch: string | undefined,
): Promise<{ before: ProviderRow | undefined; row: ProviderRow }> {
  // Whoever answers for people can answer for any of them.
  assertConfined(caller);
  const { db, secrets } = providers;
  const before = await db.read(caller, (tx) => findProvider(tx, caller));
  const client_secret =
    body.client_secret ??
    (before === undefined ? undefined : clientSecretOf(providers, caller.tenant_id, before));
  if (client_secret === undefined) {
    throw refuse(
      'identity_provider_not_good',
      'A provider that is set for the first time needs client_secret.',
      {
        errors: [{ pointer: '/client_secret', detail: 'is required' }],
      },
    );
  }
  if (before !== undefined) assertMatches(ifMatch, before.version, 'the identity provider');
  await discover(providers, { ...body, client_secret });
  return db.write(caller, async (tx) => {
    const [row] = await tx.rows(
      Row,
      `insert into identity.identity_providers as p (tenant_id, issuer, client_id, client_secret, email_domains)
       values ($1, $2, $3, $4, $5)
       on conflict (tenant_id) do update set issuer = $2, client_id = $3, client_secret = $4, email_domains = $5,
         updated_at = now(), version = p.version + 1
       where p.version = $6
       returning issuer, client_id, client_secret, email_domains, updated_at, version`,
      [
        caller.tenant_id,
        body.issuer,
        body.client_id,
        secrets.encrypt(client_secret, clientSecretContext(caller.tenant_id)),
        body.email_domains,
        before?.version ?? null,
      ],
    );
    if (row === undefined) {
      const now = await findProvider(tx, caller);
      assertMatches(ifMatch, now?.version ?? 0, 'the identity provider');
      throw new Error('a provider could neither be set nor had another version');
    }
    return { before, row };
  });
}

/**
 * Removes the provider, and returns what it was. Who signed in through it needs a password then; whom it stands for is
 * remembered.
 */
export async function removeProvider(db: Database, scope: Scope): Promise<ProviderRow> {
  const [removed] = await db.write(scope, (tx) =>
    tx.rows(
      Row,
      `delete from identity.identity_providers where tenant_id = $1
       returning issuer, client_id, client_secret, email_domains, updated_at, version`,
      [scope.tenant_id],
    ),
  );
  if (removed === undefined) throw noProvider();
  return removed;
}
