import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, openClient } from './client.ts';
import { findPostmaster, isAlive, type ServerProcess, startServer, until } from './server.ts';

const CLIENTS = 24;

async function start(t: TestContext, data_dir: string): Promise<ServerProcess> {
  const server = await startServer({ DATA_DIR: data_dir });
  const socket_dir = findPostmaster(data_dir)?.socket_dir;
  t.after(async () => {
    if (isAlive(server.pid)) server.kill('SIGKILL');
    await server.exit;
    const postmaster = findPostmaster(data_dir);
    if (postmaster !== undefined) {
      process.kill(postmaster.pid, 'SIGQUIT');
      await until('PostgreSQL is gone', 30_000, () => !isAlive(postmaster.pid));
    }
    for (const path of [data_dir, socket_dir])
      if (path !== undefined) rmSync(path, { recursive: true, force: true });
  });
  return server;
}

test('SIGTERM under load: what was taken is answered and kept, what was not was not done, and all ends cleanly', async (t) => {
  const data_dir = mkdtempSync(join(tmpdir(), 'financialapi-shutdown-'));
  const first = await start(t, data_dir);
  const { key = '' } = first;
  let url = first.url;
  const client = openClient(() => ({ url, key }));
  const accounts = await client.ask('GET', '/api/v2/accounts?limit=100');
  const idOf = (name: string) =>
    accounts?.body.data.find((account: { name: string }) => account.name === name)?.id;
  const body = {
    debit_account_id: idOf('Reserves BRL'),
    credit_account_id: idOf('Ana Souza'),
    amount: { amount: '0.01', currency: 'BRL' },
  };

  const answers = new Map<string, Answer | undefined>();
  const state = { over: false };
  const workers = Array.from({ length: CLIENTS }, async (_, worker) => {
    for (let number = 0; !state.over; number += 1) {
      const name = `shutdown-${worker}-${number}`;
      answers.set(name, await client.ask('POST', '/api/v2/transfers', body, name));
      // No connection can be made any more: the server is gone.
      if (answers.get(name) === undefined) await sleep(100);
    }
  });
  await sleep(600);
  const began = performance.now();
  first.kill('SIGTERM');
  const exit = await first.exit;
  state.over = true;
  await Promise.all(workers);

  assert.deepEqual(exit, { code: 0, signal: null }, first.lines.join('\n'));
  const took_ms = Math.round(performance.now() - began);
  assert.ok(took_ms < 9_000, `it took ${took_ms} ms: something waits for DRAIN_TIMEOUT_MS`);
  assert.equal(findPostmaster(data_dir), undefined, 'PostgreSQL has stopped');
  const posted = [...answers].filter(([, answer]) => answer?.status === 201);
  assert.ok(posted.length > CLIENTS, `${posted.length} transfers`);
  for (const [name, answer] of answers) {
    assert.ok(
      [201, 503, undefined].includes(answer?.status),
      `${name}: ${answer?.status} ${JSON.stringify(answer?.body)}`,
    );
  }

  const again = await start(t, data_dir);
  url = again.url;
  const log = readFileSync(join(data_dir, 'postgres.log'), 'utf8');
  assert.match(log, /database system was shut down at/);
  assert.doesNotMatch(log, /was not properly shut down/);
  let resent = 0;
  async function resend(name: string, before: Answer | undefined): Promise<void> {
    if (before?.status === 201) {
      const repeated = await client.ask('POST', '/api/v2/transfers', body, name);
      assert.deepEqual(repeated?.body, before.body, name);
      assert.equal(repeated?.headers.get('idempotent-replayed'), 'true', name);
    } else {
      // Taken and not answered would be worse than refused: nothing may have come of it.
      const found = await client.ask('GET', `/api/v2/attempts/${name}`);
      assert.equal(found?.status, 404, `${name} had no answer, and yet ${JSON.stringify(found?.body)}`);
      resent += 1;
    }
  }
  const left = answers.entries();
  await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      for (const [name, answer] of left) await resend(name, answer);
    }),
  );
  assert.equal(resent, answers.size - posted.length);
  t.diagnostic(
    `${posted.length} posted, ${resent} refused or not taken while it stopped, which took ${took_ms} ms`,
  );
  again.kill('SIGTERM');
  assert.equal((await again.exit).code, 0);
});
