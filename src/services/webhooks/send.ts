/** One attempt at a delivery: what is asked of the endpoint, and what comes of it. */
import { type Static, Type } from 'typebox';
import type { EventCatalogue } from '../../platform/bus/catalogue.ts';
import type { CloudEvent } from '../../platform/bus/event.ts';
import { formatId } from '../../platform/ids.ts';
import { type Outgoing, OutgoingRefused } from '../../platform/outgoing.ts';
import type { Secrets } from '../../platform/secret.ts';
import { SignatureScheme, type SigningKey, signatureOf } from '../../platform/webhook-signature.ts';
import { viewers } from './enqueue.ts';
import { signingKeyContext } from './signing-key.ts';

/** A delivery that this process has claimed, with all that is needed to send it. */
export const Claimed = Type.Object({
  tenant_id: Type.String(),
  environment: Type.Union([Type.Literal('sandbox'), Type.Literal('live')]),
  id: Type.String(),
  endpoint_id: Type.String(),
  event_id: Type.String(),
  event_type: Type.String(),
  subject: Type.String(),
  body: Type.String(),
  personal_data: Type.Boolean(),
  traceparent: Type.Union([Type.String(), Type.Null()]),
  attempts: Type.Integer(),
  failures: Type.Integer(),
  is_test: Type.Boolean(),
  url: Type.String(),
  ordered: Type.Boolean(),
  sees_personal_data: Type.Boolean(),
  signing_keys: Type.Union([
    Type.Array(Type.Object({ id: Type.String(), scheme: SignatureScheme, secret: Type.String() })),
    Type.Null(),
  ]),
});
export type Claimed = Static<typeof Claimed>;

/** What came of an attempt, as it is kept. */
export interface Attempted {
  started_at: Date;
  took_ms: number;
  /** All but the signature. */
  request_headers: Record<string, string>;
  status?: number;
  answer_headers?: Record<string, string>;
  answer_body?: string;
  /** Why it failed; undefined where it succeeded. */
  failure?: string;
  /** What the endpoint asked for by `Retry-After`. */
  retry_after?: string;
  /** Whether no answer came in time. */
  timed_out: boolean;
}

/** Headers of an answer that are kept: what tells why. Others could hold a credential. */
const KEPT_HEADERS = ['content-type', 'date', 'location', 'retry-after', 'server'];
const KEPT_HEADER_CHARACTERS = 200;
const KEPT_BODY_CHARACTERS = 1_024;

/** What PostgreSQL can keep of a text: no NUL, no half of a pair. */
function keepable(text: string, characters: number): string {
  return text.replaceAll('\0', '�').toWellFormed().slice(0, characters).toWellFormed();
}

/** What errors of connections mean, by the beginning of their code. Their own texts name addresses within our network. */
const failures: readonly [RegExp, string][] = [
  [/^ECONNREFUSED/, 'The connection was refused.'],
  [/^(ENOTFOUND|EAI_)/, 'The name of the host has no address.'],
  [/^(ECONNRESET|EPIPE|UND_ERR_SOCKET)/, 'The connection was lost before an answer came.'],
  [/^(ENETUNREACH|EHOSTUNREACH)/, 'The host cannot be reached.'],
  [/^(UND_ERR_CONNECT_TIMEOUT|ETIMEDOUT)/, 'No connection could be made in time.'],
  [/^(CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|ERR_TLS|ERR_SSL|EPROTO)/, 'TLS failed'],
  [/^(HPE_|UND_ERR_HEADERS_OVERFLOW)/, 'The answer is no HTTP.'],
];

function failureOf(error: unknown): string {
  if (error instanceof OutgoingRefused) return error.message;
  const cause: unknown = error instanceof Error ? (error.cause ?? error) : error;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
  const [, text] = failures.find(([pattern]) => pattern.test(code)) ?? [];
  if (text === undefined) return `The request failed (${code}).`;
  return text.endsWith('.') ? text : `${text} (${code}).`;
}

function refusalOf(status: number): string | undefined {
  if (status >= 200 && status < 300) return undefined;
  if (status === 410) return 'It answered 410: the endpoint is gone.';
  return status >= 300 && status < 400
    ? `It answered ${status}; redirects are not followed.`
    : `It answered ${status}.`;
}

/** The body, masked where the endpoint is not to have personal data any more. */
function bodyOf(
  { body, personal_data, sees_personal_data, event_type }: Claimed,
  catalogue: EventCatalogue,
): string {
  if (!personal_data || sees_personal_data) return body;
  const event: CloudEvent = JSON.parse(body);
  return JSON.stringify({ ...event, data: catalogue.showData(event_type, event.data, viewers.masked) });
}

export interface Sending {
  outgoing: Outgoing;
  secrets: Secrets;
  catalogue: EventCatalogue;
  /** How long an endpoint may take to answer. */
  timeout_ms: number;
}

/**
 * Sends a delivery once. Whatever comes of it is returned, and nothing thrown that an endpoint could cause.
 *
 * @param stopping ends the request without an outcome, which is thrown
 */
export async function attempt(
  { outgoing, secrets, catalogue, timeout_ms }: Sending,
  delivery: Claimed,
  stopping: AbortSignal,
): Promise<Attempted> {
  const started_at = new Date();
  const began = performance.now();
  const keys = (delivery.signing_keys ?? []).map(
    ({ id, scheme, secret }): SigningKey => ({
      scheme,
      secret: secrets.decrypt(secret, signingKeyContext(delivery, id)),
    }),
  );
  const body = bodyOf(delivery, catalogue);
  const id = formatId('evt', delivery.event_id);
  const timestamp = Math.floor(started_at.getTime() / 1_000);
  const request_headers: Record<string, string> = {
    'content-type': 'application/cloudevents+json; charset=utf-8',
    'user-agent': 'financialapi-webhooks',
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    ...(delivery.traceparent === null ? {} : { traceparent: delivery.traceparent }),
  };
  const deadline = AbortSignal.timeout(timeout_ms);
  const known = () => ({
    started_at,
    took_ms: Math.round(performance.now() - began),
    request_headers,
  });
  try {
    const answer = await outgoing.guardedFetch(delivery.url, {
      method: 'POST',
      headers: { ...request_headers, 'webhook-signature': signatureOf(keys, { id, timestamp, body }) },
      body,
      signal: AbortSignal.any([deadline, stopping]),
    });
    const failure = refusalOf(answer.status);
    const retry_after = answer.headers.get('retry-after');
    return {
      ...known(),
      status: answer.status,
      answer_headers: Object.fromEntries(
        KEPT_HEADERS.flatMap((name) => {
          const value = answer.headers.get(name);
          return value === null ? [] : [[name, keepable(value, KEPT_HEADER_CHARACTERS)]];
        }),
      ),
      answer_body: keepable(
        answer.body.subarray(0, 4 * KEPT_BODY_CHARACTERS).toString(),
        KEPT_BODY_CHARACTERS,
      ),
      ...(failure === undefined ? {} : { failure }),
      ...(retry_after === null ? {} : { retry_after }),
      timed_out: false,
    };
  } catch (error) {
    if (stopping.aborted) throw error;
    const timed_out = deadline.aborted;
    return {
      ...known(),
      failure: timed_out ? `No answer came within ${timeout_ms / 1_000} seconds.` : failureOf(error),
      timed_out,
    };
  }
}
