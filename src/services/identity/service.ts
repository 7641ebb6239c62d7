import { fileURLToPath } from 'node:url';
import { defineService } from '../../platform/service.ts';
import { apiKeyRoutes } from './api-key-routes.ts';
import { refuse } from './errors.ts';
import { permissions } from './permissions.ts';
import { personExists } from './roles/person.ts';
import { grantRoutes, roleRoutes } from './roles/routes.ts';
import { selfRoutes } from './self.ts';

export const identity = defineService({
  name: 'identity',
  migrations: fileURLToPath(new URL('migrations', import.meta.url)),
  problems: refuse.types,
  permissions,
  start({ db, permissions: catalogue }) {
    return {
      routes: async (app) => {
        await app.register(selfRoutes);
        await app.register(apiKeyRoutes({ db, permissions: catalogue }));
        await app.register(roleRoutes({ db, permissions: catalogue }));
        await app.register(grantRoutes({ db, permissions: catalogue, personExists }));
      },
      stop: () => Promise.resolve(),
    };
  },
});
