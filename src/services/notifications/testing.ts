/** A real mail server that notes what it is given, for tests. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { type ParsedMail, simpleParser } from 'mailparser';
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from 'smtp-server';
import type { Answer, TestTenant } from '../../testing.ts';

interface ReceivedMail {
  /** Addresses of the envelope. */
  to: string[];
  from: string;
  mail: ParsedMail;
  raw: string;
}

export interface MailServer {
  /** As `SMTP_URL`. */
  url: string;
  received: ReceivedMail[];
  /** What each mail is answered with before it is noted: an error refuses it, and what is awaited delays it. */
  answer: (attempt: number, raw: string) => Promise<Error | undefined> | Error | undefined;
  /** Mails that were begun. */
  attempts: number;
  close: () => Promise<void>;
}

/** The refusal of a mail with a status of SMTP. */
export function smtpError(responseCode: number, message: string): Error {
  return Object.assign(new Error(message), { responseCode });
}

/** A certificate for 127.0.0.1 that openssl made for these tests, signed by itself; its key is used nowhere else. */
const CERTIFICATE =
  'MIIBXDCCAQKgAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAltYWlsLnRlc3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMMCW1haWwudGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABDS5vMZHzStnFZqhpNvmwoszFX0DKTgkS5oqjkGtmWSvfw/bURTsWWd6dD2RidHsy2vfXaVNBlvqD1EX5v+QfAWjQzBBMA8GA1UdEQQIMAaHBH8AAAEwDwYDVR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQUWMQ6jKOvOye2uB7HEtpXUfcRgJ8wCgYIKoZIzj0EAwIDSAAwRQIhAPYcsxo+jf48G2cki0Xr6cfeScmm1KUr0zK/bmRu2s3SAiBOJ54UyfvRkwuffixJ+CMge0+JpdGle7FojmI8RTn/pA==';
const CERTIFICATE_KEY =
  'MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgBllrLJkFkNtJO3pAgKKLobiG0L4JeTBBAKATSteL+jehRANCAAQ0ubzGR80rZxWaoaTb5sKLMxV9Ayk4JEuaKo5BrZlkr38P21EU7FlnenQ9kYnR7Mtr312lTQZb6g9RF+b/kHwF';
export const certificate: string = new X509Certificate(Buffer.from(CERTIFICATE, 'base64')).toString();

/** How the connection to a mail server is protected: not at all, from the start, or when the client asks for it. */
type Protection = 'none' | 'tls' | 'starttls';

/** @param user who has to sign in to be served; nobody has to where it is left out */
export async function startMailServer(
  protection: Protection = 'none',
  user?: { name: string; password: string },
): Promise<MailServer> {
  const received: ReceivedMail[] = [];
  async function take(stream: SMTPServerDataStream, session: SMTPServerSession): Promise<Error | undefined> {
    const parts: Buffer[] = [];
    for await (const part of stream) parts.push(Buffer.from(part));
    const raw = Buffer.concat(parts).toString('utf8');
    server.attempts += 1;
    const refused = await server.answer(server.attempts, raw);
    if (refused !== undefined) return refused;
    const { mailFrom, rcptTo } = session.envelope;
    received.push({
      to: rcptTo.map(({ address }) => address),
      from: mailFrom === false ? '' : mailFrom.address,
      mail: await simpleParser(raw),
      raw,
    });
    return undefined;
  }
  const smtp = new SMTPServer({
    authOptional: user === undefined,
    disableReverseLookup: true,
    disabledCommands: [
      ...(protection === 'starttls' ? [] : ['STARTTLS']),
      ...(user === undefined ? ['AUTH'] : []),
    ],
    secure: protection === 'tls',
    ...(protection === 'none'
      ? {}
      : {
          key: createPrivateKey({
            key: Buffer.from(CERTIFICATE_KEY, 'base64'),
            format: 'der',
            type: 'pkcs8',
          }).export({ format: 'pem', type: 'pkcs8' }),
          cert: certificate,
        }),
    closeTimeout: 100,
    onAuth: ({ username, password }, _session, callback) => {
      if (username === user?.name && password === user?.password) callback(null, { user: username });
      else callback(smtpError(535, 'Wrong user or password'));
    },
    onData: (stream, session, callback) => {
      take(stream, session).then(
        (refused) => callback(refused),
        (error: unknown) => callback(error instanceof Error ? error : new Error(String(error))),
      );
    },
  });
  // A client that is killed resets its connection.
  smtp.on('error', () => {});
  const listening = smtp.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  const address = listening.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const server: MailServer = {
    url: `${protection === 'tls' ? 'smtps' : 'smtp'}://${user === undefined ? '' : `${user.name}:${user.password}@`}127.0.0.1:${port}`,
    received,
    answer: () => undefined,
    attempts: 0,
    close: () => new Promise((resolve) => smtp.close(() => resolve())),
  };
  return server;
}

/** Asks until there is an answer; the test's own time limit ends it otherwise. */
export async function eventually<T>(ask: () => Promise<T | undefined> | T | undefined): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A tenant's recipients and messages, asked for in few words. */
export function openNotices(tenant: TestTenant) {
  const get = (id: string) => tenant.get(`/api/v2/notifications/messages/${id}`);
  return {
    get,
    /** Registers a recipient and returns its id. */
    recipient: async (options: object = {}): Promise<string> => {
      const body = { kind: 'customer', name: 'Ana Souza', email: 'ana@bank.example', ...options };
      return (await tenant.post('/api/v2/notifications/recipients', body)).id;
    },
    edit: (id: string, body: object) =>
      tenant.ask('PATCH', `/api/v2/notifications/recipients/${id}`, body, { 'if-match': '*' }),
    /** Sends an announcement, or what is given, and returns the messages that it made. */
    send: async (recipient_id: string, options: object = {}): Promise<Answer['body'][]> => {
      const announcement = { topic: 'announcement', data: { title: 'Closed', message: 'On Friday' } };
      const body = { recipient_id, channels: ['email'], ...announcement, ...options };
      return (await tenant.post('/api/v2/notifications/messages', body)).messages;
    },
    /** The message once it is sent, has failed or is suppressed. */
    settled: (id: string): Promise<Answer['body']> =>
      eventually(async () => {
        const message = await get(id);
        return ['waiting', 'sending'].includes(message.state) ? undefined : message;
      }),
  };
}

export function reasonsOf({ steps }: { steps: { reason: string }[] }): string[] {
  return steps.map(({ reason }) => reason);
}
