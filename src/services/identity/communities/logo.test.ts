/** Logos of communities: what is stored and served to everybody, and what is refused. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createKey } from '../../../platform/access/access.ts';
import { type Answer, openTestPlatform, type TestPlatform, type TestTenant } from '../../../testing.ts';
import { anonymously, newCommunity, png, pngChunk } from './testing.ts';

type Json = Answer['body'];

let platform: TestPlatform;
let bank: TestTenant;
let other: TestTenant;
before(async () => {
  platform = await openTestPlatform({ IDENTITY_ENCRYPTION_KEY: randomBytes(32).toString('base64') });
  bank = await platform.newTenant();
  other = await platform.newTenant();
});
after(() => platform.close());

const riffChunk = (type: string, data: Buffer): Buffer => {
  const head = Buffer.alloc(8);
  head.write(type, 'latin1');
  head.writeUInt32LE(data.length, 4);
  return Buffer.concat([head, data, Buffer.alloc(data.length % 2)]);
};
const webp = (...chunks: Buffer[]): Buffer =>
  riffChunk('RIFF', Buffer.concat([Buffer.from('WEBP'), ...chunks]));
/** Violet, 16×16, as a browser writes them. */
const lossless = riffChunk('VP8L', Buffer.from('Lw/AAwAH0I/qVbT/gYjofwAA', 'base64').subarray(0, 17));
const lossy = riffChunk(
  'VP8 ',
  Buffer.from('kAEAnQEqEAAQAALATCWgAnS6AAOYAP7u09//CCuZl7PD+K4RYmAA', 'base64').subarray(0, 40),
);
function extended(flags: number, width = 16, height = width): Buffer {
  const data = Buffer.alloc(10);
  data.writeUInt8(flags);
  data.writeUIntLE(width - 1, 4, 3);
  data.writeUIntLE(height - 1, 7, 3);
  return riffChunk('VP8X', data);
}

const bodyOf = (file: Buffer, content_type = 'image/png') => ({
  content_type,
  data: file.toString('base64'),
});

function put(by: TestTenant, { id }: Json, body: object, etag = '*'): Promise<Answer> {
  return by.ask('PUT', `/api/v2/communities/${id}/logo`, body, { 'if-match': etag });
}

/** Asks for a file as somebody whom nobody knows. */
async function fetched(url: string, headers: Record<string, string> = {}) {
  const {
    statusCode: status,
    headers: told,
    rawPayload: bytes,
  } = await platform.running.app.inject({ url, headers });
  return { status, headers: told, bytes };
}

const sha256 = (file: Buffer) => createHash('sha256').update(file).digest('hex');

test('a logo is stored as it was sent, named where the community is, and served to everybody', async () => {
  const community = await newCommunity(bank, { listed: true });
  assert.equal('logo' in community, false);
  const at = `/identity/communities/${community.slug}`;
  assert.equal((await fetched(`${at}/logo`)).status, 404);

  const file = png(64, 48);
  const { etag = '' } = (await bank.ask('GET', `/api/v2/communities/${community.id}`)).headers;
  const answer = await put(bank, community, bodyOf(file), etag);
  assert.equal(answer.status, 200, answer.text);
  const logo = {
    url: `${at}/logo?v=${sha256(file).slice(0, 12)}`,
    content_type: 'image/png',
    width: 64,
    height: 48,
    bytes: file.length,
  };
  assert.deepEqual(answer.body.logo, logo);
  assert.notEqual(answer.headers.etag, etag);
  const own = await bank.ask('GET', `/api/v2/communities/${community.id}`);
  assert.deepEqual([own.body, own.headers.etag], [answer.body, answer.headers.etag]);
  const listed = await bank.get('/api/v2/communities');
  assert.deepEqual(listed.data.find(({ id }: Json) => id === community.id).logo, logo);
  assert.deepEqual((await anonymously(platform, 'GET', at)).body.logo, logo);
  const front = (await anonymously(platform, 'GET', '/identity/communities')).body.data;
  assert.deepEqual(front.find(({ slug }: Json) => slug === community.slug).logo, logo);

  const served = await fetched(`${at}/logo`);
  assert.ok(served.bytes.equals(file));
  const { headers } = served;
  assert.deepEqual(
    [
      served.status,
      headers['content-type'],
      headers['x-content-type-options'],
      headers['content-security-policy'],
      headers['cache-control'],
      headers.etag,
      headers['content-length'],
    ],
    [
      200,
      'image/png',
      'nosniff',
      "default-src 'none'; sandbox",
      'public, max-age=300',
      `"${sha256(file)}"`,
      String(file.length),
    ],
  );
  const named = await fetched(logo.url);
  assert.ok(named.bytes.equals(file));
  assert.equal(named.headers['cache-control'], 'public, max-age=31536000, immutable');
  assert.equal((await fetched(`${at}/logo?v=000000000000`)).headers['cache-control'], 'public, max-age=300');
});

