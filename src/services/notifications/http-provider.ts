/**
 * SMS and push messages by a provider that takes them as JSON over HTTP. It is asked with a bearer token and with the
 * message's id as `Idempotency-Key`, so that a repetition is sent once by a provider that heeds it:
 *
 *     {"id": "msg_…", "to": "+5511…", "subject": "…", "text": "…"}
 *
 * Any answer of the 200s means that it was taken; `id` in it is kept.
 */
import { type Outgoing, OutgoingRefused } from '../../platform/outgoing.ts';
import type { Outcome, Provider } from './provider.ts';

/** Statuses after which the same request may succeed: timeouts, too early, too many. */
const AGAIN = new Set([408, 425, 429]);

/** What an answer of HTTP means for the message. */
export function outcomeOfStatus(status: number, by: string): Outcome {
  const detail = `${by} answered ${status}.`;
  if (status >= 200 && status < 300) return { kind: 'sent', by: 'http', detail };
  return status >= 500 || AGAIN.has(status)
    ? { kind: 'again', reason: 'provider_failed', detail }
    : { kind: 'refused', reason: 'provider_refused', detail };
}

/** What it means that no answer came. */
export function outcomeOfFailure(error: unknown, by: string): Outcome {
  if (error instanceof OutgoingRefused) {
    return { kind: 'refused', reason: 'address_refused', detail: `${by} is not asked: ${error.message}` };
  }
  const cause: unknown = error instanceof Error ? (error.cause ?? error) : error;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const what = code === '' ? '' : ` (${code})`;
  return { kind: 'again', reason: 'provider_failed', detail: `${by} could not be reached${what}.` };
}

/** What the provider calls the message, if it says so. */
function idIn(body: Buffer): string | undefined {
  try {
    const answer: unknown = JSON.parse(body.toString('utf8'));
    const id = typeof answer === 'object' && answer !== null && 'id' in answer ? answer.id : undefined;
    return typeof id === 'string' && /^[\x21-\x7e]{1,255}$/.test(id) ? id : undefined;
  } catch {
    return undefined;
  }
}

export function httpProvider(options: {
  url: string;
  token: string | undefined;
  outgoing: Outgoing;
}): Provider {
  const { url, token, outgoing } = options;
  return async ({ id, address, content: { subject, text } }, signal) => {
    try {
      const answer = await outgoing.guardedFetch(url, {
        method: 'POST',
        signal,
        headers: {
          'content-type': 'application/json',
          'idempotency-key': id,
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
        body: JSON.stringify({ id, to: address, ...(subject === null ? {} : { subject }), text }),
      });
      const outcome = outcomeOfStatus(answer.status, 'The provider');
      const provider_id = outcome.kind === 'sent' ? idIn(answer.body) : undefined;
      return provider_id === undefined ? outcome : { ...outcome, provider_id };
    } catch (error) {
      const outcome = outcomeOfFailure(error, 'The provider');
      // It is the operator's own address that is refused: to put the settings right makes it good.
      return outcome.kind === 'refused' ? { ...outcome, kind: 'again' } : outcome;
    }
  };
}
