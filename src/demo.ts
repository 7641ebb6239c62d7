/**
 * The demo institution of a first run, filled through the public API like any other. Its key, and that of the
 * platform's administrator, are kept beside the data, since the database has only hashes.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createKey, isGoodKey } from './platform/access/access.ts';
import { createInstallation, createTenant, listScopes } from './platform/access/tenant.ts';
import type { Running } from './platform/boot.ts';
import type { Config } from './platform/config.ts';
import { accounts, demoSeed } from './seeds.ts';

/** Somebody of the demo institution, with the password that they were given. */
interface DemoUser {
  email: string;
  password: string;
  role: string;
}

export interface Demo {
  key: string;
  /** Who may sign in, where this data directory knows their passwords. */
  users: readonly DemoUser[];
  /** That of the platform's administrator, where this data directory has it. */
  platform_key?: string;
}

const KEY_FILE = 'demo-key';
const PLATFORM_KEY_FILE = 'platform-key';
const USERS_FILE = 'demo-users';

const people = [
  { name: 'Alice Monteiro', email: 'alice@banco-exemplo.example', role: 'administrator' },
  { name: 'Otto Ferraz', email: 'otto@banco-exemplo.example', role: 'operations' },
  { name: 'Audra Nunes', email: 'audra@banco-exemplo.example', role: 'auditor' },
] as const;

/** Where developers sign up by themselves, at `/portal/banco-exemplo`. What they are given beyond is in the institution's sandbox. */
const community = {
  slug: 'banco-exemplo',
  name: 'Banco Exemplo Developers',
  description: 'Build on accounts and payments of Banco Exemplo. You begin in a sandbox of your own.',
  brand: { display_name: 'Banco Exemplo Developers' },
  terms: {
    version: '2027-01',
    text: 'This is a demo. Use it to find out what you can build; nothing here is real money.',
  },
  sign_up: 'open',
  listed: true,
  live_scopes: ['accounts:read', 'transfers:read', 'transfers:post', 'holds:*'],
};

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

/** A line for each: address, password and role. */
function readUsers(config: Config): DemoUser[] {
  return (readKey(config, USERS_FILE) ?? '').split('\n').flatMap((line) => {
    const [email, password, role] = line.split('\t');
    return email === undefined || password === undefined || role === undefined
      ? []
      : [{ email, password, role }];
  });
}

/** Invites people into the demo institution, who accept with passwords that nobody else knows. */
async function openUsers(
  running: Running,
  post: (url: string, body: object) => Promise<Record<string, unknown>>,
): Promise<DemoUser[]> {
  const users: DemoUser[] = [];
  for (const { name, email, role } of people) {
    const { token } = await post('/api/v2/invitations', { email, roles: [role] });
    const password = randomBytes(12).toString('base64url');
    const answer = await running.app.inject({
      method: 'POST',
      url: '/identity/invitations/accept',
      headers: { 'sec-fetch-site': 'same-origin' },
      payload: { token, name, password },
    });
    if (answer.statusCode >= 300) throw new Error(`${email} could not accept: ${answer.body}`);
    users.push({ email, password, role });
  }
  return users;
}

async function withInstallation(running: Running, config: Config, key: string): Promise<Demo> {
  const platform_key = await openInstallation(running, config);
  return { key, users: readUsers(config), ...(platform_key === undefined ? {} : { platform_key }) };
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
  const users = await openUsers(running, post);
  writeKey(
    config,
    USERS_FILE,
    users.map(({ email, password, role }) => [email, password, role].join('\t')).join('\n'),
  );
  progress(`invited ${users.length} people`);
  await post('/api/v2/communities', community);
  progress(`opened the community of developers ${community.slug}`);
  writeKey(config, KEY_FILE, key);
  return withInstallation(running, config, key);
}
