/** Bad input of every kind to the API: each gets a clear refusal, and nothing moves. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { newUuid } from '../src/platform/ids.ts';
import type { Answer } from '../src/testing.ts';
import { assertRefused, brl, type HostileBank, openHostileBank, type Refusal } from './hostile-bank.ts';

let hostile: HostileBank;
before(async () => {
  hostile = await openHostileBank();
});
after(() => hostile.close());

const malformed = (...pointers: string[]): Refusal => ({ status: 400, code: 'malformed_request', pointers });
const says = (pattern: RegExp, ...pointers: string[]): Refusal => ({
  ...malformed(...pointers),
  says: pattern,
});
const rule = (code: string): Refusal => ({ status: 422, code });

/** Asks and asserts the refusal; twice where it is a POST, since the same key must get the same answer. */
async function refused(
  what: string,
  url: string,
  body: unknown,
  expected: Refusal,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const key = { 'idempotency-key': newUuid(), ...headers };
  const answer = await hostile.bank.ask('POST', url, body, key);
  assertRefused(answer, expected, what);
  const again = await hostile.bank.ask('POST', url, body, key);
  assertRefused(again, expected, `${what}, again`);
  assert.equal(again.body.detail, answer.body.detail, what);
  return answer;
}

const TRANSFERS = '/api/v2/transfers';
const BATCH = '/api/v2/transfers/batch';
const ACCOUNTS = '/api/v2/accounts';

describe('bodies', () => {
  test('that are no JSON, not declared as such, or none at all', async () => {
    const text = JSON.stringify(hostile.payment());
    const unsupported: Refusal = { status: 415, code: 'unsupported_media_type', says: /application\/json/ };
    await refused('no body', TRANSFERS, undefined, says(/required/, ''));
    await refused('an empty body', TRANSFERS, '', says(/empty/));
    await refused('white space', TRANSFERS, ' \n', says(/JSON/));
    await refused('half a body', TRANSFERS, text.slice(0, -1), says(/JSON/));
    await refused('two bodies', TRANSFERS, text + text, says(/JSON/));
    await refused('a comment', TRANSFERS, `${text} // please`, says(/JSON/));
    await refused('single quotes', TRANSFERS, text.replaceAll('"', "'"), says(/JSON/));
    await refused('NaN', TRANSFERS, '{"amount": NaN}', says(/JSON/));
    await refused('no content type', TRANSFERS, text, unsupported, { 'content-type': '' });
    await refused('text', TRANSFERS, text, unsupported, { 'content-type': 'text/plain' });
    await refused('a form', TRANSFERS, 'amount=1', unsupported, {
      'content-type': 'application/x-www-form-urlencoded',
    });
    await refused('nearly JSON', TRANSFERS, text, unsupported, { 'content-type': 'application/jsonp' });
    await refused(
      'compressed',
      TRANSFERS,
      text,
      { ...unsupported, says: /gzip/ },
      { 'content-encoding': 'gzip' },
    );
    await hostile.assertUnmoved();
  });

  test('that are other JSON than an object', async () => {
    for (const body of ['null', 'true', '0', '"text"', '[]', `[${JSON.stringify(hostile.payment())}]`]) {
      await refused(body, TRANSFERS, body, says(/must be an object/, ''));
      await refused(body, BATCH, body, says(/must be an object/, ''));
      await refused(body, ACCOUNTS, body, says(/must be an object/, ''));
    }
    await hostile.assertUnmoved();
  });

  test('that are not UTF-8: no byte is replaced by a guess', async () => {
    const [head = '', tail = ''] = JSON.stringify(hostile.payment({ description: '@' })).split('@');
    for (const bytes of [[0xff], [0xe9], [0xed, 0xa0, 0x80], [0xc0, 0x80]]) {
      const answer = await hostile.platform.running.app.inject({
        method: 'POST',
        url: TRANSFERS,
        headers: {
          authorization: `Bearer ${hostile.bank.key}`,
          'idempotency-key': newUuid(),
          'content-type': 'application/json; charset=iso-8859-1',
        },
        payload: Buffer.concat([Buffer.from(head), Buffer.from(bytes), Buffer.from(tail)]),
      });
      assert.equal(answer.statusCode, 400, answer.body);
      assert.match(answer.json().detail, /UTF-8/);
    }
    await hostile.assertUnmoved();
  });

  test('that are too large, too deep or too many', async () => {
    const tooLarge: Refusal = { status: 413, code: 'body_too_large', says: /4194304 bytes/ };
    await refused('4 MiB and a byte', TRANSFERS, ' '.repeat(4 * 1024 * 1024 + 1), tooLarge);
    await refused('a long name', ACCOUNTS, { name: 'x'.repeat(5_000_000) }, tooLarge);
    const depth = 100_000;
    const deepArray = '['.repeat(depth) + ']'.repeat(depth);
    const deepObject = `${'{"metadata":'.repeat(depth)}1${'}'.repeat(depth)}`;
    await refused('deep arrays', TRANSFERS, deepArray, says(/deep/));
    await refused('deep objects', TRANSFERS, deepObject, says(/deep/));
    await refused('deeper, not closed', TRANSFERS, '['.repeat(4_000_000), says(/JSON/));
    const many = { transfers: Array.from({ length: 1_001 }, () => hostile.payment()) };
    await refused('1,001 transfers', BATCH, many, says(/at most 1000 items/, '/transfers'));
    await refused('no transfer', BATCH, { transfers: [] }, says(/at least 1 item/, '/transfers'));
    const leg = { account_id: hostile.cash, side: 'debit', amount: brl('1') };
    await refused(
      '201 legs',
      TRANSFERS,
      { legs: Array.from({ length: 201 }, () => leg) },
      says(/at most 200 items/, '/legs'),
    );
    await refused('one leg', TRANSFERS, { legs: [leg] }, says(/at least 2 items/, '/legs'));
    await hostile.assertUnmoved();
  });

  test('that are wrong in a million places: one of them is enough', async () => {
    const zeros = await refused('zeros', BATCH, `{"transfers":[${'0,'.repeat(2_000_000)}0]}`, malformed());
    assert.equal(zeros.body.errors.length, 1);
    const fields = Array.from({ length: 200_000 }, (_, index) => `"x${index}":0`).join(',');
    const unknown = await refused('fields', TRANSFERS, `{${fields}}`, malformed());
    assert.equal(unknown.body.errors.length, 1);
    // Of as many as a batch may have transfers, the first twenty are named.
    const batch = { transfers: Array.from({ length: 1_000 }, () => 0) };
    const missing = await refused('transfers', BATCH, batch, malformed('/transfers/0', '/transfers/19'));
    assert.equal(missing.body.errors.length, 20);
    await hostile.assertUnmoved();
  });

  test('that name a member twice: no two readers see different amounts', async () => {
    const { customer, cash } = hostile;
    const body = (rest: string) => `{"debit_account_id":"${customer}","credit_account_id":"${cash}",${rest}}`;
    const twice = says(/"amount" stands twice/);
    await refused(
      'two amounts',
      TRANSFERS,
      body('"amount":{"amount":"1","currency":"BRL"},"amount":{"amount":"2","currency":"BRL"}'),
      twice,
    );
    await refused(
      'one within',
      TRANSFERS,
      body('"amount":{"amount":"1","amount":"2","currency":"BRL"}'),
      twice,
    );
    await refused(
      'with space',
      TRANSFERS,
      body('"amount":{"amount" :"1","amount":"2","currency":"BRL"}'),
      twice,
    );
    await refused(
      'escaped',
      TRANSFERS,
      body('"amount":{"amount":"1","\\u0061mount":"2","currency":"BRL"}'),
      twice,
    );
    await refused('behind a colon', TRANSFERS, body('"description":":","amount":1,"amount":2'), twice);
    await hostile.assertUnmoved();
  });

  test('that mean to reach a prototype', async () => {
    const metadata = (name: string) =>
      JSON.stringify(hostile.payment({ metadata: { NAME: 'x' } })).replace('NAME', name);
    await refused('__proto__', TRANSFERS, '{"__proto__":{"amount":1}}', says(/__proto__/));
    await refused('escaped', TRANSFERS, '{"\\u005f_proto__":{"amount":1}}', says(/__proto__/));
    await refused('in labels', TRANSFERS, metadata('__proto__'), says(/__proto__/));
    await refused(
      'constructor',
      TRANSFERS,
      '{"constructor":{"prototype":{"x":1}}}',
      malformed('/constructor'),
    );
    // As labels these are names like any other.
    for (const name of ['constructor', 'toString', 'hasOwnProperty']) {
      const body = { name: 'A', currency: 'BRL', chart_code: '2100', metadata: { [name]: 'x' } };
      const account = await hostile.bank.post(ACCOUNTS, body);
      assert.deepEqual(account.metadata, { [name]: 'x' });
      const found = await hostile.bank.get(`${ACCOUNTS}?metadata=${name}:x`);
      assert.deepEqual(
        found.data.map(({ id }: { id: string }) => id),
        [account.id],
      );
    }
    await hostile.acceptMoves();
  });
});

