/**
 * What a service answers other services: its port, declared in its `contract.ts`. Who asks does not know whether the
 * other runs in the same process: what is asked and answered is JSON, held against its schema on both sides, and no
 * transaction is shared.
 */
import type { FastifyRequest } from 'fastify';
import type { Static, TSchema } from 'typebox';
import type { Caller } from '../access/caller.ts';
import type { AuditedChange } from '../audit/write.ts';
import { currentTraceparent } from '../trace/context.ts';

export interface Operation<Input extends TSchema = TSchema, Output extends TSchema = TSchema> {
  /** What it does, for the documentation. */
  meaning: string;
  input: Input;
  output: Output;
  /** How long whoever asks waits at most, all attempts included. */
  timeout_ms: number;
  /**
   * Whether asking twice comes to the same as asking once, so that it may be asked again where no answer came. What writes
   * is so by an id that the caller chose.
   */
  idempotent: boolean;
  /** Whether it changes something, and so is on record. */
  writes: boolean;
  /** The permission that is needed by whomever it is asked for. */
  permission: string;
}

export type Operations = Readonly<Record<string, Operation>>;

export interface Port<Own extends Operations = Operations> {
  /** The service that answers. */
  service: string;
  operations: Own;
}

/** Declares a port; exists so that it is checked where it is written. */
export function definePort<Own extends Operations>(port: Port<Own>): Port<Own> {
  return port;
}

/** For whom something is asked, and until when an answer is of use. */
export interface Call {
  caller: Caller;
  request_id: string;
  /** Where the request came from that began it. */
  address: string;
  /** Where in a trace it is asked (W3C Trace Context). */
  traceparent?: string;
  /** When nobody waits for the answer any more, as `performance.now()` counts. Absent: the operation's timeout says it. */
  until_ms?: number;
}

/** A call as whoever answers it sees it: the caller is the service that asks, on behalf of whoever began it. */
export interface Asked extends Call {
  until_ms: number;
  /** Aborted when nobody waits for the answer any more. */
  signal: AbortSignal;
  /** Says what is changed, for the audit trail. */
  audit(change: AuditedChange): void;
}

/** A call that a request makes necessary. */
export function callOf({ caller, id, ip }: FastifyRequest): Call {
  const traceparent = currentTraceparent();
  return {
    caller,
    request_id: id,
    address: ip,
    ...(traceparent === undefined ? {} : { traceparent }),
  };
}

/** Asks an operation of a port. Throws the refusal that the other service gave, or `service_unavailable`. */
export type Ask<Own extends Operations> = <Name extends keyof Own & string>(
  operation: Name,
  call: Call,
  input: Static<Own[Name]['input']>,
) => Promise<Static<Own[Name]['output']>>;

/** As a method, so that answers of all operations can be kept in one list: what they are given was checked before. */
type Answer<Input, Output> = { of(asked: Asked, input: Input): Promise<Output> }['of'];

export type Answers<Own extends Operations> = {
  readonly [Name in keyof Own]: Answer<Static<Own[Name]['input']>, Static<Own[Name]['output']>>;
};

/** A port with what answers it. */
export interface ProvidedPort {
  port: Port;
  answers: Answers<Operations>;
}

/** Says what answers each operation of a port. */
export function provide<Own extends Operations>(port: Port<Own>, answers: Answers<Own>): ProvidedPort {
  return { port, answers };
}
