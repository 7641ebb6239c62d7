/** Mail over TLS: from the start or by STARTTLS, to a server whose certificate is trusted and to no other. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { openTestPlatform } from '../../testing.ts';
import { certificate, eventually, openNotices, reasonsOf, startMailServer } from './testing.ts';

const user = { name: 'bank', password: 'correct-horse' };

async function open(
  t: TestContext,
  protection: Parameters<typeof startMailServer>[0],
  url: (url: string) => string = (given) => given,
) {
  const mail = await startMailServer(protection, user);
  t.after(() => mail.close());
  const platform = await openTestPlatform({ SMTP_URL: url(mail.url), SMTP_FROM: 'no-reply@bank.example' });
  t.after(() => platform.close());
  const bank = await platform.newTenant();
  const notices = openNotices(bank);
  const [message] = await notices.send(await notices.recipient());
  return {
    mail,
    bank,
    sent: () => notices.settled(message.id),
    /** The message once an attempt has failed. */
    failedOnce: () =>
      eventually(async () => {
        const found = await notices.get(message.id);
        return found.steps.length >= 2 ? found : undefined;
      }),
  };
}

function trust(t: TestContext): void {
  const before = getCACertificates('default');
  setDefaultCACertificates([...before, certificate]);
  t.after(() => setDefaultCACertificates(before));
}

for (const protection of ['tls', 'starttls'] as const) {
  test(`mail goes by ${protection} to a server that is trusted, as the user of SMTP_URL`, async (t) => {
    trust(t);
    const { mail, sent } = await open(t, protection, (url) =>
      protection === 'tls' ? url : `${url}?requireTLS=true`,
    );
    const message = await sent();
    assert.deepEqual([message.state, message.delivered_by], ['sent', 'smtp']);
    assert.deepEqual(
      mail.received.map(({ to }) => to),
      [['ana@bank.example']],
    );
  });

  test(`no mail goes by ${protection} to a server that is not trusted`, async (t) => {
    const { mail, failedOnce } = await open(t, protection);
    const message = await failedOnce();
    assert.deepEqual([message.state, reasonsOf(message)], ['waiting', ['due', 'provider_failed']]);
    assert.match(message.steps[1].detail, /self-signed certificate/);
    assert.equal(mail.attempts, 0);
  });
}

test('with requireTLS no mail, and no password, goes to a server that offers no TLS', async (t) => {
  const { mail, failedOnce } = await open(t, 'none', (url) => `${url}?requireTLS=true`);
  const message = await failedOnce();
  assert.deepEqual([message.state, reasonsOf(message)], ['waiting', ['due', 'provider_failed']]);
  assert.equal(mail.attempts, 0);
});

test('a password that the server does not take is told without it, and the mail waits', async (t) => {
  trust(t);
  const { mail, failedOnce } = await open(t, 'tls', (url) => url.replace(user.password, 'wrong-horse'));
  const message = await failedOnce();
  assert.deepEqual([message.state, reasonsOf(message)], ['waiting', ['due', 'provider_failed']]);
  assert.match(message.steps[1].detail, /535/);
  assert.doesNotMatch(JSON.stringify(message), /horse/);
  assert.equal(mail.attempts, 0);
});