test('whoever has it is not sent it again, until it is another', async () => {
  const community = await newCommunity(bank);
  const at = `/identity/communities/${community.slug}/logo`;
  const [first, second] = [png(16), png(17)];
  await put(bank, community, bodyOf(first));
  const { etag = '' } = (await fetched(at)).headers;
  for (const has of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
    const same = await fetched(at, { 'if-none-match': has });
    assert.deepEqual([same.status, same.bytes.length, same.headers.etag], [304, 0, etag], has);
    assert.equal(same.headers['cache-control'], 'public, max-age=300');
  }
  const replaced = await put(bank, community, bodyOf(second));
  assert.equal(replaced.body.logo.width, 17);
  const changed = await fetched(at, { 'if-none-match': etag });
  assert.deepEqual([changed.status, changed.bytes.equals(second)], [200, true]);
  // An address that names the first shows the second, and is not kept for good.
  const old = await fetched(`${at}?v=${sha256(first).slice(0, 12)}`);
  assert.equal(old.headers['cache-control'], 'public, max-age=300');
});

test('a removed logo is gone everywhere, and there is none to remove then', async () => {
  const community = await newCommunity(bank);
  const on = `/api/v2/communities/${community.id}/logo`;
  const given = await put(bank, community, bodyOf(png()));
  const unmatched = await bank.ask('DELETE', on, undefined, { 'if-match': '"1"' });
  assert.deepEqual([unmatched.status, unmatched.body.code], [412, 'precondition_failed']);
  const { etag = '' } = given.headers;
  const removed = await bank.ask('DELETE', on, undefined, { 'if-match': etag });
  assert.deepEqual([removed.status, 'logo' in removed.body], [200, false], removed.text);
  assert.notEqual(removed.headers.etag, etag);
  const none = await fetched(given.body.logo.url);
  assert.deepEqual(
    [none.status, none.headers['content-type'], JSON.parse(none.bytes.toString()).code],
    [404, 'application/problem+json; charset=utf-8', 'logo_not_found'],
  );
  assert.equal(none.headers['cache-control'], 'no-store');
  const again = await bank.ask('DELETE', on, undefined, { 'if-match': '*' });
  assert.deepEqual([again.status, again.body.code], [404, 'logo_not_found']);
  const nobody = await fetched('/identity/communities/nobody/logo');
  assert.deepEqual([nobody.status, JSON.parse(nobody.bytes.toString()).code], [404, 'community_not_found']);
});

test('another tenant and another environment find no community to give a logo to', async () => {
  const community = await newCommunity(bank);
  await put(bank, community, bodyOf(png()));
  const on = `/api/v2/communities/${community.id}/logo`;
  const inLive = { tenant_id: bank.scope.tenant_id, environment: 'live' } as const;
  const live = await createKey(platform.running.platform, inLive, { label: 'live' });
  for (const by of [{}, { authorization: `Bearer ${live}` }]) {
    const asker = 'authorization' in by ? bank : other;
    const theirs = await asker.ask('PUT', on, bodyOf(png(32)), { 'if-match': '*', ...by });
    const removed = await asker.ask('DELETE', on, undefined, { 'if-match': '*', ...by });
    assert.deepEqual(
      [theirs.status, theirs.body.code, removed.status],
      [404, 'community_not_found', 404],
      theirs.text,
    );
  }
  assert.ok((await fetched(`/identity/communities/${community.slug}/logo`)).bytes.equals(png()));
  const unread = await bank.ask('PUT', on, bodyOf(png()));
  assert.deepEqual([unread.status, unread.body.code], [428, 'precondition_required']);
});

