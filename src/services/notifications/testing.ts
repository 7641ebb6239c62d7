/** A real mail server that notes what it is given, for tests. */
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

export async function startMailServer(): Promise<MailServer> {
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
    authOptional: true,
    disableReverseLookup: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    closeTimeout: 100,
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
    url: `smtp://127.0.0.1:${port}`,
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
