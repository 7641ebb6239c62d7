/** Email by SMTP: text and, where its template has it, HTML. */
import { createTransport } from 'nodemailer';
import type { Dispatch, Outcome, Provider } from './provider.ts';
import { oneLine } from './render.ts';

const CONNECT_TIMEOUT_MS = 5_000;
/** Longest that the server may be silent. */
const SILENCE_MS = 10_000;

/** Refusals of the connection and not of the message: the next attempt may find them mended. */
const OF_THE_CONNECTION = new Set([
  'EAUTH',
  'ETLS',
  'EDNS',
  'ECONNECTION',
  'ETIMEDOUT',
  'ESOCKET',
  'EPROTOCOL',
  'ESTREAM',
]);

/** What the server said, on one line and without the address, which is personal. */
function answerIn(error: Error, { address }: Dispatch): string {
  const said = 'response' in error && typeof error.response === 'string' ? error.response : error.message;
  return said.replaceAll(address, '…').replaceAll(/\s+/g, ' ').trim().slice(0, 500);
}

function outcomeOf(error: unknown, dispatch: Dispatch): Outcome {
  if (!(error instanceof Error)) throw error;
  const code = 'code' in error ? String(error.code) : '';
  const status = 'responseCode' in error ? Number(error.responseCode) : 0;
  const detail = `The mail server answered: ${answerIn(error, dispatch)}`;
  return status >= 500 && !OF_THE_CONNECTION.has(code)
    ? { kind: 'refused', reason: 'provider_refused', detail }
    : { kind: 'again', reason: 'provider_failed', detail };
}

/**
 * Sends over a connection of its own for each message: one that is kept would repeat by itself what was under way when it
 * was lost, which is for the message's own attempts to decide.
 *
 * @param options.url of the server, with user and password
 */
export function emailBySmtp(options: { url: string; from: string }): Provider {
  const { url, from } = options;
  const domain = from.slice(from.lastIndexOf('@') + 1).replace(/>$/, '');
  const transport = createTransport({
    url,
    connectionTimeout: CONNECT_TIMEOUT_MS,
    greetingTimeout: CONNECT_TIMEOUT_MS,
    dnsTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: SILENCE_MS,
    // A text in a message is never the name of a file or an address to fetch.
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return async (dispatch) => {
    const { id, address, recipient_name, language, content } = dispatch;
    try {
      const { response } = await transport.sendMail({
        // The same at every attempt, so that mail which comes twice is known (RFC 5322, section 3.6.4).
        messageId: `<${id}@${domain}>`,
        from,
        to: { name: oneLine(recipient_name), address },
        subject: content.subject ?? '',
        text: content.text,
        ...(content.html === null ? {} : { html: content.html }),
        headers: { 'Auto-Submitted': 'auto-generated', 'Content-Language': language },
        textEncoding: 'quoted-printable',
      });
      const said = response.replaceAll(address, '…').slice(0, 255);
      return { kind: 'sent', by: 'smtp', provider_id: said, detail: `The mail server took it: ${said}` };
    } catch (error) {
      return outcomeOf(error, dispatch);
    }
  };
}
