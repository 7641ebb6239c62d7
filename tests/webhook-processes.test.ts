/** Webhooks of several processes: none is sent twice at a time, and none is lost where a process is killed. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import type { ServerResponse } from 'node:http';
import { after, before, test } from 'node:test';
import { createKey } from '../src/platform/access/access.ts';
import { createTenant } from '../src/platform/access/tenant.ts';
import { openDatabase } from '../src/platform/db.ts';
import { type FreshDatabase, freshDatabase } from '../src/platform/testing.ts';
import { eventually, openReceiver, type Received, type Receiver } from '../src/services/webhooks/testing.ts';
import { type Answer, openClient } from './client.ts';

const script = new URL('webhook-process.ts', import.meta.url).pathname;

interface Process {
  child: ChildProcess;
  url: string;
  exit: Promise<void>;
}

let database: FreshDatabase;
let receiver: Receiver;
let answer: (received: Received, response: ServerResponse) => void = (_received, response) => {
  response.writeHead(204).end();
};
const processes = new Set<Process>();

async function startProcess(): Promise<Process> {
  const child = spawn(process.execPath, [script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      PATH: process.env['PATH'] ?? '',
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? '',
      DATABASE_URL: database.url,
      PORT: '0',
      DEMO: 'false',
      LOG_LEVEL: 'fatal',
      POOL_SIZE: '5',
      OUTGOING_ALLOW: '127.0.0.0/8',
      IDENTITY_ENCRYPTION_KEY: Buffer.alloc(32, 3).toString('base64'),
    },
  });
  const endChild = () => child.kill('SIGKILL');
  process.once('exit', endChild);
  const exit = new Promise<void>((settle) => {
    child.once('close', () => {
      process.off('exit', endChild);
      settle();
    });
  });
  const url = await new Promise<string>((settle, reject) => {
    let text = '';
    child.stdout.on('data', (data: Buffer) => {
      text += data.toString();
      const [, found] = /listening at (\S+)/.exec(text) ?? [];
      if (found !== undefined) settle(found);
    });
    child.once('close', () => reject(new Error(`the process ended before it listened: ${text}`)));
  });
  const started = { child, url, exit };
  processes.add(started);
  return started;
}

async function kill(one: Process): Promise<void> {
  one.child.kill('SIGKILL');
  await one.exit;
  processes.delete(one);
}

before(async () => {
  database = await freshDatabase();
  receiver = await openReceiver((received, response) => answer(received, response));
});
after(async () => {
  for (const one of processes) await kill(one);
  receiver.close();
  await database.drop();
});

/** A bank with endpoints of the receiver, which is asked through whichever process. */
async function newBank(of: () => Process, paths: readonly string[]) {
  const db = openDatabase({
    url: database.url,
    role: 'platform',
    pool_size: 1,
    statement_timeout_ms: 10_000,
    lock_timeout_ms: 10_000,
    onError: (error) => assert.fail(error),
  });
  const tenant_id = await createTenant(db, { name: 'Test', base_currency: 'BRL' });
  const key = await createKey(db, { tenant_id, environment: 'live' }, { label: 'test' });
  await db.close();
  const client = openClient(() => ({ url: of().url, key }));
  let keys = 0;
  const ask = async (method: string, path: string, body?: object): Promise<Answer['body']> => {
    keys += 1;
    const asked = await client.ask(method, path, body, `${tenant_id}-${keys}`);
    assert.ok(asked !== undefined && asked.status < 300, `${method} ${path}: ${JSON.stringify(asked?.body)}`);
    return asked.body;
  };
  await ask('POST', '/api/v2/chart-of-accounts', { code: '2', name: 'Deposits', type: 'liability' });
  for (const path of paths) {
    await ask('POST', '/api/v2/webhooks/endpoints', {
      url: `${receiver.url}${path}`,
      event_types: ['ledger.account.opened'],
    });
  }
  return {
    ask,
    openAccount: (name: string) =>
      ask('POST', '/api/v2/accounts', { name, currency: 'BRL', chart_code: '2' }),
    /** Deliveries that stand so. */
    count: async (status: string): Promise<number> => {
      let count = 0;
      let cursor = '';
      for (;;) {
        const page = await ask('GET', `/api/v2/webhooks/deliveries?status=${status}&limit=100${cursor}`);
        count += page.data.length;
        if (page.next_cursor === null) return count;
        cursor = `&cursor=${page.next_cursor}`;
      }
    },
  };
}

