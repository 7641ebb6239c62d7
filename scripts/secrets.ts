/**
 * `npm run secrets -- reencrypt [--tenant ten_…] [--environment sandbox|live]`: encrypts anew, under the first key of
 * IDENTITY_ENCRYPTION_KEY, what older keys have encrypted. Uses the database of DATABASE_URL, or the embedded server that
 * runs on DATA_DIR. The server may go on working; the command may be stopped and run again.
 *
 * Exit code: 0 nothing needs an older key any more, 1 something could not be decrypted, 2 it could not be done.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, readConfig } from '../src/platform/config.ts';
import { type Database, openDatabase, type Scope } from '../src/platform/db.ts';
import { operatorDatabaseUrl } from '../src/platform/operator.ts';
import { reencrypt } from '../src/platform/reencryption.ts';
import { openSecrets, type Secrets } from '../src/platform/secret.ts';
import type { Service } from '../src/platform/service.ts';
import { services } from '../src/services.ts';
import {
  CannotCheck,
  chooseScopes,
  messageOf,
  nameOf,
  SCOPE_OPTIONS,
  type Wanted,
  wantedOf,
} from './scopes.ts';

/** Whether nothing of a service in these scopes needs an older key any more. */
async function reencryptService(
  { name, encrypted = [] }: Service,
  db: Database,
  secrets: Secrets,
  scopes: readonly Scope[],
): Promise<boolean> {
  let ok = true;
  for (const column of encrypted) {
    let [seen, changed] = [0, 0];
    for (const scope of scopes) {
      const done = await reencrypt(db, secrets, scope, column);
      seen += done.seen;
      changed += done.changed;
      ok &&= done.unreadable.length === 0;
      for (const each of done.unreadable) {
        console.log(`  CANNOT BE DECRYPTED: ${nameOf(scope)}, ${each}`);
      }
    }
    console.log(`${name}: ${column.table}.${column.column}: ${changed} of ${seen} encrypted anew`);
  }
  return ok;
}

async function reencryptAll(config: Config, wanted: Wanted): Promise<boolean> {
  const { identity_encryption_keys: keys, data_dir } = config;
  // It would be made, and nothing is encrypted under a key that was made just now.
  if (keys.length === 0 && !existsSync(join(data_dir, 'encryption-key'))) {
    throw new CannotCheck('there is no key: set IDENTITY_ENCRYPTION_KEY, or DATA_DIR to where one was made');
  }
  const secrets = openSecrets({ keys, data_dir });
  const url = await operatorDatabaseUrl(config);
  const open = (role: string) =>
    openDatabase({
      url,
      role,
      pool_size: 1,
      statement_timeout_ms: config.statement_timeout_ms,
      lock_timeout_ms: config.lock_timeout_ms,
      // It is told by the statement that meets it.
      onError: () => {},
    });
  const platform = open('platform');
  try {
    const scopes = await chooseScopes(platform, wanted);
    let ok = true;
    for (const service of services.filter(({ encrypted }) => encrypted !== undefined)) {
      const db = open(service.name);
      try {
        ok = (await reencryptService(service, db, secrets, scopes)) && ok;
      } finally {
        await db.close();
      }
    }
    return ok;
  } finally {
    await platform.close();
  }
}

try {
  const usage = `usage: npm run secrets -- reencrypt ${SCOPE_OPTIONS}`;
  const [command, ...rest] = process.argv.slice(2);
  if (command !== 'reencrypt') throw new CannotCheck(`what to do with the secrets is not said; ${usage}`);
  const wanted = wantedOf(rest, usage);
  const ok = await reencryptAll(readConfig(process.env), wanted);
  console.log(
    ok
      ? 'nothing that was looked at needs an older key any more'
      : 'SOME COULD NOT BE DECRYPTED: keep every key',
  );
  process.exitCode = ok ? 0 : 1;
} catch (error) {
  console.error(`secrets: ${messageOf(error)}`);
  process.exitCode = 2;
}
