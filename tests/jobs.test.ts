/** Jobs in two processes: never the same one twice at once, and again where a process was killed in the middle of it. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { createKey } from '../src/platform/access/access.ts';
import { createTenant } from '../src/platform/access/tenant.ts';
import { openDatabase } from '../src/platform/db.ts';
import { type FreshDatabase, freshDatabase } from '../src/platform/testing.ts';

const script = new URL('job-process.ts', import.meta.url).pathname;

interface Process {
  child: ChildProcess;
  pid: number;
  url: string;
  exit: Promise<void>;
}

let database: FreshDatabase;
let superuser: Client;
const processes: Process[] = [];

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
      POOL_SIZE: '3',
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
  const { pid } = child;
  assert.ok(pid !== undefined);
  const started = { child, pid, url, exit };
  processes.push(started);
  return started;
}

before(async () => {
  database = await freshDatabase();
  superuser = new Client({ connectionString: database.url });
  await superuser.connect();
  await superuser.query(`
    create table job_trace (
      id bigint generated always as identity, job text, pid integer, what text, at timestamptz default clock_timestamp());
    create table job_gate ()`);
  await startProcess();
  await startProcess();
});
after(async () => {
  for (const { child, exit } of processes) {
    child.kill('SIGKILL');
    await exit;
  }
  await superuser.end();
  await database.drop();
});
beforeEach(async () => {
  // Of the job that runs all the time nothing is taken away: half of a run would be left.
  await superuser.query("delete from job_trace where job = 'slow'; delete from job_gate");
});

interface Trace {
  pid: number;
  what: 'begin' | 'end';
  at: Date;
}

async function traceOf(job: string): Promise<Trace[]> {
  const { rows } = await superuser.query<Trace>(
    'select pid, what, at from job_trace where job = $1 order by id',
    [job],
  );
  return rows;
}

async function eventually<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + 90_000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error(`it did not happen within 90 seconds that ${what}`);
    await sleep(50);
  }
}

/** Asks one of the processes to run the slow job of a new tenant, and says how its run stands. */
async function askForSlow(of: Process): Promise<() => Promise<{ outcome: string; attempt: number }>> {
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
  const answer = await fetch(`${of.url}/api/v2/jobs/ledger.slow/run`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'idempotency-key': 'one' },
  });
  assert.equal(answer.status, 201, await answer.text());
  return async () => {
    const { rows } = await superuser.query(
      'select outcome, attempt from platform.job_runs where tenant_id = $1',
      [tenant_id],
    );
    assert.equal(rows.length, 1);
    return rows[0];
  };
}

const begun = () =>
  eventually('the job begins', async () => (await traceOf('slow')).find(({ what }) => what === 'begin'));

const openGate = () => superuser.query('insert into job_gate default values');

test('a schedule that two processes heed runs once each time, and never twice at once', async () => {
  const trace = await eventually('the job ran ten times', async () => {
    const found = await traceOf('tick');
    return found.length >= 20 ? found : undefined;
  });
  // What began ends before the next begins: as many as were noted, in pairs of one process.
  for (const [index, { what, pid }] of trace.entries()) {
    assert.equal(what, index % 2 === 0 ? 'begin' : 'end', JSON.stringify(trace));
    if (what === 'end') assert.equal(pid, trace[index - 1]?.pid);
  }
  const { rows } = await superuser.query(
    `select count(*)::int as doubled from (
       select due_at from platform.job_runs where job = 'ledger.tick' group by due_at having count(*) > 1) d`,
  );
  assert.equal(rows[0].doubled, 0);
});

test('a process that is frozen in the middle of a job keeps it: nobody else begins before it has ended', async () => {
  const [one] = processes;
  assert.ok(one !== undefined);
  const stateOf = await askForSlow(one);
  const { pid } = await begun();
  const frozen = processes.find((each) => each.pid === pid);
  const other = processes.find((each) => each.pid !== pid);
  assert.ok(frozen !== undefined && other !== undefined);
  frozen.child.kill('SIGSTOP');
  try {
    // The library gives the job to the other process, which waits for the lock.
    await eventually('the other process was given the job', async () => {
      const { rows } = await superuser.query(
        "select from pgboss.job where name = 'ledger.slow' and state = 'active' and retry_count = 1",
      );
      return rows.length > 0 ? true : undefined;
    });
    await sleep(3_000);
    assert.equal((await traceOf('slow')).length, 1, 'it has begun once');
  } finally {
    frozen.child.kill('SIGCONT');
  }
  // Awake, it finds that it was given up, and ends; the other begins after that.
  await eventually('the other process begins', async () => {
    const trace = await traceOf('slow');
    return trace.length >= 3 ? true : undefined;
  });
  await openGate();
  await eventually('the run succeeds', async () =>
    (await stateOf()).outcome === 'succeeded' ? true : undefined,
  );
  const trace = await traceOf('slow');
  for (const [index, { what }] of trace.entries()) assert.equal(what, index % 2 === 0 ? 'begin' : 'end');
  assert.ok((await stateOf()).attempt >= 2);
});

test('a job whose process is killed in the middle of it is run again by another', async () => {
  const [one] = processes;
  assert.ok(one !== undefined);
  const stateOf = await askForSlow(one);
  const { pid } = await begun();
  const killed = processes.find((each) => each.pid === pid);
  killed?.child.kill('SIGKILL');
  await killed?.exit;
  const again = await eventually('it begins again', async () =>
    (await traceOf('slow')).find((each) => each.what === 'begin' && each.pid !== pid),
  );
  await openGate();
  await eventually('the run succeeds', async () =>
    (await stateOf()).outcome === 'succeeded' ? true : undefined,
  );
  assert.deepEqual(
    (await traceOf('slow')).map((each) => [each.pid, each.what]),
    [
      [pid, 'begin'],
      [again.pid, 'begin'],
      [again.pid, 'end'],
    ],
  );
  assert.equal((await stateOf()).attempt, 2);
  // What is left goes on with what is scheduled.
  const count = (await traceOf('tick')).length;
  await eventually('the schedule goes on', async () =>
    (await traceOf('tick')).length > count + 2 ? true : undefined,
  );
});
