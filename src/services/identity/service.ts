import { fileURLToPath } from 'node:url';
import { defineService } from '../../platform/service.ts';
import { apiKeyRoutes } from './api-key-routes.ts';
import { refuse } from './errors.ts';
import { permissions } from './permissions.ts';
import { planRoutes } from './plan-routes.ts';

export const identity = defineService({
  name: 'identity',
  migrations: fileURLToPath(new URL('migrations', import.meta.url)),
  problems: refuse.types,
  permissions,
  start({ db, permissions: catalogue, limits }) {
    return {
      routes: async (app) => {
        await app.register(apiKeyRoutes({ db, permissions: catalogue }));
        await app.register(planRoutes(db, limits));
      },
      stop: () => Promise.resolve(),
    };
  },
});
