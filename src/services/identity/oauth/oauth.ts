/** OAuth 2.1 and OpenID Connect as a part of the service identity. */
import type { FastifyBaseLogger, FastifyPluginAsync } from 'fastify';
import type { Authenticator } from '../../../platform/access/access.ts';
import type { PermissionCatalogue } from '../../../platform/access/permission.ts';
import type { Config } from '../../../platform/config.ts';
import type { Database, Scope } from '../../../platform/db.ts';
import type { Secrets } from '../../../platform/secret.ts';
import { removeOldProofs, type UsedProofs } from '../used-proofs.ts';
import { tokenAuthenticator, tokenVerifier } from './access-token.ts';
import { applicationRoutes } from './application-routes.ts';
import { removeExpired } from './artifacts.ts';
import { certificateFinder } from './certificate.ts';
import { openIssuerStates } from './issuer-state.ts';
import { oauthRoutes } from './mount.ts';
import type { People } from './person.ts';
import type { Fetch } from './provider.ts';
import { rotateOldKeys } from './signing-keys.ts';

/** How often what has expired is removed, and keys that are old are replaced. */
const TENDS_EVERY_MS = 600_000;

export interface OAuthOptions {
  db: Database;
  permissions: PermissionCatalogue;
  secrets: Secrets;
  people: People;
  config: Pick<Config, 'client_cert_proxies' | 'oauth_key_lifetime_s'>;
  log: FastifyBaseLogger;
  scopes: () => Promise<Scope[]>;
  publicUrl: () => string;
  /** Fetches the keys of applications that say where they are. */
  fetch: Fetch;
  usedProofs: UsedProofs;
}

export interface OAuth {
  routes: FastifyPluginAsync;
  authenticator: Authenticator;
  stop(): Promise<void>;
}

export function openOAuth(options: OAuthOptions): OAuth {
  const { db, permissions, secrets, people, log, publicUrl, scopes, fetch } = options;
  const states = openIssuerStates(db, secrets);
  const findCertificate = certificateFinder(options.config.client_cert_proxies);
  const verify = tokenVerifier(states, publicUrl);

  const stopping = new AbortController();
  let tending: Promise<void> = Promise.resolve();
  async function attempt(otherwise: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      log.warn({ err: error }, otherwise);
    }
  }
  async function tend(): Promise<void> {
    await attempt('proofs that were used could not be removed', () => removeOldProofs(db));
    for (const scope of await scopes()) {
      if (stopping.signal.aborted) return;
      // What fails for one issuer holds up no other.
      await attempt('what has expired could not be removed', () => removeExpired(db, scope));
      await attempt('old keys could not be replaced', () =>
        rotateOldKeys(db, secrets, scope, options.config.oauth_key_lifetime_s),
      );
    }
  }
  const timer = setInterval(() => {
    tending = tending.then(() => attempt('the issuers could not be looked after', tend));
  }, TENDS_EVERY_MS);
  timer.unref();

  return {
    routes: async (app) => {
      await app.register(applicationRoutes({ db, permissions }, secrets));
      await app.register(
        oauthRoutes(
          {
            db,
            permissions,
            secrets,
            people,
            verify,
            findCertificate,
            publicUrl,
            fetch,
            onError: (error) => log.error({ err: error }, 'a request of OAuth failed'),
          },
          states,
        ),
      );
    },
    authenticator: tokenAuthenticator({
      db,
      states,
      people,
      permissions,
      findCertificate,
      usedProofs: options.usedProofs,
      publicUrl,
    }),
    async stop() {
      stopping.abort();
      clearInterval(timer);
      await tending;
    },
  };
}
