/**
 * Sends what is due, so that an endpoint which does not answer delays no other. Two lanes have slots for requests under
 * way. An endpoint begins in the quick lane with one request at a time, and may have several once it answers quickly. A
 * request that takes longer moves to the slow lane while it is under way and frees its slot; its endpoint stays there until
 * it answers quickly again, with one request at a time as long as it does not answer at all.
 *
 * Every process may send: a delivery is claimed for a lease that is longer than a request may take. Of a process that is
 * killed, the leases run out and others send again.
 */
import type { FastifyBaseLogger } from 'fastify';
import { LRUCache } from 'lru-cache';
import { openWaker } from '../../platform/bus/wake.ts';
import type { Database } from '../../platform/db.ts';
import { formatId, newUuid } from '../../platform/ids.ts';
import { finish, type Outcome, release, type Terms } from './finish.ts';
import { type Attempted, attempt, Claimed, type Sending } from './send.ts';

export interface Lanes {
  quick_slots: number;
  slow_slots: number;
  /** Requests at a time of one endpoint that answers quickly, in each process. */
  slots_of_one: number;
  /** How long a request stays in the quick lane. */
  quick_ms: number;
  /** How much longer than a request a claim lasts, to keep what came of it. */
  grace_ms: number;
}

export interface Sender {
  /** Something may be due. */
  wake: () => void;
  /** Claims nothing more, and waits for what is under way. */
  stop: () => Promise<void>;
}

/** How often it is looked for what is due: what is enqueued in other processes, or to be tried again. */
const LOOK_EVERY_MS = 200;
const AFTER_FAILURE_MS = 1_000;
/** Endpoints of which is known how they answer; one that is forgotten begins anew. */
const REMEMBERED = 2_000;
/** Part of the slow lane that is filled from what is due; the rest is for those that move. */
const CLAIMED_OF_SLOW = 0.75;
/** How long requests that are under way may take to end when the process stops. Others then send them again. */
const STOP_MS = 3_000;

type Lane = 'quick' | 'slow';
/** How an endpoint answers: quickly, slowly, or not at all so far as is known. */
type Manners = Lane | 'silent';

function idsOf({ id, endpoint_id }: Claimed): { delivery_id: string; endpoint_id: string } {
  return { delivery_id: formatId('dlv', id), endpoint_id: formatId('whk', endpoint_id) };
}