async function delivered(of: Process): Promise<number> {
  const text = await (await fetch(`${of.url}/metrics`)).text();
  return Number(/^webhooks_deliveries_total\{outcome="delivered"\} (\d+)$/m.exec(text)?.[1] ?? 0);
}

const nameOf = ({ path, event }: Received) => `${path} ${event.id}`;

test('two processes share the work, and neither sends what the other sends or has sent', async () => {
  const [first, second] = [await startProcess(), await startProcess()];
  const underWay = new Set<string>();
  const overlaps: string[] = [];
  answer = (received, response) => {
    const name = nameOf(received);
    if (underWay.has(name)) overlaps.push(name);
    underWay.add(name);
    // Long enough for the other process to look for what is due meanwhile.
    setTimeout(() => {
      underWay.delete(name);
      response.writeHead(204).end();
    }, 250);
  };
  const paths = ['/shared/1', '/shared/2', '/shared/3', '/shared/4'];
  const bank = await newBank(() => first, paths);
  for (let number = 0; number < 40; number += 1) await bank.openAccount(`A${number}`);
  await eventually('all are delivered', async () =>
    (await bank.count('delivered')) === 160 ? true : undefined,
  );
  assert.deepEqual(overlaps, []);
  assert.equal(receiver.received.length, 160);
  assert.equal(new Set(receiver.received.map(nameOf)).size, 160);
  assert.ok((await delivered(first)) > 0 && (await delivered(second)) > 0);
  await kill(first);
  await kill(second);
});

test('kill -9 while it sends: what was under way is sent again, and nothing is lost', async () => {
  let current = await startProcess();
  receiver.received.length = 0;
  let isStuck = true;
  // Every fourth hangs until the process is killed.
  answer = (_received, response) => {
    if (isStuck && receiver.received.length % 4 === 0) return;
    response.writeHead(204).end();
  };
  const bank = await newBank(() => current, ['/killed/1', '/killed/2', '/killed/3']);
  const opened: string[] = [];
  for (let number = 0; number < 30; number += 1) opened.push((await bank.openAccount(`A${number}`)).id);
  await eventually('some are under way', () => (receiver.received.length >= 12 ? true : undefined));
  const held = receiver.received.filter((_one, index) => (index + 1) % 4 === 0).map(nameOf);
  assert.ok(held.length > 0);
  await kill(current);
  isStuck = false;
  current = await startProcess();
  await eventually('all are delivered', async () =>
    (await bank.count('delivered')) === 90 ? true : undefined,
  );
  const times = new Map<string, number>();
  for (const one of receiver.received) times.set(nameOf(one), (times.get(nameOf(one)) ?? 0) + 1);
  assert.equal(times.size, 90);
  for (const name of held) assert.ok((times.get(name) ?? 0) >= 2, name);
  assert.deepEqual(new Set(receiver.received.map(({ event }) => event.subject)), new Set(opened));
});

test('a process that is told to stop hands back what is under way, and another sends it', async () => {
  const first = await startProcess();
  let isStuck = true;
  answer = (_received, response) => {
    if (!isStuck) response.writeHead(204).end();
  };
  receiver.received.length = 0;
  for (const one of processes) if (one !== first) await kill(one);
  const bank = await newBank(() => first, ['/stopped/1']);
  await bank.openAccount('A');
  await eventually('it is under way', () => (receiver.received.length >= 1 ? true : undefined));
  first.child.kill('SIGTERM');
  await first.exit;
  processes.delete(first);
  isStuck = false;
  const second = await startProcess();
  await eventually('it arrives again', () => (receiver.received.length >= 2 ? true : undefined));
  const [before, again] = receiver.received.map(nameOf);
  assert.equal(before, again);
  await eventually('it is delivered', async () => ((await delivered(second)) === 1 ? true : undefined));
});
