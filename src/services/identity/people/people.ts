/** People as one part of the service: what they stand on, their routes, and what is done beside them. */
import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import type { Authenticator } from '../../../platform/access/access.ts';
import type { PermissionCatalogue } from '../../../platform/access/permission.ts';
import type { Config } from '../../../platform/config.ts';
import type { Database, Scope } from '../../../platform/db.ts';
import type { Secrets } from '../../../platform/secret.ts';
import { externalRoutes } from './external.ts';
import { openPasswords } from './password.ts';
import type { Providers } from './provider.ts';
import { openSessions, type Sessions, type SignedInPerson } from './session.ts';
import type { SignInAttempt, SigningIn } from './sign-in.ts';
import { signInPages } from './sign-in-page.ts';
import { signInRoutes } from './sign-in-routes.ts';
import { staffRoutes } from './staff-routes.ts';
import { removeOldThrottles } from './throttle.ts';

export interface People {
  routes: FastifyPluginAsync;
  authenticator: Authenticator;
  /** Who is signed in, for pages of other parts. */
  signedInPerson(request: FastifyRequest): Promise<SignedInPerson | undefined>;
  findPerson: Sessions['findPerson'];
  /** Removes what has expired of sessions and sign-ins. */
  sweep(signal: AbortSignal): Promise<void>;
}

export interface PeopleOptions {
  db: Database;
  permissions: PermissionCatalogue;
  secrets: Secrets;
  config: Pick<Config, 'session_idle_s' | 'session_lifetime_s'>;
  scopes: () => Promise<Scope[]>;
  publicUrl: () => string;
  /** How calls to the tenants' identity providers leave the process; the runtime's own fetch where absent. */
  outgoing?: Providers['outgoing'];
  /** Told of every attempt to sign in. */
  onSignIn?: (attempt: SignInAttempt) => Promise<void>;
  audit: SigningIn['audit'];
}

/** Sessions that ended are kept for whoever looks into what happened. */
const ENDED_KEPT_DAYS = 90;

/** Removes what has expired and means nothing any more. */
async function sweep(
  { db, scopes }: Pick<PeopleOptions, 'db' | 'scopes'>,
  signal: AbortSignal,
): Promise<void> {
  await removeOldThrottles(db);
  await db.run('delete from identity.passkey_challenges where expires_at < now()');
  for (const scope of (await scopes()).filter(({ environment }) => environment === 'sandbox')) {
    if (signal.aborted) return;
    await db.write(scope, async (tx) => {
      for (const table of ['pending_sign_ins', 'external_sign_ins', 'password_resets']) {
        await tx.run(`delete from identity.${table} where tenant_id = $1 and expires_at < now()`, [
          scope.tenant_id,
        ]);
      }
      await tx.run(
        `delete from identity.sessions
         where tenant_id = $1 and least(ended_at, expires_at) < now() - make_interval(days => $2)`,
        [scope.tenant_id, ENDED_KEPT_DAYS],
      );
    });
  }
}

export async function openPeople(options: PeopleOptions): Promise<People> {
  const { db, permissions, secrets, config, publicUrl, outgoing, onSignIn, audit } = options;
  const idle_s = config.session_idle_s;
  const sessions = openSessions({
    db,
    permissions,
    idle_s,
    lifetime_s: config.session_lifetime_s,
    publicUrl,
  });
  const signingIn: SigningIn = {
    db,
    passwords: await openPasswords(),
    secrets,
    sessions,
    publicUrl,
    audit,
    ...(onSignIn === undefined ? {} : { onSignIn }),
  };

  const providers: Providers = { db, secrets, publicUrl, ...(outgoing === undefined ? {} : { outgoing }) };

  return {
    routes: async (app) => {
      await app.register(staffRoutes({ db, permissions, sessions, idle_s }));
      await app.register(signInRoutes({ ...signingIn, idle_s }));
      await app.register(signInPages(signingIn));
      await app.register(externalRoutes(providers, signingIn));
    },
    authenticator: sessions.authenticator,
    signedInPerson: (request) => sessions.signedInPerson(request),
    findPerson: (scope, person_uuid) => sessions.findPerson(scope, person_uuid),
    sweep: (signal) => sweep(options, signal),
  };
}
