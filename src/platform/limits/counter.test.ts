import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressLimitOf, countedAddress } from './address.ts';
import { type Keeper, type Limit, limitOn, newCounter, take } from './counter.ts';
import { policyOf, rateLimitOf } from './headers.ts';
import { isTold, spanAt, type Window } from './window.ts';

const scope = { tenant_id: '01890a5d-ac96-774b-bcce-b302099a8057', environment: 'sandbox' } as const;
const noon = Date.UTC(2026, 1, 28, 12, 0, 0);

function limitOf(window: Window): Limit {
  const counter = newCounter({ scope, id: 'key_1' }, window.name, window, noon);
  return limitOn(counter, { window, per: 'caller', plan: 'gold' });
}

/** A keeper that writes down what it was told. */
function listening() {
  const told: string[] = [];
  const keeper: Keeper = {
    ended: ({ name }, { start_ms }, unsaved) => told.push(`${name} ${start_ms - noon} ended with ${unsaved}`),
    changed: ({ name }) => told.push(`${name} changed`),
    crossed: ({ counter }) => {
      told.push(`${counter.name} crossed at ${counter.requests}`);
      counter.told = counter.requests >= 10 ? 100 : 80;
    },
  };
  return { told, keeper };
}

test('windows lie on the clock, and months are those of the calendar', () => {
  assert.deepEqual(spanAt({ window_s: 60 }, noon + 59_999), { start_ms: noon, end_ms: noon + 60_000 });
  assert.deepEqual(spanAt({ window_s: 60 }, noon + 60_000), {
    start_ms: noon + 60_000,
    end_ms: noon + 120_000,
  });
  assert.deepEqual(spanAt({ period: 'month' }, noon), {
    start_ms: Date.UTC(2026, 1, 1),
    end_ms: Date.UTC(2026, 2, 1),
  });
  assert.deepEqual(spanAt({ period: 'month' }, Date.UTC(2027, 11, 31, 23, 59, 59, 999)), {
    start_ms: Date.UTC(2027, 11, 1),
    end_ms: Date.UTC(2028, 0, 1),
  });
  assert.equal(spanAt({ period: 'day' }, noon).end_ms, Date.UTC(2026, 2, 1));
});

test('a request counts against all of its windows or, where one is used up, against none', () => {
  const { keeper } = listening();
  const burst = limitOf({ name: 'burst', requests: 2, window_s: 1 });
  const minute = limitOf({ name: 'minute', requests: 3, window_s: 60 });
  const limits = [burst, minute];
  const at = (ms: number) => take(limits, noon + ms, keeper)?.counter.name;
  assert.deepEqual([at(0), at(0), at(0), at(999)], [undefined, undefined, 'burst', 'burst']);
  assert.equal(minute.counter.requests, 2);
  assert.deepEqual([at(1_000), at(1_000)], [undefined, 'minute']);
  // Both are used up: the one that stays so longest is named, for when it is over, all are.
  assert.equal(at(59_999), 'minute');
  assert.deepEqual([at(60_000), at(60_000), at(60_000)], [undefined, undefined, 'burst']);
});

test('a clock that is set back gives no requests twice', () => {
  const { keeper } = listening();
  const limits = [limitOf({ name: 'minute', requests: 1, window_s: 60 })];
  assert.equal(take(limits, noon, keeper), undefined);
  assert.equal(take(limits, noon - 3_600_000, keeper)?.counter.name, 'minute');
});

test('crossings are told once a window, and what is not kept yet at its end', () => {
  const { told, keeper } = listening();
  const limits = [limitOf({ name: 'hour', requests: 10, window_s: 3_600 })];
  for (let count = 0; count < 13; count += 1) take(limits, noon, keeper);
  take(limits, noon + 3_600_000, keeper);
  assert.deepEqual(told, [
    'hour changed',
    'hour crossed at 8',
    'hour crossed at 10',
    'hour 0 ended with 10',
    'hour changed',
  ]);
});

test('a limit of one request is near and used up at once; bursts tell nothing unless asked to', () => {
  assert.equal(limitOf({ name: 'x', requests: 1, window_s: 60 }).near, 1);
  assert.equal(limitOf({ name: 'x', requests: 99, window_s: 60 }).near, 80);
  assert.deepEqual(
    [
      isTold({ name: 'burst', requests: 1, window_s: 1 }),
      isTold({ name: 'burst', requests: 1, window_s: 1, tells: true }),
      isTold({ name: 'month', requests: 1, period: 'month' }),
      isTold({ name: 'month', requests: 1, period: 'month', tells: false }),
    ],
    [false, true, true, false],
  );
});

test('headers are structured fields that say what is allowed, what is left, and for how long', () => {
  const { keeper } = listening();
  const limits = [
    limitOf({ name: 'burst', requests: 100, window_s: 1 }),
    limitOf({ name: 'month', requests: 1_000_000, period: 'month' }),
  ];
  take(limits, noon, keeper);
  assert.equal(policyOf(limits), '"burst";q=100;w=1, "month";q=1000000;w=2419200');
  assert.equal(rateLimitOf(limits, noon + 1), '"burst";r=99;t=1, "month";r=999999;t=43200');
});

test('IPv6 addresses count by their network of 64 bits, and a mapped IPv4 address as itself', () => {
  for (const [address, counted] of [
    ['203.0.113.7', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2:ffff::1', '2001:db8:1:2::/64'],
    ['2001:db8:1:3::1', '2001:db8:1:3::/64'],
    ['fe80::1%eth0', 'fe80::/64'],
    ['nonsense', 'unknown'],
  ] as const) {
    assert.equal(countedAddress(address), counted, address);
  }
});

test('what needs no caller is counted by its path as the router reads it', () => {
  for (const [method, url, limit] of [
    ['POST', '/login', 'sign_in'],
    ['POST', '/%6cogin?x=1', 'sign_in'],
    ['POST', '/login/demo', 'sign_in'],
    ['GET', '/login', undefined],
    ['POST', '/identity/sign-in/passkey', 'sign_in'],
    ['POST', '/identity/invitations/accept', 'sign_up'],
    ['POST', '/oauth/acme/token', 'token'],
    ['POST', '/metrics', undefined],
    ['POST', '/%zz', undefined],
  ] as const) {
    assert.equal(addressLimitOf(method, url), limit, `${method} ${url}`);
  }
});