describe('fields', () => {
  test('that are unknown, missing, or of a wrong type are all named', async () => {
    await refused(
      'unknown',
      TRANSFERS,
      hostile.payment({ foo: 1, 'a/b~c': 2 }),
      malformed('/foo', '/a~1b~0c'),
    );
    await refused('none', TRANSFERS, {}, malformed('/debit_account_id', '/credit_account_id', '/amount'));
    await refused('none of an account', ACCOUNTS, {}, malformed('/name', '/currency', '/chart_code'));
    const wrong = {
      debit_account_id: 1,
      credit_account_id: ['x'],
      amount: 'x',
      exchange: true,
      legs: {},
      effective_date: 20_260_131,
      description: {},
      metadata: [],
    };
    await refused(
      'wrong types',
      TRANSFERS,
      wrong,
      malformed(...Object.keys(wrong).map((name) => `/${name}`)),
    );
    await refused(
      'null',
      TRANSFERS,
      hostile.payment({ amount: null }),
      says(/an object with amount/, '/amount'),
    );
    await refused('null text', TRANSFERS, hostile.payment({ description: null }), malformed('/description'));
    await refused(
      'both forms',
      TRANSFERS,
      hostile.payment({
        legs: [1, 2].map(() => ({ account_id: hostile.cash, side: 'debit', amount: brl('1') })),
      }),
      malformed('/debit_account_id', '/credit_account_id', '/amount'),
    );
    await hostile.assertUnmoved();
  });

  test('of a batch are named with the place of their transfer', async () => {
    const batch = (second: object) => ({ transfers: [hostile.payment(), second] });
    await refused(
      'an amount',
      BATCH,
      batch(hostile.payment({ amount: brl('x') })),
      malformed('/transfers/1/amount/amount'),
    );
    await refused('a form', BATCH, batch({ amount: brl('1') }), malformed('/transfers/1/debit_account_id'));
    await refused('no object', BATCH, batch([]), malformed('/transfers/1'));
    await refused(
      'no boolean',
      BATCH,
      { ...batch(hostile.payment()), atomic: 'yes' },
      says(/true or false/, '/atomic'),
    );
    await refused('no link', BATCH, batch(hostile.payment({ link: '' })), says(/empty/, '/transfers/1/link'));
    await hostile.assertUnmoved();
  });

  test('that may have several forms say which, once', async () => {
    const account = (credit_limit: unknown) => ({
      name: 'A',
      currency: 'BRL',
      chart_code: '2100',
      credit_limit,
    });
    const one = await refused(
      'a number',
      ACCOUNTS,
      account(5),
      says(/amount and currency, or null/, '/credit_limit'),
    );
    assert.equal(one.body.errors.length, 1);
    const within = await refused(
      'half an amount',
      ACCOUNTS,
      account({ amount: 5 }),
      malformed('/credit_limit/currency', '/credit_limit/amount'),
    );
    assert.equal(within.body.errors.length, 2);
    const side = { account_id: hostile.cash, side: 'left', amount: brl('1') };
    const literal = await refused(
      'a side',
      TRANSFERS,
      { legs: [side, { ...side, side: 'debit' }] },
      says(/one of "debit", "credit"/, '/legs/0/side'),
    );
    assert.equal(literal.body.errors.length, 1);
    const type = { code: '9000', name: 'X', type: 'money' };
    await refused('a type', '/api/v2/chart-of-accounts', type, says(/"asset", "liability"/, '/type'));
    await hostile.assertUnmoved();
  });

  test('with a pattern say what they must look like, not the pattern', async () => {
    const examples: [string, object, RegExp][] = [
      ['/credit_account_id', { credit_account_id: 'acc_1' }, /an id such as "acc_01h/],
      ['/amount/amount', { amount: brl('1e3') }, /like "1234.56"/],
      ['/amount/amount', { amount: { amount: 12.5, currency: 'BRL' } }, /a string such as "1234.56"/],
      ['/amount/currency', { amount: { amount: '1', currency: 'brl' } }, /like "BRL"/],
      ['/effective_date', { effective_date: '31.01.2026' }, /like "2026-01-31"/],
      ['/metadata/a b', { metadata: { 'a b': 'x' } }, /names of 1 to 64 characters/],
    ];
    for (const [pointer, changes, pattern] of examples) {
      const answer = await refused(pointer, TRANSFERS, hostile.payment(changes), says(pattern, pointer));
      assert.doesNotMatch(answer.text, /must match|\[0-9\]/);
    }
    await hostile.assertUnmoved();
  });
});

describe('texts', () => {
  const unkept: Record<string, string> = {
    NUL: 'a\\u0000b',
    'half a pair, high': 'a\\ud800b',
    'half a pair, low': '\\udc00',
    'a pair the wrong way round': '\\udc00\\ud800',
  };

  test('with NUL or an unpaired surrogate are refused wherever a text can stand', async () => {
    for (const [what, escaped] of Object.entries(unkept)) {
      const raw = (body: object) => JSON.stringify(body).replaceAll('@@', escaped);
      const account = { name: 'A', currency: 'BRL', chart_code: '2100' };
      const places: [string, object, string?][] = [
        [TRANSFERS, hostile.payment({ description: '@@' }), '/description'],
        [TRANSFERS, hostile.payment({ metadata: { a: '@@' } }), '/metadata/a'],
        [TRANSFERS, hostile.payment({ metadata: { '@@': 'a' } })],
        [TRANSFERS, hostile.payment({ credit_account_id: '@@' }), '/credit_account_id'],
        [TRANSFERS, hostile.payment({ amount: brl('@@') }), '/amount/amount'],
        [TRANSFERS, hostile.payment({ amount: { amount: '1', currency: '@@' } }), '/amount/currency'],
        [TRANSFERS, hostile.payment({ effective_date: '@@' }), '/effective_date'],
        [TRANSFERS, hostile.payment({ '@@': 1 })],
        [BATCH, { transfers: [hostile.payment({ link: '@@' })] }, '/transfers/0/link'],
        [ACCOUNTS, { ...account, name: '@@' }, '/name'],
        [ACCOUNTS, { ...account, chart_code: '@@' }, '/chart_code'],
        [ACCOUNTS, { ...account, metadata: { a: '@@' } }, '/metadata/a'],
        ['/api/v2/chart-of-accounts', { code: '9000', name: '@@', type: 'asset' }, '/name'],
        ['/api/v2/chart-of-accounts', { code: '@@', name: 'A', type: 'asset' }, '/code'],
        ['/api/v2/holds', hostile.payment({ description: '@@' }), '/description'],
        ['/api/v2/holds', hostile.payment({ expires_at: '@@' }), '/expires_at'],
        ['/api/v1/accounts/', { name: '@@', balance: 0 }, '/name'],
      ];
      for (const [url, body, pointer] of places) {
        const expected = pointer === undefined ? malformed() : malformed(pointer);
        await refused(`${what} in ${url} ${pointer}`, url, raw(body), expected);
      }
    }
    await hostile.assertUnmoved();
  });

  test('of a query or path likewise, and whatever is not percent-encoded UTF-8', async () => {
    const { bank, customer } = hostile;
    for (const text of ['%00', 'a%00b', '%zz', '%', '%e9', '%ED%A0%80', '%C0%80', '%ff']) {
      for (const url of [
        `${ACCOUNTS}?q=${text}`,
        `${ACCOUNTS}?metadata=a:${text}`,
        `${ACCOUNTS}?cursor=${text}`,
        `${ACCOUNTS}?${text}=1`,
        `${ACCOUNTS}/${text}`,
        `${TRANSFERS}?account_id=${text}`,
        `${TRANSFERS}/${text}`,
        `/api/v2/holds/${text}`,
        `/api/v2/attempts/${text}`,
        `${ACCOUNTS}/${customer}/entries?cursor=${text}`,
        `${ACCOUNTS}/${customer}/balance?at=${text}`,
      ]) {
        const answer = await bank.ask('GET', url);
        const code = answer.body.code === 'malformed_cursor' ? 'malformed_cursor' : 'malformed_request';
        assertRefused(answer, { status: 400, code }, url);
      }
    }
    await hostile.assertUnmoved();
  });

  test('of any other character are kept as they came', async () => {
    // Controls, a right-to-left override, combining marks, an astral character, a replacement character, a backslash,
    // quotes, and what JSON, SQL, arrays of SQL and our own separator would have to escape.
    const text = '\u0001\u001f\t\r\n "\'\\{},NULL\u007f\u202e e\u0301 \u{1f4b8} \ufffd $1 %s <script> \u2028';
    const name = text.trim();
    const account = await hostile.bank.post(ACCOUNTS, { name, currency: 'BRL', chart_code: '2100' });
    assert.equal(account.name, name);
    assert.equal((await hostile.bank.get(`${ACCOUNTS}/${account.id}`)).name, name);
    const found = await hostile.bank.get(`${ACCOUNTS}?q=${encodeURIComponent(name)}`);
    assert.deepEqual(found.data[0].id, account.id);
    const body = hostile.payment({
      description: text,
      metadata: { a: text, 'b:c': text },
      credit_account_id: account.id,
    });
    const transfer = await hostile.bank.post(TRANSFERS, body);
    const kept = await hostile.bank.get(`${TRANSFERS}/${transfer.id}`);
    assert.equal(kept.description, text);
    assert.deepEqual(kept.metadata, { a: text, 'b:c': text });
    await hostile.bank.post(`${TRANSFERS}/${transfer.id}/reversals`, {
      description: text,
      metadata: { a: text },
    });
    await hostile.acceptMoves();
    await hostile.assertUnmoved();
  });

  test('that are too long', async () => {
    await refused(
      'a description',
      TRANSFERS,
      hostile.payment({ description: 'x'.repeat(501) }),
      says(/at most 500/, '/description'),
    );
    await refused(
      'a label',
      TRANSFERS,
      hostile.payment({ metadata: { a: 'x'.repeat(501) } }),
      malformed('/metadata/a'),
    );
    await refused(
      'a name of a label',
      TRANSFERS,
      hostile.payment({ metadata: { ['x'.repeat(65)]: 'a' } }),
      malformed(),
    );
    const labels = Object.fromEntries(Array.from({ length: 51 }, (_, index) => [`k${index}`, 'v']));
    await refused(
      '51 labels',
      TRANSFERS,
      hostile.payment({ metadata: labels }),
      says(/at most 50/, '/metadata'),
    );
    const account = (name: string) => ({ name, currency: 'BRL', chart_code: '2100' });
    await refused('no name', ACCOUNTS, account(''), says(/not be empty/, '/name'));
    await refused('a name', ACCOUNTS, account('\u{1f4b8}'.repeat(256)), says(/at most 255/, '/name'));
    await hostile.assertUnmoved();
    // Characters are counted as PostgreSQL counts them: of 255, whatever they are, nothing is lost.
    const longest = '\u{1f4b8}'.repeat(255);
    assert.equal((await hostile.bank.post(ACCOUNTS, account(longest))).name, longest);
    await hostile.acceptMoves();
  });
});

describe('amounts', () => {
  test('that are no decimal number', async () => {
    for (const amount of [
      '',
      ' ',
      ' 1',
      '1 ',
      '\n1',
      '+1',
      '01',
      '00',
      '1.',
      '.5',
      '1.00000',
      '-',
      '--1',
      '1e2',
      '1e400',
      '1E+2',
      '0x10',
      '1,5',
      '1_000',
      '1 000',
      '٣',
      '１',
      '½',
      'NaN',
      'Infinity',
      '-Infinity',
      'null',
      '1'.repeat(21),
      '9'.repeat(100_000),
    ]) {
      await refused(
        amount.slice(0, 30),
        TRANSFERS,
        hostile.payment({ amount: brl(amount) }),
        malformed('/amount/amount'),
      );
    }
    for (const amount of [1, 0, -1, 1.5, true, null, [], {}, ['1']]) {
      await refused(
        JSON.stringify(amount),
        TRANSFERS,
        hostile.payment({ amount: { amount, currency: 'BRL' } }),
        malformed('/amount/amount'),
      );
    }
    await refused(
      '1e400',
      TRANSFERS,
      JSON.stringify(hostile.payment({ amount: 0 })).replace(
        '"amount":0',
        '"amount":{"amount":1e400,"currency":"BRL"}',
      ),
      malformed('/amount/amount'),
    );
    await hostile.assertUnmoved();
  });

  test('that break a rule of money', async () => {
    const table: [string, string, string][] = [
      ['0', 'BRL', 'amount_not_positive'],
      ['-0', 'BRL', 'amount_not_positive'],
      ['0.00', 'BRL', 'amount_not_positive'],
      ['-1', 'BRL', 'amount_not_positive'],
      ['-9999999999999999.99', 'BRL', 'amount_not_positive'],
      ['1.001', 'BRL', 'too_many_decimals'],
      ['1.001', 'JPY', 'too_many_decimals'],
      ['1.0', 'JPY', 'too_many_decimals'],
      ['1.0000', 'KWD', 'too_many_decimals'],
      ['10000000000000000.00', 'BRL', 'amount_too_large'],
      ['1000000000000000000', 'JPY', 'amount_too_large'],
      ['9223372036854775807', 'JPY', 'amount_too_large'],
      ['9223372036854775808', 'JPY', 'amount_too_large'],
      ['-99999999999999999999', 'JPY', 'amount_too_large'],
      ['99999999999999999999', 'KWD', 'amount_too_large'],
      ['1', 'ZZZ', 'unknown_currency'],
      ['1', 'XXX', 'unknown_currency'],
      ['1', 'DEM', 'unknown_currency'],
    ];
    for (const [amount, currency, code] of table) {
      const what = `${amount} ${currency}`;
      await refused(what, TRANSFERS, hostile.payment({ amount: { amount, currency } }), rule(code));
      await refused(what, '/api/v2/holds', hostile.payment({ amount: { amount, currency } }), rule(code));
    }
    for (const currency of [
      'brl',
      'Brl',
      'BR',
      'BRLX',
      '',
      ' BRL',
      'toString',
      '__proto__',
      '986',
      'ＢＲＬ',
    ]) {
      const body = hostile.payment({ amount: { amount: '1', currency } });
      await refused(currency, TRANSFERS, body, malformed('/amount/currency'));
    }
    const account = { name: 'A', currency: 'BRL', chart_code: '2100' };
    await refused(
      'a limit below zero',
      ACCOUNTS,
      { ...account, credit_limit: brl('-1') },
      rule('amount_negative'),
    );
    await refused(
      'a limit in another currency',
      ACCOUNTS,
      { ...account, credit_limit: { amount: '1', currency: 'USD' } },
      rule('currency_mismatch'),
    );
    await refused('no currency', ACCOUNTS, { ...account, currency: 'ZZZ' }, rule('unknown_currency'));
    await hostile.assertUnmoved();
  });

  test('that do not come out', async () => {
    const { cash, customer } = hostile;
    const leg = (account_id: string, side: string, amount: object) => ({ account_id, side, amount });
    await refused(
      'unbalanced',
      TRANSFERS,
      { legs: [leg(cash, 'debit', brl('1')), leg(customer, 'credit', brl('2'))] },
      rule('unbalanced_transfer'),
    );
    await refused(
      'two of a side',
      TRANSFERS,
      { legs: [leg(cash, 'debit', brl('1')), leg(customer, 'debit', brl('1'))] },
      rule('unbalanced_transfer'),
    );
    await refused(
      'balanced over currencies only',
      TRANSFERS,
      { legs: [leg(cash, 'debit', brl('1')), leg(customer, 'credit', { amount: '1', currency: 'USD' })] },
      rule('unbalanced_transfer'),
    );
    // The most that the form allows: no sum may overflow on the way.
    const most = brl('9999999999999999.99');
    await refused(
      'huge and unbalanced',
      TRANSFERS,
      {
        legs: [...Array.from({ length: 199 }, () => leg(cash, 'debit', most)), leg(customer, 'credit', most)],
      },
      rule('unbalanced_transfer'),
    );
    await refused(
      'the same account',
      TRANSFERS,
      hostile.payment({ credit_account_id: customer }),
      rule('same_account'),
    );
    await refused(
      'more than there is',
      TRANSFERS,
      hostile.payment({ amount: brl('100.01') }),
      rule('insufficient_funds'),
    );
    await refused(
      'another currency',
      TRANSFERS,
      hostile.payment({ amount: { amount: '1', currency: 'USD' } }),
      rule('currency_mismatch'),
    );
    const exchange = (changes: object) => ({
      exchange: {
        rate: '5',
        credited: { amount: '5', currency: 'USD' },
        debit_exchange_account_id: cash,
        credit_exchange_account_id: cash,
        ...changes,
      },
    });
    for (const rate of ['', '0x1', '-1', '1e3', 'NaN', '1.', '1.0000000000000', '1000000000000', '٣']) {
      await refused(rate, TRANSFERS, hostile.payment(exchange({ rate })), malformed('/exchange/rate'));
    }
    await refused(
      'a rate of zero',
      TRANSFERS,
      hostile.payment(exchange({ rate: '0' })),
      rule('exchange_mismatch'),
    );
    await refused(
      'a wrong rate',
      TRANSFERS,
      hostile.payment(exchange({ rate: '4.9' })),
      rule('exchange_mismatch'),
    );
    await refused(
      'a currency that is none',
      TRANSFERS,
      hostile.payment(exchange({ credited: { amount: '5', currency: 'ZZZ' } })),
      rule('unknown_currency'),
    );
    await hostile.assertUnmoved();
  });

  test('that would overflow a counter: refused as balance_overflow, and the account goes on', async () => {
    const { bank, cash } = hostile;
    const rich = await hostile.open({ name: 'Rich' });
    const reserve = await hostile.open({ chart_code: '1100', credit_limit: null });
    const most = { debit_account_id: reserve, credit_account_id: rich, amount: brl('9999999999999999.99') };
    // Nine of the largest amount fit 63 bits, a tenth does not.
    const nine = await bank.post(BATCH, { transfers: Array.from({ length: 9 }, () => most) });
    assert.equal(nine.posted, 9);
    assert.equal((await bank.get(`${ACCOUNTS}/${rich}`)).balance.amount, '89999999999999999.91');
    await hostile.acceptMoves();
    const overflow = rule('balance_overflow');
    await refused('a tenth', TRANSFERS, most, overflow);
    await refused(
      'as legs',
      TRANSFERS,
      {
        legs: [
          { account_id: cash, side: 'debit', amount: most.amount },
          { account_id: rich, side: 'credit', amount: most.amount },
        ],
      },
      overflow,
    );
    await refused(
      'within one transfer',
      TRANSFERS,
      {
        legs: [
          ...Array.from({ length: 100 }, () => ({ account_id: cash, side: 'debit', amount: most.amount })),
          ...Array.from({ length: 100 }, () => ({
            account_id: hostile.customer,
            side: 'credit',
            amount: most.amount,
          })),
        ],
      },
      overflow,
    );
    const batch = await bank.post(BATCH, { transfers: [most, hostile.payment({ amount: brl('0') }), most] });
    assert.deepEqual(
      batch.outcomes.map(({ problem }: { problem: { code: string } }) => problem.code),
      ['balance_overflow', 'amount_not_positive', 'balance_overflow'],
    );
    const atomic = await bank.post(BATCH, { atomic: true, transfers: [hostile.payment(), most] });
    assert.deepEqual(
      atomic.outcomes.map(({ problem }: { problem: { code: string } }) => problem.code),
      ['linked_transfer_refused', 'balance_overflow'],
    );
    await hostile.assertUnmoved();
    // What fits still moves, in both directions.
    await bank.post(TRANSFERS, { ...most, amount: brl('1.00') });
    await bank.post(TRANSFERS, { debit_account_id: rich, credit_account_id: cash, amount: most.amount });
    for (const url of [`${ACCOUNTS}/${rich}`, `${ACCOUNTS}/${rich}/entries`, '/api/v2/trial-balance'])
      await bank.get(url);
    await hostile.acceptMoves();
    await hostile.assertUnmoved();
  });

  test('held that would overflow a counter', async () => {
    const bottomless = await hostile.open({ chart_code: '2100', credit_limit: null });
    const other = await hostile.open();
    const most = {
      debit_account_id: bottomless,
      credit_account_id: other,
      amount: brl('9999999999999999.99'),
    };
    for (let count = 0; count < 9; count += 1) await hostile.bank.post('/api/v2/holds', most);
    await hostile.acceptMoves();
    await refused('a tenth', '/api/v2/holds', most, rule('balance_overflow'));
    await hostile.assertUnmoved();
  });
});

describe('dates', () => {
  test('of a posting that do not exist', async () => {
    for (const date of [
      '2026-02-30',
      '2026-02-29',
      '2026-13-01',
      '2026-00-10',
      '2026-01-00',
      '0000-00-00',
      '0001-01-01',
      '1899-12-31',
    ]) {
      await refused(
        date,
        TRANSFERS,
        hostile.payment({ effective_date: date }),
        rule('effective_date_invalid'),
      );
    }
    for (const date of [
      '',
      'today',
      '99999-01-01',
      '2026-1-1',
      '2026/01/01',
      '2026-01-01T00:00:00Z',
      '-2026-01-01',
      '٢٠٢٦-٠١-٠١',
      ' 2026-01-01',
    ]) {
      await refused(date, TRANSFERS, hostile.payment({ effective_date: date }), malformed('/effective_date'));
    }
    await hostile.assertUnmoved();
  });

  test('and times of a query that do not exist', async () => {
    const { bank, customer } = hostile;
    const days = [
      '',
      'x',
      '2026-02-30',
      '0000-00-00',
      '0000-01-01',
      '2026-13-01',
      '99999-01-01',
      'infinity',
      'now',
    ];
    const times = [
      '',
      'x',
      '2026-02-30T00:00:00Z',
      '0000-01-01T00:00:00Z',
      '99999-01-01T00:00:00Z',
      '2026-01-01T25:00:00Z',
      '2026-01-01T00:00:00',
      '2026-01-01',
      '2026-01-01T00:00:60Z',
      '9999-12-31T23:59:60Z',
      '2026-01-01T00:00:00%2B99:00',
      '0001-01-01T00:00:00%2B23:00',
      'infinity',
      'now',
      '2026-01-01T00:00:00.1234567890123456789012345Z',
    ];
    const ofDays = [
      `${TRANSFERS}?effective_from=`,
      `${TRANSFERS}?effective_to=`,
      '/api/v2/trial-balance?effective_on=',
      `${ACCOUNTS}/${customer}/balance?effective_on=`,
      `${ACCOUNTS}/${customer}/entries?effective_from=`,
      `${ACCOUNTS}/${customer}/statement?to=2026-01-01&from=`,
    ];
    const ofTimes = [
      `${TRANSFERS}?created_from=`,
      `${TRANSFERS}?created_to=`,
      '/api/v2/trial-balance?at=',
      `${ACCOUNTS}/${customer}/balance?at=`,
      `${ACCOUNTS}/${customer}/entries?created_from=`,
    ];
    for (const [urls, values] of [
      [ofDays, days],
      [ofTimes, times],
    ] as const) {
      for (const url of urls) {
        for (const value of values) {
          const name = /[?&](\w+)=$/.exec(url)?.[1];
          assertRefused(await bank.ask('GET', `${url}${value}`), malformed(`?${name}`), `${url}${value}`);
        }
      }
    }
    await hostile.assertUnmoved();
  });
});

describe('ids', () => {
  const unformed = [
    'x',
    'acc_',
    'acc_01h455vb4pex5vsknk084sn02',
    'acc_01h455vb4pex5vsknk084sn02qq',
    'acc_81h455vb4pex5vsknk084sn02q',
    'ACC_01H455VB4PEX5VSKNK084SN02Q',
    'acc_01h455vb4pex5vsknk084sn0il',
    'trx_01h455vb4pex5vsknk084sn02q',
    '01890a5d-ac96-774b-bcce-b302099a8057',
    '..',
    '../..',
    '1',
    '-1',
    '0',
  ];

  test('that are malformed or of another kind', async () => {
    const { bank } = hostile;
    const ofTransfer = 'trf_01h455vb4pex5vsknk084sn02q';
    for (const id of [...unformed, ofTransfer]) {
      await refused(id, TRANSFERS, hostile.payment({ debit_account_id: id }), malformed('/debit_account_id'));
      const path = encodeURIComponent(id);
      const answer = await bank.ask('GET', `${ACCOUNTS}/${path}`);
      // Dots are resolved before there is a path: then it is another.
      if (!/^\.\.?$/.test(path)) assertRefused(answer, malformed('path account_id'), id);
      assertRefused(await bank.ask('GET', `${TRANSFERS}?account_id=${path}`), malformed('?account_id'), id);
      assertRefused(await bank.ask('GET', `${TRANSFERS}?hold_id=${path}`), malformed('?hold_id'), id);
      assertRefused(
        await bank.ask('GET', `${TRANSFERS}?link_id=${path === unformed[8] ? 'x' : path}`),
        malformed('?link_id'),
        id,
      );
    }
    for (const link of [
      'urn:uuid:01890a5d-ac96-774b-bcce-b302099a8057',
      '{01890a5d-ac96-774b-bcce-b302099a8057}',
      '01890a5dac96774bbcceb302099a8057',
    ]) {
      assertRefused(await bank.ask('GET', `${TRANSFERS}?link_id=${link}`), malformed('?link_id'), link);
    }
    await hostile.assertUnmoved();
  });

  test('of what does not exist, or belongs to another tenant or environment: the same 404', async () => {
    const { bank, platform, customer, cash } = hostile;
    const transfer = await bank.post(TRANSFERS, hostile.payment());
    const hold = await bank.post('/api/v2/holds', hostile.payment());
    await hostile.acceptMoves();
    const stranger = await platform.newTenant();
    await stranger.post('/api/v2/chart-of-accounts', { code: '2100', name: 'Deposits', type: 'liability' });
    const own = (
      await stranger.post(ACCOUNTS, { name: 'Own', currency: 'BRL', chart_code: '2100', credit_limit: null })
    ).id;
    const absent = {
      account: 'acc_7zzzzzzzzzzzzzzzzzzzzzzzzz',
      transfer: 'trf_7zzzzzzzzzzzzzzzzzzzzzzzzz',
      hold: 'hld_7zzzzzzzzzzzzzzzzzzzzzzzzz',
    };
    const asked: string[] = [];
    for (const ids of [{ account: customer, transfer: transfer.id, hold: hold.id }, absent]) {
      const requests: ['GET' | 'POST' | 'PATCH', string, unknown, string][] = [
        ['GET', `${ACCOUNTS}/${ids.account}`, undefined, 'account_not_found'],
        ['GET', `${ACCOUNTS}/${ids.account}/balance`, undefined, 'account_not_found'],
        ['GET', `${ACCOUNTS}/${ids.account}/entries`, undefined, 'account_not_found'],
        [
          'GET',
          `${ACCOUNTS}/${ids.account}/statement?from=2026-01-01&to=2026-01-31`,
          undefined,
          'account_not_found',
        ],
        ['PATCH', `${ACCOUNTS}/${ids.account}`, { name: 'Mine' }, 'account_not_found'],
        ['POST', `${ACCOUNTS}/${ids.account}/freeze`, undefined, 'account_not_found'],
        ['POST', `${ACCOUNTS}/${ids.account}/close`, undefined, 'account_not_found'],
        [
          'POST',
          TRANSFERS,
          { debit_account_id: ids.account, credit_account_id: own, amount: brl('1') },
          'account_not_found',
        ],
        [
          'POST',
          TRANSFERS,
          { debit_account_id: own, credit_account_id: ids.account, amount: brl('1') },
          'account_not_found',
        ],
        [
          'POST',
          '/api/v2/holds',
          { debit_account_id: ids.account, credit_account_id: own, amount: brl('1') },
          'account_not_found',
        ],
        ['GET', `${TRANSFERS}/${ids.transfer}`, undefined, 'transfer_not_found'],
        ['POST', `${TRANSFERS}/${ids.transfer}/reversals`, {}, 'transfer_not_found'],
        ['GET', `/api/v2/holds/${ids.hold}`, undefined, 'hold_not_found'],
        ['POST', `/api/v2/holds/${ids.hold}/captures`, {}, 'hold_not_found'],
        ['POST', `/api/v2/holds/${ids.hold}/releases`, {}, 'hold_not_found'],
        ['POST', `/api/v2/holds/${ids.hold}/increments`, { amount: brl('1') }, 'hold_not_found'],
        [
          'POST',
          `/api/v2/holds/${ids.hold}/extensions`,
          { expires_at: '2099-01-01T00:00:00Z' },
          'hold_not_found',
        ],
      ];
      const details: string[] = [];
      for (const [method, url, body, code] of requests) {
        const answer = await stranger.ask(method, url, body, { 'if-match': '*' });
        assertRefused(answer, { status: 404, code }, `${method} ${url}`);
        details.push(answer.body.detail.replaceAll(/(acc|trf|hld)_[0-9a-z]{26}/g, '$1'));
      }
      asked.push(details.join('\n'));
      // Lists by such an id are empty, as those by any other.
      assert.deepEqual((await stranger.get(`${TRANSFERS}?account_id=${ids.account}`)).data, []);
      assert.deepEqual((await stranger.get(`${TRANSFERS}?hold_id=${ids.hold}`)).data, []);
    }
    assert.equal(asked[0], asked[1], 'another tenant can tell what exists');
    const live = await platform.newTenant('live');
    assertRefused(
      await live.ask('GET', `${ACCOUNTS}/${cash}`),
      { status: 404, code: 'account_not_found' },
      'live',
    );
    await hostile.assertUnmoved();
  });
});

describe('lists', () => {
  const cursorOf = (content: unknown) => Buffer.from(JSON.stringify(content)).toString('base64url');
  const uuid = '01890a5d-ac96-774b-bcce-b302099a8057';

  test('with limits out of range', async () => {
    const { bank, customer } = hostile;
    for (const url of [ACCOUNTS, TRANSFERS, '/api/v2/holds', `${ACCOUNTS}/${customer}/entries`]) {
      for (const limit of [
        '0',
        '-1',
        '101',
        '1e9',
        '99999999999999999999999',
        '1.5',
        '',
        'x',
        'NaN',
        'Infinity',
        'null',
        '1&limit=2',
        '[]',
      ]) {
        assertRefused(await bank.ask('GET', `${url}?limit=${limit}`), malformed('?limit'), `${url} ${limit}`);
      }
      assertRefused(await bank.ask('GET', `${url}?foo=1`), says(/known are:.*limit/, '?foo'), url);
    }
  });

  test('with cursors that are none, of another list, or of other filters', async () => {
    const { bank, customer } = hostile;
    const refusal: Refusal = { status: 400, code: 'malformed_cursor' };
    const cursors = {
      garbage: 'x',
      'no JSON': Buffer.from('{').toString('base64url'),
      'no UTF-8': Buffer.from([0xff, 0xfe]).toString('base64url'),
      null: cursorOf(null),
      empty: cursorOf({}),
      'no place': cursorOf({ filters: {} }),
      'more than a cursor': cursorOf({ filters: {}, after: 1, more: 1 }),
      'an unknown filter': cursorOf({ filters: { x: 1 }, after: 1 }),
      'a huge position': cursorOf({ filters: {}, after: 1e300 }),
      'a negative position': cursorOf({ filters: {}, after: -1 }),
      'a fraction': cursorOf({ filters: {}, after: 1.5 }),
      'a text': cursorOf({ filters: {}, after: "1' or true --" }),
      'NUL within': cursorOf({ filters: { q: '\u0000' }, after: uuid }),
      'half a surrogate within': cursorOf({ filters: { metadata: 'a:\ud800' }, after: uuid }),
      'a URN': cursorOf({ filters: {}, after: `urn:uuid:${uuid}` }),
      prototype: Buffer.from('{"filters":{"__proto__":1},"after":1}').toString('base64url'),
      deep: Buffer.from(`${'['.repeat(700)}${']'.repeat(700)}`).toString('base64url'),
    };
    for (const url of [ACCOUNTS, TRANSFERS, '/api/v2/holds', `${ACCOUNTS}/${customer}/entries`]) {
      for (const [what, cursor] of Object.entries(cursors)) {
        assertRefused(await bank.ask('GET', `${url}?cursor=${cursor}`), refusal, `${what} to ${url}`);
      }
    }
    for (let count = 0; count < 3; count += 1)
      await bank.post(TRANSFERS, hostile.payment({ amount: brl('0.01') }));
    const next = (url: string) => bank.get(url).then(({ next_cursor }) => next_cursor);
    const ofAccounts = await next(`${ACCOUNTS}?limit=1`);
    const ofTransfers = await next(`${TRANSFERS}?limit=1`);
    const filtered = await next(`${TRANSFERS}?limit=1&kind=transfer`);
    assertRefused(await bank.ask('GET', `${TRANSFERS}?cursor=${ofAccounts}`), refusal, 'of accounts');
    assertRefused(await bank.ask('GET', `${ACCOUNTS}?cursor=${ofTransfers}`), refusal, 'of transfers');
    assertRefused(
      await bank.ask('GET', `${TRANSFERS}?cursor=${filtered}&kind=reversal`),
      { ...refusal, says: /kind was "transfer"/ },
      'of others',
    );
    assert.equal((await bank.ask('GET', `${TRANSFERS}?cursor=${filtered}&kind=transfer`)).status, 200);
    // Filters that a cursor holds are held to what a query's are.
    const dated = (filters: object) => `${TRANSFERS}?cursor=${cursorOf({ filters, after: 1 })}`;
    for (const filters of [
      { effective_from: '2026-02-30' },
      { created_from: '0000-01-01T00:00:00Z' },
      { account_id: 'acc_1' },
    ]) {
      assert.equal((await bank.ask('GET', dated(filters))).status, 400, JSON.stringify(filters));
    }
    assertRefused(
      await bank.ask('GET', `${ACCOUNTS}?cursor=${'x'.repeat(2_001)}`),
      malformed('?cursor'),
      'long',
    );
    await hostile.acceptMoves();
    await hostile.assertUnmoved();
  });

  test('a cursor of another tenant shows nothing of it', async () => {
    const { bank, platform } = hostile;
    const { next_cursor } = await bank.get(`${ACCOUNTS}?limit=1`);
    const stranger = await platform.newTenant();
    assert.deepEqual((await stranger.get(`${ACCOUNTS}?cursor=${next_cursor}`)).data, []);
  });

  test('by a label: a name with colons is found, what is no label is refused', async () => {
    const { bank } = hostile;
    const id = await hostile.open({ metadata: { 'crm:id': 'a:b' } });
    const ids = async (label: string): Promise<string[]> =>
      (await bank.get(`${ACCOUNTS}?metadata=${encodeURIComponent(label)}`)).data.map(
        (account: { id: string }) => account.id,
      );
    assert.deepEqual(await ids('crm:id:a:b'), [id]);
    assert.deepEqual(await ids('crm:id:a'), []);
    assert.deepEqual(await ids('crm:'), []);
    for (const label of ['crm', ':x', 'a b:c', '']) {
      const answer = await bank.ask('GET', `${ACCOUNTS}?metadata=${encodeURIComponent(label)}`);
      assertRefused(answer, says(/like "customer:42"/, '?metadata'), label);
    }
    await hostile.acceptMoves();
  });
});

describe('idempotency keys', () => {
  test('that are missing or malformed', async () => {
    const { bank } = hostile;
    const missing = await hostile.platform.running.app.inject({
      method: 'POST',
      url: TRANSFERS,
      headers: { authorization: `Bearer ${bank.key}` },
      payload: hostile.payment(),
    });
    assert.equal(missing.statusCode, 400);
    assert.equal(missing.json().code, 'idempotency_key_required');
    const at = malformed('header idempotency-key');
    for (const key of ['', ' ', 'a b', 'a\tb', 'x'.repeat(256), 'é', '\u00a0', 'a, b']) {
      assertRefused(
        await bank.ask('POST', TRANSFERS, hostile.payment(), { 'idempotency-key': key }),
        at,
        JSON.stringify(key),
      );
    }
    await hostile.assertUnmoved();
  });

  test('of any printable characters, up to 255', async () => {
    const { bank } = hostile;
    for (const key of [
      'x',
      'k'.repeat(255),
      '"quoted"',
      "'; drop table ledger.entries; --",
      '{1,NULL}',
      '\\x1f',
      '%00',
      '../..',
    ]) {
      const printable = key.replaceAll(' ', '_');
      const headers = { 'idempotency-key': printable };
      const body = hostile.payment({ amount: brl('0.01') });
      const first = await bank.ask('POST', TRANSFERS, body, headers);
      assert.equal(first.status, 201, first.text);
      const again = await bank.ask('POST', TRANSFERS, body, headers);
      assert.equal(again.body.id, first.body.id, printable);
      const attempt = await bank.get(`/api/v2/attempts/${encodeURIComponent(printable)}`);
      assert.equal(attempt.result.id, first.body.id);
    }
    await hostile.acceptMoves();
    await hostile.assertUnmoved();
  });

  test('used again for anything else: refused on every route, and nothing of it is done', async () => {
    const { bank, customer, cash } = hostile;
    const headers = { 'idempotency-key': newUuid() };
    const transfer = await bank.post(TRANSFERS, hostile.payment({ amount: brl('0.01') }), headers);
    await hostile.acceptMoves();
    const reused: Refusal = { status: 422, code: 'idempotency_key_reused' };
    const hold = { debit_account_id: customer, credit_account_id: cash, amount: brl('0.01') };
    const others: [string, object][] = [
      [TRANSFERS, hostile.payment({ amount: brl('0.02') })],
      [TRANSFERS, hostile.payment({ amount: brl('0.01'), description: 'x' })],
      [BATCH, { transfers: [hostile.payment({ amount: brl('0.01') })] }],
      [`${TRANSFERS}/${transfer.id}/reversals`, {}],
      ['/api/v2/holds', hold],
      [ACCOUNTS, { name: 'A', currency: 'BRL', chart_code: '2100' }],
      ['/api/v2/chart-of-accounts', { code: '9000', name: 'X', type: 'asset' }],
    ];
    for (const [url, body] of others) {
      const answer = await bank.ask('POST', url, body, headers);
      assertRefused(answer, reused, url);
      assert.ok(answer.body.differs.length > 0, url);
    }
    await hostile.assertUnmoved();
    // And it is nobody else's.
    const stranger = await hostile.platform.newTenant();
    const chart = { code: '1', name: 'X', type: 'asset' };
    assert.equal((await stranger.ask('POST', '/api/v2/chart-of-accounts', chart, headers)).status, 201);
  });

  test('of a refused request is not spent by what was malformed', async () => {
    const { bank } = hostile;
    const headers = { 'idempotency-key': newUuid() };
    const bad = await bank.ask('POST', TRANSFERS, hostile.payment({ amount: brl('x') }), headers);
    assert.equal(bad.status, 400);
    const good = await bank.ask('POST', TRANSFERS, hostile.payment({ amount: brl('0.01') }), headers);
    assert.equal(good.status, 201);
    await hostile.acceptMoves();
  });
});

describe('If-Match', () => {
  test('required, compared strongly, a list or a star', async () => {
    const { bank } = hostile;
    const id = await hostile.open();
    const edit = (ifMatch: string | undefined, body: object = { name: 'N' }) =>
      bank.ask('PATCH', `${ACCOUNTS}/${id}`, body, ifMatch === undefined ? {} : { 'if-match': ifMatch });
    const current = async () => String((await bank.ask('GET', `${ACCOUNTS}/${id}`)).headers['etag']);
    const required: Refusal = { status: 428, code: 'precondition_required', says: /"1"/ };
    const failed: Refusal = { status: 412, code: 'precondition_failed', says: /"1"/ };
    assertRefused(await edit(undefined), required, 'none');
    assertRefused(await edit(' '), required, 'blank');
    for (const tag of [
      'W/"1"',
      'w/"1"',
      '1',
      '"2"',
      '"01"',
      '"1',
      "'1'",
      '"0", "2"',
      'x',
      '"0", *',
      '""',
      '"1"x',
    ]) {
      assertRefused(await edit(tag), failed, tag);
    }
    assertRefused(await edit('"1"'.padStart(300)), malformed('header if-match'), 'long');
    assert.equal(await current(), '"1"');
    for (const [tag, next] of [
      ['"1"', '"2"'],
      ['"0", "2"', '"3"'],
      ['"0",W/"1","3"', '"4"'],
      ['*', '"5"'],
      [' * ', '"6"'],
    ] as const) {
      const answer = await edit(tag);
      assert.equal(answer.status, 200, answer.text);
      assert.equal(answer.headers['etag'], next);
    }
    assertRefused(await edit('"6"', {}), says(/at least 1 field/, ''), 'nothing to edit');
    assertRefused(await edit('"6"', { status: 'closed' }), malformed('/status'), 'not by an edit');
    assertRefused(await edit('"6"', { credit_limit: 'x' }), malformed('/credit_limit'), 'no limit');
    assert.equal(await current(), '"6"');
    await hostile.acceptMoves();
  });

  test('of edits at once: one is done, the others are told', async () => {
    const { bank } = hostile;
    const id = await hostile.open();
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        bank.ask('PATCH', `${ACCOUNTS}/${id}`, { name: `N${index}` }, { 'if-match': '"1"' }),
      ),
    );
    assert.deepEqual(answers.map(({ status }) => String(status)).toSorted(), [
      '200',
      ...Array(9).fill('412'),
    ]);
    const done = answers.find(({ status }) => status === 200);
    assert.equal((await bank.get(`${ACCOUNTS}/${id}`)).name, done?.body.name);
    await hostile.acceptMoves();
  });
});

