/**
 * Carrying out in this process what was approved: the route runs as for any request, but for whoever proposed it, and
 * past the policies. That a request is one of these is known by the asynchronous context it was started in. Nothing that
 * a client can send leads there.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Caller } from '../access/caller.ts';

/** What a route knows of the approval under which it runs. */
export interface Approved {
  /** Public id of the proposal. */
  proposal_id: string;
  /** UUIDs of the holds that stand for it, to be released in the commit that moves the money. */
  holds: readonly string[];
}

export interface Execution {
  caller: Caller;
  approved: Approved;
}

const executing = new AsyncLocalStorage<{ execution: Execution | undefined }>();

/** Runs `ask`, whose first request is the one that is carried out. */
export function carryOut<T>(execution: Execution, ask: () => PromiseLike<T>): Promise<T> {
  // An injected request begins when it is awaited, which therefore happens within the context.
  return executing.run({ execution }, async () => await ask());
}

/** The execution that a request is, once: whatever else begins in its context is a request like any other. */
export function takeExecution(): Execution | undefined {
  const store = executing.getStore();
  const execution = store?.execution;
  if (store !== undefined) store.execution = undefined;
  return execution;
}
