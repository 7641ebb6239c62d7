import { fileURLToPath } from 'node:url';
import { defineService } from '../../platform/service.ts';
import { apiKeyRoutes } from './api-key-routes.ts';
import { refuse } from './errors.ts';
import { permissions } from './permissions.ts';
import { sandboxRoutes } from './tenants/sandbox-routes.ts';
import { tenantRoutes } from './tenants/tenant-routes.ts';

export const identity = defineService({
  name: 'identity',
  migrations: fileURLToPath(new URL('migrations', import.meta.url)),
  problems: refuse.types,
  permissions,
  start({ db, permissions: catalogue, sandboxes, seeds }) {
    return {
      routes: async (app) => {
        await app.register(apiKeyRoutes({ db, permissions: catalogue }));
        await app.register(tenantRoutes(db));
        await app.register(sandboxRoutes({ sandboxes, seeds }));
      },
      stop: () => Promise.resolve(),
    };
  },
});
