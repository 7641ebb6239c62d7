/** The public API, by the types of its OpenAPI document. */
import type { paths } from './openapi.d.ts';

/** What the server refuses with (RFC 9457). */
export interface ProblemDetails {
  status: number;
  title: string;
  detail: string;
  code: string;
  type: string;
  request_id: string;
  errors?: { pointer: string; detail: string }[];
}

/** A refusal of the API, as it is thrown here. */
export class ApiProblem extends Error {
  readonly problem: ProblemDetails;
  /** How long to wait before asking again, where the server says so. */
  readonly retry_after_s: number | undefined;
  constructor(problem: ProblemDetails, retry_after_s?: number) {
    super(problem.detail);
    this.problem = problem;
    this.retry_after_s = retry_after_s;
  }
}

/** What a GET of an address answers. */
export type BodyOf<Path extends keyof paths> = paths[Path] extends {
  get: { responses: { 200: { content: { 'application/json': infer Body } } } };
}
  ? Body
  : never;

/** What a GET of an address may be asked with. */
type QueryOf<Path extends keyof paths> = paths[Path] extends { get: { parameters: { query?: infer Query } } }
  ? Query
  : undefined;

/** Addresses that answer a GET. */
export type GetPath = {
  [Path in keyof paths]: BodyOf<Path> extends never ? never : Path;
}[keyof paths];

type Parameter = string | number | boolean;

interface Sent {
  method: string;
  /** With `{names}` where ids belong. */
  path: string;
  ids?: Readonly<Record<string, string>>;
  query?: Readonly<Record<string, Parameter | undefined>>;
  headers?: Readonly<Record<string, string>>;
  body?: unknown;
  /** Whoever is not signed in is told so, and not led to sign in. */
  stays?: boolean;
}

/** The address of a path with its ids and what is asked for. */
export function addressOf({ path, ids = {}, query = {} }: Omit<Sent, 'method'>): string {
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const id = ids[name];
    if (id === undefined || id === '') throw new Error(`${path} needs ${name}`);
    return encodeURIComponent(id);
  });
  const asked = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') asked.set(name, String(value));
  }
  return asked.size === 0 ? filled : `${filled}?${asked}`;
}

/**
 * Sends a request and returns what was answered, JSON as text or nothing, the version of it, and whether it is what was
 * answered before under the same key.
 *
 * @throws ApiProblem where the server refuses
 */
export async function send(
  sent: Sent,
): Promise<{ status: number; text: string; etag: string; replayed: boolean }> {
  const response = await fetch(addressOf(sent), {
    method: sent.method,
    headers: {
      // A browser prefers pages; this asks for what programs get.
      accept: 'application/json',
      ...(sent.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...sent.headers,
    },
    ...(sent.body === undefined ? {} : { body: JSON.stringify(sent.body) }),
  });
  const text = await response.text();
  if (response.ok) {
    return {
      status: response.status,
      text,
      etag: response.headers.get('etag') ?? '',
      replayed: response.headers.get('idempotent-replayed') === 'true',
    };
  }
  throw refusalIn(response, text, sent.stays === true);
}

/** What a request was refused with. Whoever is not signed in any more is led to sign in. */
export async function problemIn(response: Response): Promise<ApiProblem> {
  return refusalIn(response, await response.text(), false);
}

function refusalIn(response: Response, text: string, stays: boolean): ApiProblem {
  if (response.status === 401 && !stays) {
    location.assign(`/identity/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
  }
  const wait = Number(response.headers.get('retry-after') ?? Number.NaN);
  return new ApiProblem(problemOf(response, text), Number.isFinite(wait) ? wait : undefined);
}

/** The refusal in an answer; where a proxy answered in our stead, one that says so. */
function problemOf(response: Response, text: string): ProblemDetails {
  try {
    const body: ProblemDetails = JSON.parse(text);
    if (typeof body.code === 'string') return body;
  } catch {
    // No JSON: not ours.
  }
  return {
    status: response.status,
    title: response.statusText,
    detail: `The server answered ${response.status}.`,
    code: 'unavailable',
    type: 'about:blank',
    request_id: response.headers.get('request-id') ?? '',
  };
}

/** @throws ApiProblem where the server refuses */
export async function get<Path extends GetPath>(
  path: Path,
  asked: Pick<Sent, 'ids' | 'stays'> & { query?: QueryOf<Path> & NonNullable<Sent['query']> } = {},
): Promise<BodyOf<Path>> {
  const { text } = await send({ method: 'GET', path, ...asked });
  const body: BodyOf<Path> = JSON.parse(text);
  return body;
}

/**
 * As `get`, with the version that was read, for whoever edits it.
 *
 * @throws ApiProblem where the server refuses
 */
export async function getTagged<Path extends GetPath>(
  path: Path,
  asked: Pick<Sent, 'ids'> = {},
): Promise<{ body: BodyOf<Path>; etag: string }> {
  const { text, etag } = await send({ method: 'GET', path, ...asked });
  const body: BodyOf<Path> = JSON.parse(text);
  return { body, etag };
}