describe('keys', () => {
  test('that are missing, malformed or unknown: 401 with WWW-Authenticate', async () => {
    const { bank } = hostile;
    const { key } = bank;
    const flipped = key.slice(0, -1) + (key.endsWith('A') ? 'B' : 'A');
    const schemes = [
      '',
      ' ',
      'Bearer',
      'Bearer ',
      'Basic YTpi',
      `Basic ${key}`,
      `Bearer ${key} ${key}`,
      `Bearer ${key},Bearer ${key}`,
      key,
      `Bearer\t${key}`,
    ];
    const keys = [
      'x',
      flipped,
      `${key}x`,
      key.slice(1),
      key.toUpperCase(),
      key.replace('test', 'prod'),
      '%00',
      'x'.repeat(10_000),
    ];
    for (const authorization of [...schemes, ...keys.map((other) => `Bearer ${other}`)]) {
      for (const [method, url] of [
        ['GET', ACCOUNTS],
        ['POST', TRANSFERS],
        ['GET', '/api/nothing'],
      ] as const) {
        const body = method === 'POST' ? hostile.payment() : undefined;
        const answer = await bank.ask(method, url, body, { authorization });
        assertRefused(answer, { status: 401, code: 'unauthenticated' }, authorization.slice(0, 60));
        assert.match(answer.headers['www-authenticate'] ?? '', /^Bearer/);
        // A key is never repeated, not even a wrong one.
        assert.ok(!answer.text.includes(key.slice(8, 30)), answer.text);
      }
    }
    await hostile.assertUnmoved();
    // The scheme is a name in any case (RFC 9110, section 11.1).
    assert.equal(
      (await bank.ask('GET', ACCOUNTS, undefined, { authorization: `bEARER  ${key} ` })).status,
      200,
    );
  });

  test('a cookie cannot stand for a key where another site may have sent it', async () => {
    const { bank, platform } = hostile;
    const cookie = `financialapi_key=${bank.key}`;
    for (const site of [undefined, 'cross-site', 'same-site', 'none', '']) {
      for (const [method, url] of [
        ['POST', TRANSFERS],
        ['GET', '/api/v1/transfer/1/2/100'],
        ['PATCH', `${ACCOUNTS}/${hostile.customer}`],
      ] as const) {
        const answer = await platform.running.app.inject({
          method,
          url,
          headers: {
            cookie,
            'idempotency-key': newUuid(),
            'if-match': '*',
            ...(site === undefined ? {} : { 'sec-fetch-site': site }),
          },
          ...(method === 'GET' ? {} : { payload: method === 'PATCH' ? { name: 'X' } : hostile.payment() }),
        });
        assert.equal(answer.statusCode, 403, `${site} ${answer.body}`);
        assert.equal(answer.json().code, 'forbidden');
      }
    }
    await hostile.assertUnmoved();
  });
});

