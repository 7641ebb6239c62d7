import { fileURLToPath } from 'node:url';
import { openSecrets } from '../../platform/secret.ts';
import { defineService, type Service } from '../../platform/service.ts';
import { apiKeyRoutes } from './api-key-routes.ts';
import { refuse } from './errors.ts';
import { openOAuth } from './oauth/oauth.ts';
import type { People } from './oauth/person.ts';
import { permissions } from './permissions.ts';

/** The service, with a way to know people. */
export function identityWith(people: People): Service {
  return defineService({
    name: 'identity',
    migrations: fileURLToPath(new URL('migrations', import.meta.url)),
    problems: refuse.types,
    permissions,
    start({ db, permissions: catalogue, config, log, scopes, publicUrl }) {
      const oauth = openOAuth({
        db,
        permissions: catalogue,
        secrets: openSecrets({ keys: config.identity_encryption_keys, data_dir: config.data_dir }),
        people,
        config,
        log,
        scopes,
        publicUrl,
        // oidc-provider hands a dispatcher along that refuses addresses which are not of the public internet.
        fetch: (url, options) => fetch(url, { ...options, redirect: 'error' }),
      });
      return {
        routes: async (app) => {
          await app.register(apiKeyRoutes({ db, permissions: catalogue }));
          await app.register(oauth.routes);
        },
        authenticators: [oauth.authenticator],
        stop: () => oauth.stop(),
      };
    },
  });
}

/** Without people nobody is signed in: applications act for themselves only. */
export const identity = identityWith({
  signedInPerson: () => Promise.resolve(undefined),
  findPerson: () => Promise.resolve(undefined),
});
