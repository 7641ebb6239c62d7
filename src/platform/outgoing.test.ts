import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { isPublicAddress, OutgoingRefused, openOutgoing } from './outgoing.ts';

let server: Server;
let port: number;
/** Host header and path of what arrived. */
const arrived: string[] = [];
before(async () => {
  server = createServer((request, response) => {
    arrived.push(`${request.headers.host} ${request.url}`);
    switch (request.url) {
      case '/redirect':
        response.writeHead(302, { location: `http://127.0.0.1:${port}/secret` }).end();
        break;
      case '/large':
        response.end('x'.repeat(5_000));
        break;
      case '/endless':
        response.write('x');
        break;
      case '/silent':
        break;
      default:
        response.end('secret');
    }
  });
  // On every address of loopback, so that one of them can stand for a public one.
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  ({ port } = address satisfies AddressInfo);
});
after(() => {
  server.closeAllConnections();
  server.close();
});

const ALLOWED = '127.0.0.2/32';

test('only addresses of the public Internet are public, however they are written', () => {
  for (const address of ['1.1.1.1', '93.184.215.14', '2606:4700::1111', '2a00:1450:4001:80b::200e']) {
    assert.equal(isPublicAddress(address), true, address);
  }
  for (const address of [
    '0.0.0.0',
    '0.1.2.3',
    '10.0.0.1',
    '100.64.0.1',
    '127.0.0.1',
    '127.255.255.254',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.192',
    '192.168.1.1',
    '198.18.0.1',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '239.1.1.1',
    '240.0.0.1',
    '255.255.255.255',
    '168.63.129.16',
    '::',
    '::1',
    '::127.0.0.1',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '64:ff9b::7f00:1',
    '64:ff9b:1::1',
    '2002:7f00:1::',
    '2001:0:7f00:1::',
    'fc00::1',
    'fd00:ec2::254',
    'fe80::1',
    'fe80::1%eth0',
    'fec0::1',
    'ff02::1',
    '100::1',
    '2001:db8::1',
    '::ffff:0:127.0.0.1',
    '5f00::1',
    '4000::1',
    '',
    'localhost',
    '127.1',
    '2130706433',
    '1.1.1.1/32',
  ]) {
    assert.equal(isPublicAddress(address), false, address);
  }
});

test('what is written as an address of ours in any form is refused without a connection', async () => {
  const outgoing = openOutgoing({ allow: [], resolve: async () => assert.fail('nothing is to be resolved') });
  const before = arrived.length;
  try {
    for (const host of [
      '127.0.0.1',
      '2130706433',
      '0177.0.0.1',
      '0x7f.0.0.1',
      '0x7f000001',
      '127.1',
      '127.0.1',
      '0',
      '017700000001',
      '127.0.0.1.',
      '%31%32%37.0.0.1',
      '１２７.0.0.1',
      '169.254.169.254',
      '[::1]',
      '[::]',
      '[::ffff:127.0.0.1]',
      '[::ffff:7f00:1]',
      '[::7f00:1]',
      '[64:ff9b::7f00:1]',
      '[2002:7f00:1::]',
      '[fe80::1]',
      '[fd00:ec2::254]',
      '[0:0:0:0:0:ffff:7f00:1]',
    ]) {
      for (const url of [`https://${host}/`, `https://${host}:8443/`, `http://${host}:${port}/`]) {
        await assert.rejects(outgoing.guardedFetch(url), OutgoingRefused, url);
      }
    }
  } finally {
    await outgoing.stop();
  }
  assert.equal(arrived.length, before);
});

test('a name that has one address of ours among others is refused', async () => {
  for (const addresses of [
    ['127.0.0.1'],
    ['1.1.1.1', '10.0.0.1'],
    ['2606:4700::1111', '::1'],
    ['127.0.0.2', '127.0.0.3'],
    ['nonsense'],
    [],
  ]) {
    const outgoing = openOutgoing({ allow: [ALLOWED], resolve: async () => addresses });
    await assert.rejects(outgoing.guardedFetch('https://bank.example/'), (error: unknown) => {
      assert.ok(error instanceof OutgoingRefused, String(error));
      // Where it would have gone is not told.
      for (const address of addresses) assert.ok(!error.message.includes(address), error.message);
      return true;
    });
    await outgoing.stop();
  }
});

