/**
 * Refusals as RFC 9457 problem details. Each service declares what it can refuse in its `errors.ts`; together
 * with the platform's own they are the published catalogue, one page a code under `/errors/<code>`.
 */

export interface ProblemType {
  /** HTTP status that every problem of this code has. */
  status: number;
  /** What happened, in a few words; the same for every occurrence. */
  title: string;
  /** For the page of the catalogue: when it happens, and what the caller should do. */
  meaning: string;
}

/** One member of `errors`: what is wrong at which place of the request. */
export interface FieldError {
  /** RFC 6901 JSON Pointer into the body, or `?name` for a query parameter, `header name` or `path name`. */
  pointer: string;
  detail: string;
}

/** Members beside the standard ones, e.g. `available` of `insufficient_funds`. */
export type ProblemExtra = Record<string, unknown> & { errors?: FieldError[]; retry_after_s?: number };

/** A refusal that the caller is told about. Anything else that is thrown is a bug and answered with 500. */
export class Problem extends Error {
  readonly code: string;
  readonly type: ProblemType;
  readonly extra: ProblemExtra;
  /** Whether this was refused to an earlier attempt with the same idempotency key and is told again. */
  replayed = false;

  constructor(code: string, type: ProblemType, detail: string, extra: ProblemExtra = {}) {
    super(detail);
    this.name = 'Problem';
    this.code = code;
    this.type = type;
    this.extra = extra;
  }
}

/** Declares a service's refusals; the result makes them: `throw refuse('account_not_found', 'No account …')`. */
export function defineProblems<Code extends string>(types: Record<Code, ProblemType>) {
  const refuse = (code: Code, detail: string, extra?: ProblemExtra): Problem =>
    new Problem(code, types[code], detail, extra);
  return Object.assign(refuse, { types });
}

