/**
 * `npm run tenant`: creates tenants and their API keys, and revokes keys, on the database of DATABASE_URL or of the server that runs on
 * DATA_DIR. A key is shown once; the database keeps only its hash.
 *
 *   npm run tenant -- create --name "Banco Exemplo" --currency BRL [--environment sandbox|live]
 *   npm run tenant -- key --tenant ten_… [--environment sandbox|live] [--label text]
 *   npm run tenant -- revoke --key fa_…
 */
import { parseArgs } from 'node:util';
import { createKey, revokeKey } from '../src/platform/access/access.ts';
import { createTenant } from '../src/platform/access/tenant.ts';
import { readConfig, StartupError } from '../src/platform/config.ts';
import { findExponent } from '../src/platform/currencies.ts';
import { type Environment, openDatabase } from '../src/platform/db.ts';
import { formatId, parseId } from '../src/platform/ids.ts';
import { operatorDatabaseUrl } from '../src/platform/operator.ts';
import { Problem } from '../src/platform/problem.ts';

const usage =
  'usage: npm run tenant -- create --name TEXT --currency CODE [--environment sandbox|live]\n' +
  '       npm run tenant -- key --tenant ten_… [--environment sandbox|live] [--label TEXT]\n' +
  '       npm run tenant -- revoke --key fa_…';

function environmentOf(text: string): Environment {
  if (text === 'sandbox' || text === 'live') return text;
  throw new StartupError(`${text} is not an environment: sandbox or live`);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      name: { type: 'string' },
      currency: { type: 'string' },
      tenant: { type: 'string' },
      key: { type: 'string' },
      environment: { type: 'string', default: 'sandbox' },
      label: { type: 'string', default: 'first key' },
    },
  });
  const [command] = positionals;
  const environment = environmentOf(values.environment);
  const config = readConfig(process.env);
  const db = openDatabase({
    url: await operatorDatabaseUrl(config),
    role: 'platform',
    pool_size: 1,
    statement_timeout_ms: config.statement_timeout_ms,
    lock_timeout_ms: config.lock_timeout_ms,
    onError: (error) => console.error(error.message),
  });
  try {
    if (command === 'revoke' && values.key !== undefined) {
      await revokeKey(db, values.key);
      console.log('revoked; processes that know it stop accepting it within seconds');
      return;
    }
    let tenant_id: string | undefined;
    if (command === 'create' && values.name !== undefined && values.currency !== undefined) {
      if (findExponent(values.currency) === undefined) {
        throw new StartupError(`${values.currency} is not an active ISO 4217 currency`);
      }
      tenant_id = await createTenant(db, { name: values.name, base_currency: values.currency });
    } else if (command === 'key' && values.tenant !== undefined) {
      tenant_id = parseId('ten', values.tenant);
      if (tenant_id === undefined) throw new StartupError(`${values.tenant} is not the id of a tenant`);
    } else {
      throw new StartupError(usage);
    }
    const key = await createKey(db, { tenant_id, environment }, { label: values.label });
    console.log(`tenant  ${formatId('ten', tenant_id)}`);
    console.log(`key     ${key}   (${environment}; shown this once)`);
  } finally {
    await db.close();
  }
}

main().catch((error: unknown) => {
  const foreignKey = error instanceof Error && 'code' in error && error.code === '23503';
  if (foreignKey) console.error('there is no such tenant');
  else if (error instanceof StartupError || error instanceof Problem) console.error(error.message);
  else if (error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'))
    console.error(`${error.message}\n${usage}`);
  else console.error(error);
  process.exit(1);
});
