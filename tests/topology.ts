/** The platform as one process or as several, behind one address, on a database of its own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { noting, routeTable, type Seen } from '../scripts/route-table.ts';
import { createKey } from '../src/platform/access/access.ts';
import { createTenant } from '../src/platform/access/tenant.ts';
import { boot } from '../src/platform/boot.ts';
import { readConfig } from '../src/platform/config.ts';
import type { Scope } from '../src/platform/db.ts';
import { services } from '../src/services.ts';
import { migratedDatabase } from '../src/testing.ts';
import { type Gateway, openGateway } from './gateway.ts';
import { probeService } from './probe/service.ts';
import { isAlive, type ServerProcess, startServer } from './server.ts';

const program = new URL('apart-process.ts', import.meta.url).pathname;

export interface Topology {
  gateway: Gateway;
  /** Connection string as superuser. */
  databaseUrl: string;
  tenant: { scope: Scope; key: string; second: string };
  /** Another one. */
  other: { scope: Scope; key: string };
  processes: { server: ServerProcess; services: readonly string[] }[];
  /** What the processes have written, those that are gone too. */
  lines(): string[];
  /** Starts one more process. */
  start(services: readonly string[]): Promise<ServerProcess>;
  /** Stops a process as an operator does, and resolves when it is gone. */
  stop(server: ServerProcess): Promise<void>;
  close(): Promise<void>;
}

/** @param settings of every process */
export async function openTopology(settings: Record<string, string> = {}): Promise<Topology> {
  const database = await migratedDatabase();
  const data_dir = mkdtempSync(join(tmpdir(), 'financialapi-apart-'));
  const all = [...services, probeService(() => false)];
  const common = {
    DATABASE_URL: database.url,
    PORT: '0',
    DEMO: 'false',
    LOG_LEVEL: 'error',
    POOL_SIZE: '4',
    ADDRESS_LIMIT_FACTOR: '1000',
  };

  const seen: Seen = { routes: new Map(), consumers: [] };
  const running = await boot(readConfig(common), noting(all, seen));
  const tenant_id = await createTenant(running.platform, { name: 'Test', base_currency: 'BRL' });
  const scope: Scope = { tenant_id, environment: 'sandbox' };
  const key = await createKey(running.platform, scope, { label: 'first' });
  const second = await createKey(running.platform, scope, { label: 'second' });
  const otherScope: Scope = {
    tenant_id: await createTenant(running.platform, { name: 'Other', base_currency: 'BRL' }),
    environment: 'sandbox',
  };
  const otherKey = await createKey(running.platform, otherScope, { label: 'other' });
  await running.stop();
  const gateway = await openGateway(routeTable(seen));
  const processes: Topology['processes'] = [];
  const servers: ServerProcess[] = [];
  const start: Topology['start'] = async (own) => {
    const server = await startServer(
      {
        ...common,
        DISCOVERY_TIMEOUT_MS: '240000',
        SERVICES: own.join(','),
        DATA_DIR: data_dir,
        PUBLIC_URL: gateway.url,
        SERVICE_TOKEN_KEY: Buffer.alloc(32, 1).toString('base64'),
        IDENTITY_ENCRYPTION_KEY: Buffer.alloc(32, 2).toString('base64'),
        TRUST_PROXY: '1',
        ...settings,
      },
      program,
    );
    processes.push({ server, services: own });
    servers.push(server);
    await gateway.add(server.url, own);
    return server;
  };
  return {
    gateway,
    databaseUrl: database.url,
    tenant: { scope, key, second },
    other: { scope: otherScope, key: otherKey },
    processes,
    lines: () => servers.flatMap(({ lines }) => lines),
    start,
    async stop(server) {
      server.kill('SIGTERM');
      const { code } = await server.exit;
      gateway.remove(server.url);
      if (code !== 0) throw new Error(`a process ended with ${code}:\n${server.lines.join('\n')}`);
      const index = processes.findIndex((one) => one.server === server);
      if (index >= 0) processes.splice(index, 1);
    },
    async close() {
      for (const { server } of processes) if (isAlive(server.pid)) server.kill('SIGKILL');
      await Promise.all(processes.map(({ server }) => server.exit));
      await gateway.close();
      await database.drop();
      rmSync(data_dir, { recursive: true, force: true });
    },
  };
}
