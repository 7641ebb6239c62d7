import { fileURLToPath } from 'node:url';
import { openSecrets } from '../../platform/secret.ts';
import { defineService } from '../../platform/service.ts';
import { apiKeyRoutes } from './api-key-routes.ts';
import { refuse } from './errors.ts';
import { openPeople } from './people/people.ts';
import { permissions } from './permissions.ts';
import { planRoutes } from './plan-routes.ts';
import { personExists } from './roles/person.ts';
import { grantRoutes, roleRoutes } from './roles/routes.ts';
import { selfRoutes } from './self.ts';
import { sandboxRoutes } from './tenants/sandbox-routes.ts';
import { tenantRoutes } from './tenants/tenant-routes.ts';

export const identity = defineService({
  name: 'identity',
  migrations: fileURLToPath(new URL('migrations', import.meta.url)),
  problems: refuse.types,
  permissions,
  async start({ db, permissions: catalogue, config, log, scopes, publicUrl, limits, sandboxes, seeds }) {
    const secrets = openSecrets({ keys: config.identity_encryption_keys, data_dir: config.data_dir });
    const people = await openPeople({ db, permissions: catalogue, secrets, config, log, scopes, publicUrl });
    return {
      routes: async (app) => {
        await app.register(selfRoutes);
        await app.register(apiKeyRoutes({ db, permissions: catalogue }));
        await app.register(people.routes);
        await app.register(roleRoutes({ db, permissions: catalogue }));
        await app.register(grantRoutes({ db, permissions: catalogue, personExists }));
        await app.register(planRoutes(db, limits));
        await app.register(tenantRoutes(db));
        await app.register(sandboxRoutes({ sandboxes, seeds }));
      },
      authenticators: [people.authenticator],
      stop: () => people.stop(),
    };
  },
});
