/** Commands of the operator, beside the server: which database they work on, with the operator's own rights. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findPostmaster, PORT, prepareCluster, SUPERUSER } from './cluster.ts';
import { type Config, StartupError } from './config.ts';

/**
 * Connection string of DATABASE_URL, or of the embedded server that runs on DATA_DIR.
 *
 * @throws StartupError where there is neither
 */
export async function operatorDatabaseUrl(config: Config): Promise<string> {
  if (config.database_url !== undefined) return config.database_url;
  const nothing = `no server runs on DATA_DIR ${config.data_dir}: start it with npm start, or set DATABASE_URL`;
  if (!existsSync(join(config.data_dir, 'postgres'))) throw new StartupError(nothing);
  const socketDir = findPostmaster(await prepareCluster(config.data_dir))?.socket_dir;
  if (socketDir === undefined) throw new StartupError(nothing);
  const query = new URLSearchParams({ host: socketDir, port: String(PORT), sslmode: 'disable' });
  return `postgresql://${SUPERUSER}@localhost/financialapi?${query.toString()}`;
}
