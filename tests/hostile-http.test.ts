/** What no HTTP library sends: broken requests over raw sockets, clients that stall or leave, and more than can wait. */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { newUuid } from '../src/platform/ids.ts';
import type { Answer } from '../src/testing.ts';
import { assertRefused, brl, type HostileBank, openHostileBank } from './hostile-bank.ts';

let hostile: HostileBank;
before(async () => {
  hostile = await openHostileBank();
});
after(() => hostile.close());

async function open(): Promise<Socket> {
  const { port } = new URL(hostile.platform.running.url);
  const socket = connect(Number(port), '127.0.0.1');
  await new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  // A server that hangs up while we still write is what some of these tests want.
  socket.on('error', () => {});
  return socket;
}

/** Everything that comes until the server closes the connection. */
async function readAll(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await new Promise((resolve) => socket.once('close', resolve));
  return Buffer.concat(chunks).toString();
}

/** The answers to what is written, each taken apart. The last request must make the server close the connection. */
async function exchange(...pieces: (string | Buffer)[]): Promise<Answer[]> {
  const socket = await open();
  const answer = readAll(socket);
  for (const piece of pieces) socket.write(piece);
  const text = await answer;
  return text.split(/(?=HTTP\/1\.1 \d{3} )/).map((one) => {
    const [head = '', ...rest] = one.split('\r\n\r\n');
    const [status = '', ...lines] = head.split('\r\n');
    const body = rest.join('\r\n\r\n');
    const headers = Object.fromEntries(
      lines.map((line) => {
        const [name = '', value] = line.split(/: ?(.*)/s);
        return [name.toLowerCase(), value];
      }),
    );
    return {
      status: Number(status.split(' ')[1]),
      headers,
      body: body.startsWith('{') ? JSON.parse(body) : undefined,
      text: body,
    };
  });
}

function post(body: string, headers: Record<string, string | number>, path = '/api/v2/transfers'): string {
  const lines = Object.entries({
    host: 'localhost',
    authorization: `Bearer ${hostile.bank.key}`,
    'idempotency-key': newUuid(),
    'content-type': 'application/json',
    connection: 'close',
    ...headers,
  }).map(([name, value]) => `${name}: ${value}`);
  return `POST ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${body}`;
}

const malformed = { status: 400, code: 'malformed_request' };

