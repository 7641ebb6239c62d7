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
  /** Removes what has expired of codes, tokens, grants and proofs of possession, and says how many that were. */
  sweep(signal: AbortSignal): Promise<number>;
}

export function openOAuth(options: OAuthOptions): OAuth {
  const { db, permissions, secrets, people, log, publicUrl, scopes, fetch } = options;
  const states = openIssuerStates(db, secrets);
  const findCertificate = certificateFinder(options.config.client_cert_proxies);
  const verify = tokenVerifier(states, publicUrl);

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
    async sweep(signal) {
      await removeOldProofs(db);
      let artifacts = 0;
      for (const scope of await scopes()) {
        if (signal.aborted) break;
        artifacts += await removeExpired(db, scope);
        await rotateOldKeys(db, secrets, scope, options.config.oauth_key_lifetime_s);
      }
      return artifacts;
    },
  };
}