describe('addresses', () => {
  test('with a method that is not allowed: 405 with Allow', async () => {
    const { bank, customer } = hostile;
    for (const [method, url, allow] of [
      ['DELETE', ACCOUNTS, 'GET, POST'],
      ['PUT', ACCOUNTS, 'GET, POST'],
      ['PATCH', TRANSFERS, 'GET, POST'],
      ['PUT', `${ACCOUNTS}/${customer}`, 'GET, PATCH'],
      ['DELETE', `${ACCOUNTS}/${customer}`, 'GET, PATCH'],
      ['GET', `${ACCOUNTS}/${customer}/freeze`, 'POST'],
      ['POST', '/livez', 'GET'],
    ] as const) {
      const answer = await bank.ask(method, url, method === 'GET' || method === 'DELETE' ? undefined : {});
      assertRefused(answer, { status: 405, code: 'method_not_allowed' }, `${method} ${url}`);
      assert.equal(answer.headers['allow'], allow, url);
    }
    await hostile.assertUnmoved();
  });

  test('that lead nowhere: 404, whatever they try to climb over', async () => {
    const { bank } = hostile;
    for (const url of [
      '/api',
      '/api/',
      '/api/v2',
      '/api/v2/',
      '/api/v3/accounts',
      '/API/V2/ACCOUNTS',
      '/api/v2//accounts',
      '//api/v2/accounts',
      '/nothing',
      '/../../etc/passwd',
      '/api/v2/../../../etc/passwd',
      '/%2e%2e/%2e%2e/etc/passwd',
      '/..%2f..%2fetc/passwd',
      '/assets/../package.json',
      '/assets/..%2f..%2fpackage.json',
      '/.git/config',
      '/.env',
      '/.data/demo-key',
      '/src/main.ts',
      '/api/v2/accounts;x=1',
      '/errors/..%2f..%2fx',
      '/errors/__proto__',
      '/errors/constructor',
      '/wp-admin',
    ]) {
      const answer = await bank.ask('GET', url);
      assertRefused(answer, { status: 404, code: 'not_found' }, url);
    }
    for (const url of [
      `/api/v2/${'x'.repeat(5_000)}`,
      `${ACCOUNTS}/${'x'.repeat(301)}`,
      `/${'a/'.repeat(3_000)}`,
    ]) {
      const answer = await bank.ask('GET', url);
      assert.ok([400, 404].includes(answer.status), answer.text.slice(0, 100));
      assertRefused(answer, { status: answer.status, code: answer.body.code }, url.slice(0, 40));
    }
    await hostile.assertUnmoved();
  });

  test('with parameters that are doubled, unknown or no boolean', async () => {
    for (const [query, pointer] of [
      ['dry_run=maybe', '?dry_run'],
      ['dry_run=', '?dry_run'],
      ['dry_run=true&dry_run=false', '?dry_run'],
      ['x=1', '?x'],
      ['dry_run[]=true', '?dry_run[]'],
      ['__proto__=1', '?__proto__'],
      ['DRY_RUN=true', '?DRY_RUN'],
    ] as const) {
      await refused(query, `${TRANSFERS}?${query}`, hostile.payment(), malformed(pointer));
    }
    await hostile.assertUnmoved();
  });
});