/** What the platform itself refuses, before any service is asked. */
export const refuse = defineProblems({
  malformed_request: {
    status: 400,
    title: 'The request is malformed',
    meaning:
      'The body is not JSON in UTF-8, names a member twice, or a field is missing, unknown, of the wrong type or badly formed. `errors` names each place. Correct the request; repeating it unchanged gives the same answer.',
  },
  malformed_cursor: {
    status: 400,
    title: 'The cursor is malformed',
    meaning:
      'A cursor is opaque and belongs to the list and filters it came from. Pass `next_cursor` on unchanged, or start again without one.',
  },
  idempotency_key_required: {
    status: 400,
    title: 'An Idempotency-Key is required',
    meaning:
      'Every POST that creates something or moves money carries an `Idempotency-Key` header of 1 to 255 printable ASCII characters, so that a retry cannot happen twice. Send a fresh UUID for each new intention and the same key for each retry.',
  },
  unauthenticated: {
    status: 401,
    title: 'A valid credential is required',
    meaning:
      'Send `Authorization: Bearer …` with an API key or an access token. It is missing, unknown, expired or revoked.',
  },
  forbidden: {
    status: 403,
    title: 'Not allowed',
    meaning:
      'The request came from another site with a browser log-in, or asks for what this caller may never do.',
  },
  permission_missing: {
    status: 403,
    title: 'A permission is missing',
    meaning:
      'The caller is known but its role, key or token does not include the permission that `permission` names. The list of routes with the permission each needs is in the reference. Ask whoever grants roles or keys.',
  },
  environment_mismatch: {
    status: 403,
    title: 'The credential is of the other environment',
    meaning:
      'A key or token works in one environment only, `sandbox` or `live`. Use one of the environment that you mean.',
  },
  tenant_suspended: {
    status: 403,
    title: 'The tenant is suspended',
    meaning:
      'Whoever operates the installation has suspended the institution. Nothing was done; its books are kept.',
  },
  sandbox_only: {
    status: 403,
    title: 'Only a sandbox has this',
    meaning:
      'A sandbox can be emptied and its clock moved; live can not. Nothing was done. Use a credential of the sandbox.',
  },
  clock_not_forward: {
    status: 422,
    title: 'The clock moves forward only',
    meaning:
      'The clock of a sandbox can be moved to a later time than it shows, up to a hundred years ahead. Reset the sandbox to set it to the time.',
  },
  address_not_allowed: {
    status: 403,
    title: 'Not from this address',
    meaning: 'The credential may be used from certain addresses only, and the request came from another.',
  },
  origin_not_allowed: {
    status: 403,
    title: 'Not from this site',
    meaning:
      'A browser sent the request for a page of a site that the credential does not allow. Nothing was done. Name its origin in `allowed_origins` of the API key, or call through a server of your own.',
  },
  not_found: {
    status: 404,
    title: 'Not found',
    meaning:
      'No such resource for this key. What belongs to another tenant or environment is not found either.',
  },
  method_not_allowed: {
    status: 405,
    title: 'Method not allowed',
    meaning: 'The resource exists but not with this method. `Allow` lists those it has.',
  },
  request_timeout: {
    status: 408,
    title: 'The request did not arrive in time',
    meaning:
      'Headers have 10 seconds to arrive and the whole request 30. Nothing was done. Connect anew and send it again.',
  },
  headers_too_large: {
    status: 431,
    title: 'The headers are too large',
    meaning: 'Address and headers may have 16 KiB together. What is longer belongs in a body.',
  },
  body_too_large: {
    status: 413,
    title: 'The body is too large',
    meaning: 'A body may have at most 4 MiB. Split the batch.',
  },
  unsupported_media_type: {
    status: 415,
    title: 'Unsupported media type',
    meaning: 'Send the body as `Content-Type: application/json`, not compressed.',
  },
  precondition_failed: {
    status: 412,
    title: 'The resource has changed',
    meaning: '`If-Match` does not carry the current `ETag`. Read the resource again and decide anew.',
  },
  precondition_required: {
    status: 428,
    title: 'If-Match is required',
    meaning: 'An edit carries `If-Match` with the `ETag` that was read, so that no edit is lost (RFC 6585).',
  },
  idempotency_key_reused: {
    status: 422,
    title: 'The Idempotency-Key was used for another request',
    meaning:
      'A key belongs to one request. `differs` names what is not the same. Use a new key for a new intention.',
  },
  rate_limited: {
    status: 429,
    title: 'Too many requests',
    meaning:
      'A limit is used up; nothing was done. `limit` names it, `per` says of whom it is: the `caller`, everyone on its `plan`, the `tenant`, or an `address`. Wait for `Retry-After` seconds, then retry with the same Idempotency-Key. `RateLimit` and `RateLimit-Policy` on every answer say what is left, so that it need not come to this.',
  },
  plan_disabled: {
    status: 403,
    title: 'The plan allows nothing',
    meaning:
      'The plan that the caller is on is disabled or is not there, or one of its limits is 0. Waiting does not help: ask whoever administers plans.',
  },
  limits_unavailable: {
    status: 503,
    title: 'Requests cannot be counted now',
    meaning:
      'Redis, which counts requests for all processes, does not answer, and this installation answers nothing uncounted. Nothing was done. Retry with the same Idempotency-Key after `Retry-After` seconds.',
  },
  overloaded: {
    status: 503,
    title: 'Too many requests are waiting',
    meaning:
      'The queue is full; nothing was done. Retry with the same Idempotency-Key after `Retry-After` seconds.',
  },
  unavailable: {
    status: 503,
    title: 'The database cannot answer now',
    meaning:
      'It cannot be reached, or is so busy that a lock or a statement took too long. For a read: retry after `Retry-After` seconds. For a write: whether it was carried out may be unknown; retry with the same Idempotency-Key and the outcome is told, never done twice.',
  },
  service_unavailable: {
    status: 503,
    title: 'Another service does not answer now',
    meaning:
      'The request needs an answer of another service of the installation, which cannot be reached, is just starting or stopping, or took too long. For a read: retry after `Retry-After` seconds. For a write: retry with the same Idempotency-Key after `Retry-After` seconds; what was done already is not done again.',
  },
  internal_error: {
    status: 500,
    title: 'An error of ours',
    meaning:
      'A defect. Nothing was kept unless the answer to a retry with the same Idempotency-Key says so. Report the `request_id`.',
  },
});
