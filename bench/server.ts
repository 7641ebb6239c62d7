/** The server under load: boots everything as `npm start` does, makes a tenant and tells the parent how to reach it. */
import { createKey } from '../src/platform/access/access.ts';
import { createTenant } from '../src/platform/access/tenant.ts';
import { boot } from '../src/platform/boot.ts';
import { readConfig } from '../src/platform/config.ts';
import { services } from '../src/services.ts';

/** `--bare`: without all that a request passes beside the check of its key. */
const running = await boot(
  readConfig(process.env),
  services,
  process.argv.includes('--bare') ? { bare: true } : {},
);
const tenant_id = await createTenant(running.platform, { name: 'Bench', base_currency: 'BRL' });
const key = await createKey(running.platform, { tenant_id, environment: 'sandbox' }, { label: 'bench' });
const answer = await running.app.inject({
  method: 'POST',
  url: '/api/v2/chart-of-accounts',
  headers: { authorization: `Bearer ${key}`, 'idempotency-key': 'chart' },
  payload: { code: '2100', name: 'Customer deposits', type: 'liability' },
});
if (answer.statusCode !== 201) throw new Error(answer.body);
const port = Number(new URL(running.url).port);
console.log(JSON.stringify({ port, key, tenant_id, database_url: running.databaseUrl }));

const stop = () => void running.stop().then(() => process.exit(0));
process.on('SIGTERM', stop);
// The parent is gone: nobody would stop us.
process.stdin.on('end', stop).resume();