describe('request ids', () => {
  test('are taken over if sane, and replaced otherwise', async () => {
    const { bank } = hostile;
    for (const id of ['abcdefgh', '0190163d-8694-739b-aea5-966c26f8ad91', 'a'.repeat(128), 'A.b_c:d-e']) {
      const answer = await bank.ask('GET', '/api/nothing', undefined, { 'request-id': id });
      assert.equal(answer.headers['request-id'], id);
      assert.equal(answer.body.request_id, id);
    }
    for (const id of [
      '',
      'short',
      'a'.repeat(129),
      'with space',
      'new\tline',
      '<script>alert(1)</script>',
      'é'.repeat(10),
      '"quoted!"',
    ]) {
      const answer = await bank.ask('GET', '/api/nothing', undefined, { 'request-id': id });
      assert.notEqual(answer.headers['request-id'], id);
      assert.match(answer.headers['request-id'] ?? '', /^[A-Za-z0-9._:-]{8,128}$/);
      assertRefused(answer, { status: 404, code: 'not_found' }, id);
    }
    const [one, two] = await Promise.all([bank.ask('GET', ACCOUNTS), bank.ask('GET', ACCOUNTS)]);
    assert.ok(
      one.headers['request-id'] !== undefined && one.headers['request-id'] !== two.headers['request-id'],
    );
  });
});

test('when all is over, the books are right and money moves', async () => {
  const { bank } = hostile;
  await bank.post(TRANSFERS, hostile.payment({ amount: brl('0.01') }));
  await hostile.acceptMoves();
  await hostile.assertUnmoved();
  const integrity = await bank.get('/api/v2/integrity');
  assert.ok(integrity.ok, JSON.stringify(integrity));
});