describe('broken requests', () => {
  test('that two servers would cut apart differently are refused, and nothing of them is done', async () => {
    const body = JSON.stringify(hostile.payment());
    const chunked = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
    const hidden = post(body, {});
    const cases: Record<string, string> = {
      'both lengths': post(chunked, { 'content-length': 4, 'transfer-encoding': 'chunked' }),
      'both lengths, the other way round': post(chunked, {
        'transfer-encoding': 'chunked',
        'content-length': 4,
      }),
      'two lengths': post(body, { 'content-length': body.length, 'Content-Length': body.length + 1 }),
      'a length list': post(body, { 'content-length': `${body.length}, ${body.length}` }),
      'a negative length': post(body, { 'content-length': -1 }),
      'a signed length': post(body, { 'content-length': `+${body.length}` }),
      'an endless length': post(body, { 'content-length': '99999999999999999999999' }),
      'an encoding twice': post(chunked, { 'transfer-encoding': 'chunked, chunked' }),
      'an encoding that is none': post(chunked, { 'transfer-encoding': 'xchunked' }),
      'an encoding behind chunked': post(chunked, { 'transfer-encoding': 'chunked, identity' }),
      'a space before the colon': post(body, { 'content-length ': body.length }),
      'a folded header': post(body, { 'x-a': `1\r\n content-length: ${body.length}` }),
      'a chunk that is too short': post(`5\r\n${body}\r\n0\r\n\r\n`, { 'transfer-encoding': 'chunked' }),
      'a chunk size that is none': post(`zz\r\n${body}\r\n0\r\n\r\n`, { 'transfer-encoding': 'chunked' }),
      'a bare line feed': post(body, { 'x-a': `1\n\ncontent-length: ${body.length}` }),
      'NUL in a header': post(body, { 'x-a': 'a\0b', 'content-length': body.length }),
      'a line break in a header': post(body, { 'x-a': 'a\rb', 'content-length': body.length }),
      'no host': post(body, { 'content-length': body.length }).replace('host: localhost\r\n', ''),
      'no HTTP': 'hello\r\n\r\n',
      'another version': post(body, { 'content-length': body.length }).replace('HTTP/1.1', 'HTTP/3.0'),
      'an unknown method': post(body, { 'content-length': body.length }).replace('POST', 'PWN'),
      'a TLS greeting': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    };
    for (const [what, request] of Object.entries(cases)) {
      const [answer, ...more] = await exchange(Buffer.from(request, 'latin1'), Buffer.from(hidden, 'latin1'));
      assert.ok(answer !== undefined, what);
      // A missing Host is refused by Node itself, with an empty body.
      if (what === 'no host') assert.equal(answer.status, 400);
      else assertRefused(answer, malformed, what);
      assert.deepEqual(more, [], what);
    }
    await hostile.assertUnmoved();
  });

  test('with more headers or a longer address than is read: 431', async () => {
    const tooLarge = { status: 431, code: 'headers_too_large', says: /16384 bytes/ };
    const many = Object.fromEntries(Array.from({ length: 2_000 }, (_, index) => [`x-${index}`, 'flood']));
    for (const [what, request] of Object.entries({
      'many headers': post('{}', many),
      'a long header': post('{}', { 'x-a': 'x'.repeat(20_000) }),
      'a long address': post('{}', {}, `/api/v2/transfers?${'x'.repeat(20_000)}`),
      'a long cookie': post('{}', { cookie: `a=${'x'.repeat(20_000)}` }),
    })) {
      const [answer] = await exchange(request);
      assert.ok(answer !== undefined, what);
      assertRefused(answer, tooLarge, what);
    }
    await hostile.assertUnmoved();
  });

  test('that promise more than they send, or send more than they promise', async () => {
    const body = JSON.stringify(hostile.payment());
    const socket = await open();
    const answer = readAll(socket);
    socket.end(post(body, { 'content-length': body.length + 10 }));
    assert.doesNotMatch(await answer, / 201 /);
    // What is beyond the length is the next request, and none. Whose money moved is told so all the same.
    const [first, ...more] = await exchange(
      post(`${body}0`, { 'content-length': body.length, connection: 'keep-alive' }),
      '\r\n\r\n',
    );
    assert.equal(first?.status, 201);
    assert.deepEqual(more, []);
    await hostile.acceptMoves();
  });

  test('with a body of 4 MiB and a byte: refused before it is read, chunked or not', async () => {
    const size = 4 * 1024 * 1024 + 1;
    const refusal = { status: 413, code: 'body_too_large' };
    const [declared] = await exchange(post('', { 'content-length': size }));
    assert.ok(declared !== undefined);
    assertRefused(declared, refusal, 'declared');
    const socket = await open();
    const text = readAll(socket);
    socket.write(post('', { 'transfer-encoding': 'chunked' }));
    const chunk = ' '.repeat(65_536);
    for (let sent = 0; sent <= size && !socket.destroyed; sent += chunk.length) {
      socket.write(`10000\r\n${chunk}\r\n`);
      await sleep(0);
    }
    assert.match(await text, /^HTTP\/1\.1 413 /);
    await hostile.assertUnmoved();
  });
});

describe('clients that stall or leave', () => {
  test('are given up: headers within 10 s, a request within 30 s', () => {
    const { server } = hostile.platform.running.app;
    assert.equal(server.headersTimeout, 10_000);
    assert.equal(server.requestTimeout, 30_000);
    assert.ok(server.keepAliveTimeout > 0 && server.keepAliveTimeout <= 75_000);
  });

  test('do not hold up others', async () => {
    const stalled = await Promise.all(Array.from({ length: 200 }, open));
    for (const socket of stalled)
      socket.write('POST /api/v2/transfers HTTP/1.1\r\nhost: localhost\r\nx-slow: ');
    const answer = await fetch(`${hostile.platform.running.url}/livez`);
    assert.equal(answer.status, 200);
    for (const socket of stalled) socket.destroy();
  });

  test('who leave before the answer: a retry with the same key makes it once', async () => {
    const { bank, cash } = hostile;
    const keys = Array.from({ length: 30 }, () => newUuid());
    const before = Number((await bank.get(`/api/v2/accounts/${cash}`)).balance.amount);
    const body = JSON.stringify(hostile.payment({ amount: brl('0.01') }));
    await Promise.all(
      keys.map(async (key, index) => {
        const socket = await open();
        const request = post(body, { 'content-length': body.length, 'idempotency-key': key });
        // Some leave with half of the request sent, some at once, some while it is posted.
        socket.write(index % 3 === 0 ? request.slice(0, -5) : request);
        await sleep(index % 3 === 1 ? 0 : index / 5);
        socket.destroy();
      }),
    );
    const answers = await Promise.all(
      keys.map((key) => bank.ask('POST', '/api/v2/transfers', body, { 'idempotency-key': key })),
    );
    for (const answer of answers) assert.equal(answer.status, 201, answer.text);
    assert.equal(new Set(answers.map((answer) => answer.body.id)).size, keys.length);
    const moved = before - Number((await bank.get(`/api/v2/accounts/${cash}`)).balance.amount);
    assert.equal(moved.toFixed(2), (keys.length * 0.01).toFixed(2));
    await hostile.acceptMoves();
    await hostile.assertUnmoved();
  });
});

