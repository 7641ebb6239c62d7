/** The database of an operator who may create roles and owns the database, and is no superuser, as managed services have it. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { Client } from 'pg';
import { boot } from '../src/platform/boot.ts';
import { readConfig } from '../src/platform/config.ts';
import { freshDatabase } from '../src/platform/testing.ts';
import { services } from '../src/services.ts';

test('migrations, services and jobs need no superuser', async () => {
  const database = await freshDatabase();
  const superuser = new Client({ connectionString: database.url });
  await superuser.connect();
  const name = `operator_${randomBytes(6).toString('hex')}`;
  const password = randomBytes(12).toString('hex');
  const url = new URL(database.url);
  url.username = name;
  url.password = password;
  try {
    await superuser.query(`create role ${name} login createrole password '${password}'`);
    await superuser.query(`alter database ${url.pathname.slice(1)} owner to ${name}`);
    await superuser.query(`alter schema public owner to ${name}`);
    // Roles are of the cluster: those that the superuser made for other tests are lent to this operator.
    await superuser.query(`do $$
      declare v_role text;
      begin
        foreach v_role in array array['financialapi_owner', 'financialapi_doorkeeper', 'financialapi_eraser',
            'platform', 'identity', 'ledger', 'webhooks', 'notifications'] loop
          begin
            execute format('create role %I nologin', v_role);
          exception when duplicate_object or unique_violation then null;
          end;
          execute format('grant %I to ${name} with admin option', v_role);
        end loop;
      end $$`);
    const config = readConfig({
      DATABASE_URL: url.href,
      PORT: '0',
      DEMO: 'false',
      LOG_LEVEL: 'error',
      POOL_SIZE: '2',
    });
    const running = await boot(config, services);
    try {
      const deadline = performance.now() + 60_000;
      for (;;) {
        const { rows } = await superuser.query(
          `update platform.job_schedules set next_at = now() where job = 'identity.remove_expired_tokens' and next_at > now()
             and not exists (select from platform.job_runs)`,
        );
        assert.deepEqual(rows, []);
        const { rows: done } = await superuser.query(
          "select outcome from platform.job_runs where job = 'identity.remove_expired_tokens' and ended_at is not null",
        );
        if (done.length > 0) {
          assert.deepEqual(done, [{ outcome: 'succeeded' }]);
          break;
        }
        assert.ok(performance.now() < deadline, 'no job ran');
        await setTimeout(50);
      }
    } finally {
      await running.stop();
    }
  } finally {
    await superuser.query(`reassign owned by ${name} to current_user; drop owned by ${name}`);
    await superuser.query(`drop role ${name}`);
    await superuser.end();
    await database.drop();
  }
});