test('the record has the hash of a logo, and never its bytes', async () => {
  const community = await newCommunity(bank);
  const body = bodyOf(png());
  await put(bank, community, body);
  await bank.ask('DELETE', `/api/v2/communities/${community.id}/logo`, undefined, { 'if-match': '*' });
  let recorded: Json[] = [];
  while (recorded.length < 3) {
    recorded = (await bank.get(`/api/v2/audit?subject=${community.id}`)).data;
    await sleep(10);
  }
  const records = await Promise.all(recorded.map(({ id }) => bank.get(`/api/v2/audit/${id}`)));
  const [removed, given] = records;
  const { logo } = given.after;
  const expected = { content_type: 'image/png', width: 64, height: 64, sha256: sha256(png()) };
  assert.deepEqual([{ ...logo, ...expected }, removed.before.logo], [logo, logo]);
  assert.deepEqual([given.before.logo, removed.after.logo], [undefined, undefined]);
  assert.ok(!JSON.stringify(records).includes(body.data.slice(0, 40)));
});

test('WebP of each kind is taken', async () => {
  const community = await newCommunity(bank);
  for (const file of [webp(lossless), webp(lossy), webp(extended(0), lossless), webp(extended(0), lossy)]) {
    const { status, body, text } = await put(bank, community, bodyOf(file, 'image/webp'));
    assert.equal(status, 200, text);
    const { content_type, width, height } = body.logo;
    assert.deepEqual([content_type, width, height], ['image/webp', 16, 16]);
    const served = await fetched(body.logo.url);
    assert.deepEqual([served.headers['content-type'], served.bytes.equals(file)], ['image/webp', true]);
  }
});

/** The first bytes of a PNG that says that it is so large, with nothing in it. */
const claims = (width: number, height: number): Buffer => {
  const file = png(16);
  file.writeUInt32BE(width, 16);
  file.writeUInt32BE(height, 20);
  return Buffer.concat([file.subarray(0, 8), pngChunk('IHDR', file.subarray(16, 29)), file.subarray(33)]);
};
const damaged = Buffer.from(png());
damaged.writeUInt8(damaged.readUInt8(50) ^ 1, 50);
const html = Buffer.from('<html><script>alert(1)</script></html>');
const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><script/></svg>');
const gif = Buffer.from(
  'R0lGODlhEAAQAIAAAHofogAAACH5BAAAAAAALAAAAAAQABAAAAIOhI+py+0Po5y02ouzPgUAOw==',
  'base64',
);
const filler = (bytes: number) => pngChunk('tEXt', randomBytes(bytes));
const full = png(64, 64, { after: [filler(65_536 - png().length - 12)] });
assert.equal(full.length, 65_536);