describe('more than can wait', () => {
  test('is refused with 503 and Retry-After, nothing of it is kept, and the rest is done', async () => {
    const small = await openHostileBank({ QUEUE_LIMIT: '5', BATCH_LIMIT: '2' });
    try {
      const { bank, platform } = small;
      const body = small.payment({ amount: brl('0.01') });
      const keys = Array.from({ length: 200 }, () => newUuid());
      const ask = (key: string) => bank.ask('POST', '/api/v2/transfers', body, { 'idempotency-key': key });
      const answers = await Promise.all(keys.map(ask));
      const refused = answers.filter(({ status }) => status !== 201);
      assert.ok(refused.length > 0 && refused.length < keys.length, `${refused.length} were refused`);
      for (const answer of refused) {
        assertRefused(answer, { status: 503, code: 'overloaded' }, 'overload');
        assert.match(answer.headers['retry-after'] ?? '', /^[1-9][0-9]*$/);
      }
      for (const [index, answer] of answers.entries()) {
        const attempt = await bank.ask('GET', `/api/v2/attempts/${keys[index]}`);
        assert.equal(attempt.status, answer.status === 201 ? 200 : 404, attempt.text);
      }
      const balance = async () => (await bank.get(`/api/v2/accounts/${small.customer}`)).balance.amount;
      assert.equal(await balance(), (100 - (keys.length - refused.length) * 0.01).toFixed(2));
      // More than the queue can ever take is no matter of waiting, and still no error of ours.
      const batch = { transfers: Array.from({ length: 6 }, () => body) };
      assertRefused(
        await bank.ask('POST', '/api/v2/transfers/batch', batch),
        { status: 503, code: 'overloaded' },
        'a batch',
      );
      // Retried one after the other, each is done once.
      for (const key of keys) assert.equal((await ask(key)).status, 201);
      assert.equal(await balance(), '98.00');
      assert.equal((await platform.running.app.inject('/readyz')).statusCode, 200);
      await small.acceptMoves();
      await small.assertUnmoved();
    } finally {
      await small.close();
    }
  });

  test('with 10,000 postings waiting, the next is refused and all of them are done', async () => {
    const { bank, cash } = hostile;
    const account = await hostile.open({ name: 'Busy' });
    const transfer = { debit_account_id: cash, credit_account_id: account, amount: brl('0.01') };
    const transfers = Array.from({ length: 1_000 }, () => transfer);
    // The first batch is taken up at once, ten wait.
    const answers = await Promise.all(
      Array.from({ length: 14 }, () => bank.ask('POST', '/api/v2/transfers/batch', { transfers })),
    );
    const done = answers.filter(({ status }) => status === 200);
    for (const answer of answers.filter(({ status }) => status !== 200)) {
      assertRefused(answer, { status: 503, code: 'overloaded', says: /10000 postings/ }, 'a batch too many');
    }
    assert.ok(done.length >= 10, `${done.length} were done`);
    for (const { body } of done) assert.equal(body.posted, 1_000);
    const { balance } = await bank.get(`/api/v2/accounts/${account}`);
    assert.equal(balance.amount, `${done.length * 10}.00`);
    await hostile.acceptMoves();
    await hostile.assertUnmoved();
  });
});
