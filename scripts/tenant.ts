/**
 * `npm run tenant`: creates, suspends and resumes tenants, creates and revokes their API keys, on the database of DATABASE_URL or of the server that runs on
 * DATA_DIR. A key is shown once; the database keeps only its hash.
 *
 *   npm run tenant -- create --name "Banco Exemplo" --currency BRL [--environment sandbox|live]
 *   npm run tenant -- key --tenant ten_… [--environment sandbox|live] [--label text]
 *   npm run tenant -- revoke --key fa_…
 *   npm run tenant -- install [--name TEXT] [--currency CODE]
 *   npm run tenant -- suspend --tenant ten_… --reason TEXT
 *   npm run tenant -- resume --tenant ten_…
 */
import { parseArgs } from 'node:util';
import { createKey, revokeKey } from '../src/platform/access/access.ts';
import { createInstallation, createTenant, setSuspension } from '../src/platform/access/tenant.ts';
import { readConfig, StartupError } from '../src/platform/config.ts';
import { findExponent } from '../src/platform/currencies.ts';
import { type Database, type Environment, openDatabase } from '../src/platform/db.ts';
import { formatId, parseId } from '../src/platform/ids.ts';
import { operatorDatabaseUrl } from '../src/platform/operator.ts';
import { Problem } from '../src/platform/problem.ts';

const usage =
  'usage: npm run tenant -- create --name TEXT --currency CODE [--environment sandbox|live]\n' +
  '       npm run tenant -- key --tenant ten_… [--environment sandbox|live] [--label TEXT]\n' +
  '       npm run tenant -- revoke --key fa_…\n' +
  '       npm run tenant -- install [--name TEXT] [--currency CODE]\n' +
  '       npm run tenant -- suspend --tenant ten_… --reason TEXT\n' +
  '       npm run tenant -- resume --tenant ten_…';

function environmentOf(text: string): Environment {
  if (text === 'sandbox' || text === 'live') return text;
  throw new StartupError(`${text} is not an environment: sandbox or live`);
}

function tenantOf(id: string): string {
  const tenant_id = parseId('ten', id);
  if (tenant_id === undefined) throw new StartupError(`${id} is not the id of a tenant`);
  return tenant_id;
}

function assertCurrency(code: string): void {
  if (findExponent(code) === undefined) {
    throw new StartupError(`${code} is not an active ISO 4217 currency`);
  }
}

async function install(db: Database, name: string, base_currency: string): Promise<void> {
  assertCurrency(base_currency);
  const created = await createInstallation(db, { name, base_currency });
  if (created === undefined) throw new StartupError('this installation has its tenant already');
  console.log(`tenant  ${formatId('ten', created.tenant_id)}`);
  console.log(`key     ${created.key}   (of the platform's administrator; shown this once)`);
}

async function suspend(db: Database, id: string, reason: string | undefined): Promise<void> {
  const tenant_id = tenantOf(id);
  const outcome = await db.write({ tenant_id, environment: 'live' }, (tx) =>
    setSuspension(tx, tenant_id, reason),
  );
  if (outcome === 'no_tenant') throw new StartupError('there is no such tenant');
  if (outcome !== 'done') throw new StartupError('the tenant that operates the installation stays active');
  console.log(reason === undefined ? 'resumed' : 'suspended; no process accepts its keys any more');
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
      reason: { type: 'string' },
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
    if (command === 'install') {
      await install(db, values.name ?? 'Platform', values.currency ?? 'USD');
      return;
    }
    if (command === 'resume' && values.tenant !== undefined) {
      await suspend(db, values.tenant, undefined);
      return;
    }
    if (command === 'suspend' && values.tenant !== undefined && values.reason !== undefined) {
      await suspend(db, values.tenant, values.reason);
      return;
    }
    let tenant_id: string;
    if (command === 'create' && values.name !== undefined && values.currency !== undefined) {
      assertCurrency(values.currency);
      tenant_id = await createTenant(db, { name: values.name, base_currency: values.currency });
    } else if (command === 'key' && values.tenant !== undefined) {
      tenant_id = tenantOf(values.tenant);
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
