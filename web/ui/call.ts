/** A call of the API that a screen makes, to be shown as code. */
export interface Call {
  method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  /** With `{names}` where ids belong. */
  path: string;
  ids?: Readonly<Record<string, string>>;
  query?: Readonly<Record<string, string | undefined>>;
  body?: unknown;
  /** Whether the call carries an Idempotency-Key. */
  idempotent?: boolean;
}
