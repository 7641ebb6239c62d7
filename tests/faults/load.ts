/** Requests that a fault test loads the server with, made from a seed and from what earlier ones came to. */
import { isDeepStrictEqual } from 'node:util';
import type { Answer } from '../client.ts';

/** A request that creates or moves, under its idempotency key. */
export interface Intent {
  key: string;
  path: string;
  body: Record<string, unknown>;
}

/** What an intent came to, once and for all. */
export interface Outcome {
  intent: Intent;
  status: number;
  /** Without the id of the request. */
  body: unknown;
  /** Whether an attempt that got no answer had already been carried out. */
  replayed: boolean;
}

export function outcomeOf(intent: Intent, { status, body, headers }: Answer): Outcome {
  const { request_id: _request_id, ...rest } = Object(body);
  return { intent, status, body: rest, replayed: headers.get('idempotent-replayed') === 'true' };
}

/** What differs between an outcome and the same asked again; undefined if nothing does. */
export function differenceOf(first: Outcome, again: Outcome): string | undefined {
  if (first.status !== again.status)
    return `was ${first.status} and is ${again.status} ${JSON.stringify(again.body)}`;
  if (!isDeepStrictEqual(first.body, again.body)) {
    return `was ${JSON.stringify(first.body)} and is ${JSON.stringify(again.body)}`;
  }
  return again.replayed ? undefined : 'was carried out anew';
}

/** Numbers from 0 to below 1 that follow from a seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

interface Entry {
  account_id: string;
  side: 'debit' | 'credit';
  amount: { amount: string; currency: string };
}

interface Posted {
  id: string;
  position: number;
  entries: Entry[];
}

/** Everything an outcome says was recorded: transfers, and ids and positions of hold steps. */
export function recordsOf({ status, body }: Outcome): {
  transfers: Posted[];
  steps: { id: string; position: number }[];
} {
  const none = { transfers: [], steps: [] };
  if (status >= 300) return none;
  // oxlint-disable-next-line typescript/no-explicit-any -- the shapes are those of the API's answers
  const answer: any = body;
  if (answer.outcomes !== undefined) {
    const items: { transfer?: Posted }[] = answer.outcomes;
    return { transfers: items.flatMap(({ transfer }) => transfer ?? []), steps: [] };
  }
  if (answer.transfer !== undefined)
    return { transfers: [answer.transfer], steps: [answer.hold.steps.at(-1)] };
  if (answer.steps !== undefined) return { transfers: [], steps: [answer.steps.at(-1)] };
  return { transfers: [answer], steps: [] };
}

export interface Load {
  next: () => Intent;
  /** Learns which holds and transfers there are now. */
  learn: (outcome: Outcome) => void;
}

const brl = (minor: number) => ({ amount: (minor / 100).toFixed(2), currency: 'BRL' });

/**
 * @param customers accounts that may not be overdrawn, all in BRL
 * @param fees an account that takes fees
 */
export function openLoad(
  random: () => number,
  customers: readonly string[],
  fees: string,
  prefix: string,
): Load {
  const holds: string[] = [];
  const transfers: string[] = [];
  let count = 0;
  const draw = (below: number) => Math.floor(random() * below);
  const any = (list: readonly string[]) => list[draw(list.length)] ?? '';
  const pair = () => {
    const debit_account_id = any(customers);
    const others = customers.filter((id) => id !== debit_account_id);
    return { debit_account_id, credit_account_id: any(others) };
  };
  const simple = () => ({ ...pair(), amount: brl(1 + draw(30_000)) });
  const withFee = () => {
    const { debit_account_id, credit_account_id } = pair();
    const [net, fee] = [100 + draw(20_000), 1 + draw(99)];
    return {
      legs: [
        { account_id: debit_account_id, side: 'debit', amount: brl(net + fee) },
        { account_id: credit_account_id, side: 'credit', amount: brl(net) },
        { account_id: fees, side: 'credit', amount: brl(fee) },
      ],
      metadata: { order: String(count) },
    };
  };
  const tooMuch = () => ({ ...pair(), amount: brl(900_000_000) });

  function request(): Omit<Intent, 'key'> {
    const dice = draw(100);
    if (dice < 30) return { path: '/api/v2/transfers', body: simple() };
    if (dice < 40) return { path: '/api/v2/transfers', body: withFee() };
    if (dice < 45) return { path: '/api/v2/transfers', body: tooMuch() };
    if (dice < 60) {
      const bad = draw(4);
      const items = Array.from({ length: 2 + draw(12) }, (_, index) => ({
        ...(bad === 0 && index === 1 ? tooMuch() : draw(3) === 0 ? withFee() : simple()),
        ...(index < 3 && bad < 2 ? { link: 'first three' } : {}),
      }));
      const atomic = draw(3) === 0;
      return { path: '/api/v2/transfers/batch', body: { transfers: items, ...(atomic ? { atomic } : {}) } };
    }
    if (dice < 72 || holds.length === 0) {
      const expires_at = new Date(Date.now() + 1_000 + draw(5_000)).toISOString();
      return { path: '/api/v2/holds', body: { ...simple(), ...(draw(5) === 0 ? { expires_at } : {}) } };
    }
    if (dice < 84) {
      const part = draw(2) === 0 ? { amount: brl(1 + draw(5_000)) } : {};
      const final = draw(4) === 0 ? { final: true } : {};
      return { path: `/api/v2/holds/${any(holds)}/captures`, body: { ...part, ...final } };
    }
    if (dice < 90) return { path: `/api/v2/holds/${any(holds)}/releases`, body: {} };
    if (transfers.length === 0) return { path: '/api/v2/transfers', body: simple() };
    const part = draw(2) === 0 ? { amount: brl(1 + draw(5_000)) } : {};
    return { path: `/api/v2/transfers/${any(transfers)}/reversals`, body: part };
  }

  return {
    next() {
      count += 1;
      return { key: `${prefix}-${count}`, ...request() };
    },
    learn(outcome) {
      if (outcome.status >= 300) return;
      const { path } = outcome.intent;
      // oxlint-disable-next-line typescript/no-explicit-any -- the shapes are those of the API's answers
      const answer: any = outcome.body;
      if (path === '/api/v2/holds') holds.push(answer.id);
      // Part of a transfer can be reversed by its amount alone only if it has two legs.
      if (path === '/api/v2/transfers' && answer.entries.length === 2) transfers.push(answer.id);
      // The newest are the likeliest to have something left.
      if (holds.length > 200) holds.shift();
      if (transfers.length > 200) transfers.shift();
    },
  };
}
