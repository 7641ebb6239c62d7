/**
 * The demo institution of a first run, filled through the public API like any other. Its key, and that of the
 * platform's administrator, are kept beside the data, since the database has only hashes.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createKey, isGoodKey } from './platform/access/access.ts';
import { createInstallation, createTenant, listScopes } from './platform/access/tenant.ts';
import type { Running } from './platform/boot.ts';
import type { Config } from './platform/config.ts';
import { accounts, demoSeed } from './seeds.ts';

export interface Demo {
  key: string;
  /** That of the platform's administrator, where this data directory has it. */
  platform_key?: string;
}

const KEY_FILE = 'demo-key';
const PLATFORM_KEY_FILE = 'platform-key';

function readKey(config: Config, file: string): string | undefined {
  try {
    return readFileSync(join(config.data_dir, file), 'utf8').trim();
  } catch {
    return undefined;
  }
}

function writeKey(config: Config, file: string, key: string): void {
  mkdirSync(config.data_dir, { recursive: true });
  writeFileSync(join(config.data_dir, file), `${key}\n`, { mode: 0o600 });
}

/** The key of the demo institution, if this data directory has one. */
export function findDemoKey(config: Config): string | undefined {
  return readKey(config, KEY_FILE);
}

/** The key of the platform's administrator: that of before, or a new one where nobody operates the installation yet. */
async function openInstallation(running: Running, config: Config): Promise<string | undefined> {
  const known = readKey(config, PLATFORM_KEY_FILE);
  if (known !== undefined && (await isGoodKey(running.platform, known))) return known;
  const created = await createInstallation(running.platform, { name: 'Platform', base_currency: 'BRL' });
  if (created !== undefined) writeKey(config, PLATFORM_KEY_FILE, created.key);
  return created?.key;
}

async function withInstallation(running: Running, config: Config, key: string): Promise<Demo> {
  const platform_key = await openInstallation(running, config);
  return { key, ...(platform_key === undefined ? {} : { platform_key }) };
}

/** Makes the demo institution where the database has no tenant yet, and finds it where it was made before. */
export async function openDemo(
  running: Running,
  config: Config,
  progress: (line: string) => void,
): Promise<Demo | undefined> {
  const known = findDemoKey(config);
  if (known !== undefined && (await isGoodKey(running.platform, known)))
    return withInstallation(running, config, known);
  if ((await listScopes(running.platform)).length > 0) return undefined;

  progress('creating the demo institution');
  const tenant_id = await createTenant(running.platform, { name: 'Banco Exemplo', base_currency: 'BRL' });
  const key = await createKey(running.platform, { tenant_id, environment: 'sandbox' }, { label: 'demo' });
  let count = 0;
  const post = async (url: string, body: object): Promise<Record<string, unknown>> => {
    count += 1;
    const answer = await running.app.inject({
      method: 'POST',
      url,
      headers: { authorization: `Bearer ${key}`, 'idempotency-key': `demo-${count}` },
      payload: body,
    });
    if (answer.statusCode !== 201) throw new Error(`the demo could not ${url}: ${answer.body}`);
    return answer.json();
  };

  await demoSeed.plant(post);
  progress(`opened ${accounts.length} accounts`);
  writeKey(config, KEY_FILE, key);
  return withInstallation(running, config, key);
}