export function startSender(options: {
  db: Database;
  log: FastifyBaseLogger;
  sending: Sending;
  terms: Terms;
  lanes: Lanes;
  /** Told what became of each delivery by each attempt. */
  onOutcome: (outcome: Outcome, done: Attempted) => void;
}): Sender {
  const { db, log, sending, terms, lanes, onOutcome } = options;
  const lease_ms = sending.timeout_ms + lanes.grace_ms;
  const waker = openWaker();
  const stopping = new AbortController();
  const givingUp = new AbortController();
  const answers = new LRUCache<string, Manners>({ max: REMEMBERED });
  /** Requests under way of each endpoint. */
  const of = new Map<string, number>();
  const used = { quick: 0, slow: 0 };
  const underWay = new Set<Promise<void>>();

  function slotsOf(known: Manners | undefined): number {
    if (known === 'quick') return lanes.slots_of_one;
    return known === 'slow' ? Math.ceil(lanes.slots_of_one / 2) : 1;
  }

  /** How many more requests each endpoint may have in a lane, of those of which something is known. */
  function freeIn(lane: Lane): [ids: string[], free: number[]] {
    const ids = [...new Set([...of.keys(), ...answers.keys()])];
    const free = ids.map((id) => {
      const known = answers.peek(id);
      const own: Lane = known === 'slow' || known === 'silent' ? 'slow' : 'quick';
      return own === lane ? Math.max(slotsOf(known) - (of.get(id) ?? 0), 0) : 0;
    });
    return [ids, free];
  }

  async function claim(lane: Lane, limit: number): Promise<{ claim: string; deliveries: Claimed[] }> {
    const made = newUuid();
    const [ids, free] = freeIn(lane);
    const others = lane === 'quick' ? 1 : 0;
    if (limit <= 0 || (others === 0 && free.every((count) => count === 0))) {
      return { claim: made, deliveries: [] };
    }
    const deliveries = await db.rows(
      Claimed,
      'select * from webhooks.claim_deliveries($1::uuid[], $2::integer[], $3, $4, $5, $6)',
      [ids, free, others, limit, lease_ms, made],
    );
    return { claim: made, deliveries };
  }

  /** Sends in a lane, from which the request moves when the endpoint does not answer quickly, and keeps what came of it. */
  async function deliverIn(first: Lane, delivery: Claimed, made: string): Promise<void> {
    const { endpoint_id } = delivery;
    let lane = first;
    used[lane] += 1;
    of.set(endpoint_id, (of.get(endpoint_id) ?? 0) + 1);
    const move = () => {
      answers.set(endpoint_id, 'silent');
      if (lane === 'slow' || used.slow >= lanes.slow_slots) return;
      used.quick -= 1;
      used.slow += 1;
      lane = 'slow';
      waker.wake();
    };
    // Again and again, where the slow lane has no room for now.
    const timer = setInterval(move, lanes.quick_ms);
    try {
      const done = await attempt(sending, delivery, givingUp.signal).finally(() => clearInterval(timer));
      if (done.timed_out) answers.set(endpoint_id, 'silent');
      else if (done.took_ms >= lanes.quick_ms) answers.set(endpoint_id, 'slow');
      else if (done.failure === undefined) answers.set(endpoint_id, 'quick');
      // One that fails quickly is in nobody's way, and is asked one thing at a time like one that is not known.
      else answers.delete(endpoint_id);
      const outcome = await finish(db, delivery, made, done, terms);
      onOutcome(outcome, done);
      if (outcome === 'lost') log.warn(idsOf(delivery), 'a delivery was sent whose claim had run out');
    } finally {
      used[lane] -= 1;
      const left = (of.get(endpoint_id) ?? 1) - 1;
      if (left === 0) of.delete(endpoint_id);
      else of.set(endpoint_id, left);
    }
  }

  async function deliver(lane: Lane, delivery: Claimed, made: string, claimed: number): Promise<void> {
    try {
      // A process that stood still meanwhile may have lost its claim: it must not send what another sends.
      if (performance.now() - claimed > lanes.grace_ms) return;
      await deliverIn(lane, delivery, made);
    } catch (error) {
      // Either way it is sent again when the claim has run out, if not before.
      if (givingUp.signal.aborted) await release(db, delivery, made).catch(() => {});
      else log.warn({ err: error, ...idsOf(delivery) }, 'what came of a delivery could not be kept');
    }
  }

  /** Claims what there is room for and sends it. */
  async function pass(): Promise<void> {
    for (const lane of ['quick', 'slow'] as const) {
      const slots = lane === 'quick' ? lanes.quick_slots : Math.floor(lanes.slow_slots * CLAIMED_OF_SLOW);
      const before = performance.now();
      const { claim: made, deliveries } = await claim(lane, slots - used[lane]);
      for (const delivery of deliveries) {
        const sent = deliver(lane, delivery, made, before).finally(() => {
          underWay.delete(sent);
          waker.wake();
        });
        underWay.add(sent);
      }
    }
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        await pass();
        if (!stopping.signal.aborted) await waker.wait(LOOK_EVERY_MS);
      } catch (error) {
        if (stopping.signal.aborted) return;
        log.warn({ err: error }, 'what is due of webhooks could not be claimed for now');
        await waker.wait(AFTER_FAILURE_MS);
      }
    }
  }

  const running = run();
  return {
    wake: waker.wake,
    stop: async () => {
      stopping.abort();
      waker.wake();
      await running;
      const timer = setTimeout(() => givingUp.abort(), STOP_MS);
      await Promise.all(underWay);
      clearTimeout(timer);
    },
  };
}