const refused: [what: string, body: object, code: string, detail: RegExp][] = [
  ['nothing', { content_type: 'image/png', data: '' }, 'malformed_request', /./],
  ['no data', { content_type: 'image/png' }, 'malformed_request', /./],
  ['SVG', bodyOf(svg, 'image/svg+xml'), 'malformed_request', /./],
  ['more than is said', { ...bodyOf(png()), name: 'logo.png' }, 'malformed_request', /./],
  ['no base64', { content_type: 'image/png', data: '<svg>' }, 'logo_not_good', /not base64/],
  [
    'base64 of lines',
    { content_type: 'image/png', data: `${bodyOf(png()).data}\n` },
    'logo_not_good',
    /not base64/,
  ],
  ['base64url', { content_type: 'image/png', data: '-_-_' }, 'logo_not_good', /not base64/],
  [
    'a byte too much',
    bodyOf(Buffer.concat([full, Buffer.of(0)])),
    'logo_size_not_good',
    /65537 bytes; at most 65536/,
  ],
  ['huge', bodyOf(Buffer.alloc(700_000)), 'logo_size_not_good', /700000 bytes/],
  ['huger', bodyOf(Buffer.alloc(800_000)), 'malformed_request', /./],
  ['PNG called WebP', bodyOf(png(), 'image/webp'), 'logo_not_good', /is image\/png, and not image\/webp/],
  ['WebP called PNG', bodyOf(webp(lossless)), 'logo_not_good', /is image\/webp, and not image\/png/],
  ['HTML called PNG', bodyOf(html), 'logo_not_good', /neither PNG nor WebP/],
  ['SVG called PNG', bodyOf(svg), 'logo_not_good', /neither PNG nor WebP/],
  ['GIF called PNG', bodyOf(gif), 'logo_not_good', /neither PNG nor WebP/],
  ['HTML before a PNG', bodyOf(Buffer.concat([html, png()])), 'logo_not_good', /neither PNG nor WebP/],
  ['HTML behind a PNG', bodyOf(Buffer.concat([png(), html])), 'logo_not_good', /goes on behind/],
  ['too narrow', bodyOf(png(15, 64)), 'logo_size_not_good', /15×64/],
  ['too low', bodyOf(png(64, 15)), 'logo_size_not_good', /64×15/],
  ['too wide', bodyOf(png(1_025, 16)), 'logo_size_not_good', /1025×16/],
  ['wide by what it says', bodyOf(claims(0xffffffff, 16)), 'logo_size_not_good', /4294967295×16/],
  ['of no size', bodyOf(claims(0, 0)), 'logo_size_not_good', /0×0/],
  [
    'animated PNG',
    bodyOf(png(64, 64, { before: [pngChunk('acTL', Buffer.alloc(8))] })),
    'logo_not_good',
    /animated/,
  ],
  ['cut off PNG', bodyOf(png().subarray(0, -20)), 'logo_not_good', /cut off/],
  ['head of a PNG', bodyOf(png().subarray(0, 33)), 'logo_not_good', /cut off/],
  ['signature of a PNG', bodyOf(png().subarray(0, 8)), 'logo_not_good', /cut off/],
  ['damaged PNG', bodyOf(damaged), 'logo_not_good', /cut off or damaged/],
  [
    'PNG without a picture',
    bodyOf(Buffer.concat([png().subarray(0, 33), pngChunk('IEND', Buffer.alloc(0))])),
    'logo_not_good',
    /cut off/,
  ],
  [
    'PNG that does not begin with its head',
    bodyOf(Buffer.concat([png().subarray(0, 8), pngChunk('CgBI', Buffer.alloc(4)), png().subarray(8)])),
    'logo_not_good',
    /damaged/,
  ],
  ['animated WebP', bodyOf(webp(extended(2), lossless), 'image/webp'), 'logo_not_good', /animated/],
  [
    'frames of a WebP',
    bodyOf(webp(extended(0), riffChunk('ANMF', Buffer.alloc(16)), lossless), 'image/webp'),
    'logo_not_good',
    /animated/,
  ],
  ['cut off WebP', bodyOf(webp(lossless).subarray(0, -4), 'image/webp'), 'logo_not_good', /cut off/],
  ['head of a WebP', bodyOf(webp().subarray(0, 12), 'image/webp'), 'logo_not_good', /cut off/],
  ['half a head of a WebP', bodyOf(webp(Buffer.from('VP8L')), 'image/webp'), 'logo_not_good', /cut off/],
  ['empty WebP', bodyOf(webp(riffChunk('VP8L', Buffer.alloc(0))), 'image/webp'), 'logo_not_good', /cut off/],
  ['canvas alone', bodyOf(webp(extended(0)), 'image/webp'), 'logo_not_good', /cut off/],
  ['two pictures', bodyOf(webp(lossless, lossy), 'image/webp'), 'logo_not_good', /damaged/],
  ['another canvas', bodyOf(webp(extended(0, 32), lossless), 'image/webp'), 'logo_not_good', /damaged/],
  [
    'HTML behind a WebP',
    bodyOf(Buffer.concat([webp(lossless), html]), 'image/webp'),
    'logo_not_good',
    /goes on behind/,
  ],
];
test('what is no fit logo is refused with its reason, and the one that is there stays', async () => {
  const community = await newCommunity(bank);
  const given = await put(bank, community, bodyOf(full));
  assert.equal(given.status, 200, given.text);
  for (const [what, body, code, detail] of refused) {
    const { status, body: problem, text } = await put(bank, community, body);
    assert.equal(problem.code, code, `${what}: ${text}`);
    assert.equal(status, code === 'malformed_request' ? 400 : 422, `${what}: ${text}`);
    assert.match(problem.detail, detail, what);
  }
  const still = await bank.ask('GET', `/api/v2/communities/${community.id}`);
  assert.deepEqual([still.body, still.headers.etag], [given.body, given.headers.etag]);
  assert.ok((await fetched(given.body.logo.url)).bytes.equals(full));
});

test('bytes of chance behind a good beginning are never more than refused', async () => {
  const community = await newCommunity(bank);
  const beginnings = [
    png().subarray(0, 33),
    webp(lossless).subarray(0, 16),
    webp(extended(0)).subarray(0, 20),
  ];
  for (let tries = 0; tries < 60; tries += 1) {
    const beginning = beginnings[tries % beginnings.length] ?? assert.fail();
    const file = Buffer.concat([beginning, randomBytes(1 + tries * 50)]);
    const { status, text } = await put(
      bank,
      community,
      bodyOf(file, tries % 3 === 0 ? 'image/png' : 'image/webp'),
    );
    assert.equal(status, 422, text);
  }
});
