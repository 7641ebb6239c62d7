/** An API client that tells an answer from none, as one does who must know whether money moved. */

// oxlint-disable-next-line typescript/no-explicit-any -- a test looks into whatever came back
type Json = any;

export interface Answer {
  status: number;
  headers: Headers;
  body: Json;
}

export interface Client {
  /** The answer; undefined where none came: the connection could not be made, was lost, or timed out. */
  ask: (
    method: string,
    path: string,
    body?: unknown,
    key?: string,
    headers?: Record<string, string>,
  ) => Promise<Answer | undefined>;
}

const TIMEOUT_MS = 60_000;

/**
 * @param server where the server is now, which a restart may change
 * @param timeout_ms how long an answer is waited for
 */
export function openClient(server: () => { url: string; key: string }, timeout_ms = TIMEOUT_MS): Client {
  return {
    async ask(method, path, body, key, headers = {}) {
      const { url, key: bearer } = server();
      try {
        const response = await fetch(`${url}${path}`, {
          method,
          headers: {
            authorization: `Bearer ${bearer}`,
            ...(body === undefined ? {} : { 'content-type': 'application/json' }),
            ...(key === undefined ? {} : { 'idempotency-key': key }),
            ...headers,
          },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
          signal: AbortSignal.timeout(timeout_ms),
        });
        const text = await response.text();
        const answer: Answer = {
          status: response.status,
          headers: response.headers,
          body: text === '' ? undefined : JSON.parse(text),
        };
        return answer;
      } catch (error) {
        // `fetch failed`, `terminated` or a timeout. What else is thrown is a bug of ours.
        if (error instanceof TypeError || (error instanceof DOMException && error.name === 'TimeoutError')) {
          return undefined;
        }
        throw error;
      }
    },
  };
}