test('a name that changes its mind between check and connection is asked at the address that was checked', async () => {
  let asked = 0;
  const outgoing = openOutgoing({
    allow: [ALLOWED],
    resolve: async () => {
      asked += 1;
      return [asked === 1 ? '127.0.0.2' : '127.0.0.1'];
    },
  });
  try {
    const answer = await outgoing.guardedFetch(`http://rebinding.example:${port}/first`, {
      headers: { connection: 'close' },
    });
    assert.deepEqual([answer.status, answer.body.toString()], [200, 'secret']);
    assert.equal(asked, 1, 'it was resolved once');
    assert.equal(arrived.at(-1), `rebinding.example:${port} /first`);
    // The next connection resolves anew, and finds that the name points inside now.
    await assert.rejects(
      outgoing.guardedFetch(`http://rebinding.example:${port}/second`, { headers: { connection: 'close' } }),
      OutgoingRefused,
    );
    assert.ok(!arrived.some((request) => request.endsWith('/second')));
  } finally {
    await outgoing.stop();
  }
});

test('plain HTTP, other ports, other protocols and credentials in an address are refused', async () => {
  const outgoing = openOutgoing({ allow: [], resolve: async () => ['1.1.1.1'] });
  try {
    for (const url of [
      'http://bank.example/',
      'https://bank.example:22/',
      'https://bank.example:6379/',
      'http://bank.example:443/',
      'ftp://bank.example/',
      'file:///etc/passwd',
      'data:text/plain,x',
      'https://user:password@bank.example/',
      'https://user@bank.example/',
      '//bank.example/',
      '',
    ]) {
      await assert.rejects(outgoing.guardedFetch(url), OutgoingRefused, url);
    }
  } finally {
    await outgoing.stop();
  }
});

test('a redirect is told and not followed', async () => {
  const outgoing = openOutgoing({ allow: [ALLOWED], resolve: async () => ['127.0.0.2'] });
  try {
    const answer = await outgoing.guardedFetch(`http://bank.example:${port}/redirect`);
    assert.deepEqual(
      [answer.status, answer.headers.get('location')],
      [302, `http://127.0.0.1:${port}/secret`],
    );
    assert.ok(!arrived.some((request) => request.endsWith('/secret')));
  } finally {
    await outgoing.stop();
  }
});

test('an answer that is too large or does not come is given up', async () => {
  const options = { allow: [ALLOWED], resolve: async () => ['127.0.0.2'], timeout_ms: 300 };
  const outgoing = openOutgoing({ ...options, body_limit_bytes: 4_000 });
  try {
    await assert.rejects(outgoing.guardedFetch(`http://bank.example:${port}/large`), /more than 4000 bytes/);
    for (const path of ['endless', 'silent']) {
      await assert.rejects(
        outgoing.guardedFetch(`http://bank.example:${port}/${path}`),
        (error: unknown) => error instanceof Error && !(error instanceof OutgoingRefused),
      );
    }
  } finally {
    await outgoing.stop();
  }
});

test('no other file of the product sends requests', () => {
  const files = globSync('src/**/*.ts').filter(
    (file) => !/(\.test|\/testing)\.ts$/.test(file) && !file.endsWith('platform/outgoing.ts'),
  );
  assert.ok(files.length > 50);
  const sends = /(?<![.\w'`])fetch\(|globalThis\.fetch|new WebSocket\(|new EventSource\(/;
  for (const file of files) {
    const code = readFileSync(file, 'utf8').replaceAll(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, '');
    assert.doesNotMatch(code, sends, file);
  }
});
