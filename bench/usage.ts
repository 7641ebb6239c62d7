/**
 * What recording usage costs a request: processor time of a process whose server counts and writes down each second, beside
 * one that does not, in turns. Requests go past the network and do nothing but pass the access path, so that what is
 * measured is the most that recording can be of a request.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Caller } from '../src/platform/access/caller.ts';
import { openPermissions } from '../src/platform/access/permission.ts';
import { createTenant } from '../src/platform/access/tenant.ts';
import { openDatabase } from '../src/platform/db.ts';
import { type Api, buildServer } from '../src/platform/http.ts';
import { openLog } from '../src/platform/log.ts';
import { openUsageCounts } from '../src/platform/usage/counts.ts';
import { mountUsage } from '../src/platform/usage/usage.ts';

export interface UsageFigures {
  /** Of counting one request, by itself. */
  count_us: number;
  /** Processor time of a request, each turn. */
  recorded_us: number[];
  unrecorded_us: number[];
}

const TURNS = 24;
const REQUESTS_A_TURN = 3_000;
const AT_ONCE = 32;
const COUNTED_ALONE = 1_000_000;

const headers = { authorization: 'Bearer good' };

/** Processor microseconds of this process for each of so many requests. */
async function cost(app: Api, requests: number): Promise<number> {
  const before = process.cpuUsage();
  for (let sent = 0; sent < requests; sent += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, () => app.inject({ url: '/api/things/1', headers })));
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / requests;
}

/** @param url connection string of a database with every migration */
export async function measureUsage(url: string): Promise<UsageFigures> {
  const db = openDatabase({
    url,
    role: 'platform',
    pool_size: 2,
    statement_timeout_ms: 30_000,
    lock_timeout_ms: 5_000,
    onError: () => {},
  });
  const caller: Caller = {
    tenant_id: await createTenant(db, { name: 'Bench', base_currency: 'BRL' }),
    environment: 'sandbox',
    principal: { kind: 'key', id: 'key_01h455vb4pex5vsknk084sn02q', name: 'bench' },
    permissions: new Set(['things:read']),
    narrowed: [],
    plan: 'standard',
    tenant_name: 'Bench',
    base_currency: 'BRL',
  };
  const seen: { request: FastifyRequest; reply: FastifyReply }[] = [];
  const open = () =>
    buildServer({
      access: { identify: () => caller },
      permissions: openPermissions({ 'things:read': { meaning: 'See things' } }),
      log: openLog('silent'),
      publicUrl: () => 'http://localhost',
    });
  const serve = (app: Api) => {
    app.get('/api/things/:id', { config: { permission: 'things:read' } }, async (request, reply) => {
      if (seen.length === 0) seen.push({ request, reply });
      return { ok: true };
    });
  };
  const [recorded, unrecorded] = [await open(), await open()];
  const usage = mountUsage(recorded, db);
  for (const app of [recorded, unrecorded]) serve(app);
  try {
    // What was just started is not compiled for its work yet.
    for (const app of [recorded, unrecorded]) await cost(app, REQUESTS_A_TURN);
    const figures: UsageFigures = { count_us: 0, recorded_us: [], unrecorded_us: [] };
    for (let turn = 0; turn < TURNS; turn += 1) {
      const isRecorded = turn % 4 === 0 || turn % 4 === 3;
      const us = await cost(isRecorded ? recorded : unrecorded, REQUESTS_A_TURN);
      (isRecorded ? figures.recorded_us : figures.unrecorded_us).push(us);
    }
    const [one] = seen;
    if (one === undefined) throw new Error('nothing was asked');
    const counts = openUsageCounts();
    const began = performance.now();
    for (let number = 0; number < COUNTED_ALONE; number += 1) counts.count(one.request, one.reply);
    figures.count_us = ((performance.now() - began) * 1_000) / COUNTED_ALONE;
    return figures;
  } finally {
    await Promise.all([recorded.close(), unrecorded.close()]);
    await usage.stop();
    await db.close();
  }
}
