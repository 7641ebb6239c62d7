/** The server's own rules. What bad input meets on the way to a service is in tests/hostile.test.ts. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Type } from 'typebox';
import type { Caller } from './access/caller.ts';
import { openPermissions } from './access/permission.ts';
import { type Api, buildServer, Text } from './http.ts';
import { openLog } from './log.ts';
import { refuse } from './problem.ts';

let app: Api;
let lines = '';
const caller: Caller = {
  tenant_id: '01890a5d-ac96-774b-bcce-b302099a8057',
  environment: 'sandbox',
  principal: { kind: 'key', id: 'key_01h455vb4pex5vsknk084sn02q', name: 'test' },
  permissions: new Set(['things:read']),
  narrowed: [],
  plan: 'standard',
  tenant_name: 'Test',
  base_currency: 'BRL',
};

const permission = { permission: 'things:read' };

before(async () => {
  app = await buildServer({
    access: {
      identify({ headers }) {
        if (headers.authorization !== 'Bearer good') throw refuse('unauthenticated', 'This is not the key.');
        return caller;
      },
    },
    permissions: openPermissions({ 'things:read': { meaning: 'See things' } }),
    log: openLog('trace', {
      write: (line) => {
        lines += line;
      },
    }),
    publicUrl: () => 'https://bank.example',
  });
  const thrown: Record<string, unknown> = {
    error: new Error('select secret from ledger.accounts'),
    text: 'a text',
    nothing: undefined,
    'http-error': Object.assign(new Error('secret'), { statusCode: 400 }),
    'sql-error': Object.assign(new Error('secret'), { code: '23505', detail: 'Key (name)=(Maria)' }),
    deadlock: Object.assign(new Error('secret'), { code: '40P01' }),
    refusal: refuse('overloaded', 'Too much.', { retry_after_s: 7, errors: [] }),
  };
  for (const [name, value] of Object.entries(thrown)) {
    app.get(`/api/throw/${name}`, { config: permission }, async () => {
      throw value;
    });
  }
  app.get('/open', async () => ({ ok: true }));
  app.get('/api/who', { config: permission }, (request, reply) =>
    reply.send({ tenant_id: request.caller.tenant_id }),
  );
  app.post(
    '/api/echo',
    { config: permission, schema: { body: Type.Object({ text: Text({ min: 1, max: 10 }) }) } },
    async ({ body }) => body,
  );
});
after(() => app.close());

const get = (url: string) => app.inject({ url, headers: { authorization: 'Bearer good' } });

test('whatever a route throws that is no refusal is a 500 that tells nothing, and is logged with its request id', async () => {
  for (const name of ['error', 'text', 'nothing', 'http-error', 'sql-error']) {
    lines = '';
    const answer = await get(`/api/throw/${name}`);
    assert.equal(answer.statusCode, 500, `${name}: ${answer.body}`);
    const { request_id, ...rest } = answer.json();
    assert.deepEqual(rest, {
      type: 'https://bank.example/errors/internal_error',
      title: 'An error of ours',
      status: 500,
      detail: 'The request failed for a reason of ours; it was logged.',
      code: 'internal_error',
    });
    assert.doesNotMatch(answer.body, /secret|select|Maria|a text/);
    assert.ok(lines.includes(request_id), `${name}: ${lines}`);
    assert.doesNotMatch(lines, /Maria/);
  }
});

test('a failure of the database that may pass is a 503 with Retry-After', async () => {
  const answer = await get('/api/throw/deadlock');
  assert.equal(answer.statusCode, 503);
  assert.equal(answer.json().code, 'unavailable');
  assert.equal(answer.headers['retry-after'], '1');
});

test('a refusal is told with its members; how long to wait stands in Retry-After only', async () => {
  lines = '';
  const answer = await get('/api/throw/refusal');
  assert.equal(answer.statusCode, 503);
  assert.equal(answer.headers['content-type'], 'application/problem+json; charset=utf-8');
  assert.equal(answer.headers['retry-after'], '7');
  const { request_id, ...rest } = answer.json();
  assert.equal(request_id, answer.headers['request-id']);
  assert.deepEqual(rest, {
    type: 'https://bank.example/errors/overloaded',
    title: 'Too many requests are waiting',
    status: 503,
    detail: 'Too much.',
    code: 'overloaded',
    errors: [],
  });
  assert.equal(lines, '');
});

test('everything under /api/ needs a key, what is not there too; nothing else does', async () => {
  for (const url of ['/api/who', '/api/nothing', '/api/']) {
    const answer = await app.inject(url);
    assert.equal(answer.statusCode, 401, url);
    assert.equal(answer.headers['www-authenticate'], 'Bearer realm="financialapi"');
  }
  assert.deepEqual((await get('/api/who')).json(), { tenant_id: caller.tenant_id });
  assert.equal((await app.inject('/open')).statusCode, 200);
});

test('answers carry a request id, are not stored and not guessed at', async () => {
  for (const answer of [
    await app.inject('/open'),
    await get('/api/who'),
    await get('/nothing'),
    await get('/%zz'),
  ]) {
    assert.match(String(answer.headers['request-id']), /^[A-Za-z0-9._:-]{8,128}$/);
  }
  const { headers } = await get('/api/who');
  assert.equal(headers['cache-control'], 'no-store');
  assert.equal(headers['x-content-type-options'], 'nosniff');
});

test('Text takes what PostgreSQL can keep, by characters and not by UTF-16 units', async () => {
  const echo = async (text: string) =>
    (
      await app.inject({
        method: 'POST',
        url: '/api/echo',
        headers: { authorization: 'Bearer good', 'content-type': 'application/json; charset=UTF-8' },
        payload: `{"text":"${text}"}`,
      })
    ).statusCode;
  for (const text of ['x', '\u{1f4b8}'.repeat(10), '\\ud83d\\udcb8', '\\u0001', '\ufffd', 'é']) {
    assert.equal(await echo(text), 200, text);
  }
  for (const text of ['', 'x'.repeat(11), '\u{1f4b8}'.repeat(11), '\\u0000', '\\ud83d', '\\udcb8\\ud83d']) {
    assert.equal(await echo(text), 400, text);
  }
});
