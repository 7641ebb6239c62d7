/**
 * Sending what is due. A process takes messages for a minute (`for update skip locked` and a lease), sends them, and
 * writes what came of each. One that is killed in between leaves messages that another takes when the minute is over:
 * they may then arrive twice, with the same id, and none is lost.
 */
import type { FastifyBaseLogger } from 'fastify';
import { type Static, Type } from 'typebox';
import { openWaker } from '../../platform/bus/wake.ts';
import type { Database, Scope, Transaction } from '../../platform/db.ts';
import { formatId, newUuid } from '../../platform/ids.ts';
import { refusalOf } from './compose.ts';
import { gatherDigests } from './digest.ts';
import { LOCAL_OUTBOX } from './messages.ts';
import type { Dispatch, Outcome, Provider } from './provider.ts';
import { findAddress, findRecipient } from './recipients.ts';
import { addStep, recipientGone, type Step } from './steps.ts';
import { ChannelName, DIGEST, topicOf } from './topics.ts';

/** Longer than a provider may take, so that nobody sends what another still does. */
const LEASE_S = 60;
const SEND_TIMEOUT_MS = 40_000;
/** Messages that a process sends for a tenant at once. */
const MESSAGES_AT_ONCE = 10;
/** Tenants that a process sends for at once: one whose provider is slow does not hold up the others. */
const TENANTS_AT_ONCE = 8;
const LOOKED_AT = 500;
const LOOK_EVERY_MS = 500;
/** With pauses of 5 s that grow threefold up to an hour: two and a half hours in all. */
const MAX_ATTEMPTS = 9;
const FIRST_PAUSE_S = 5;
const LONGEST_PAUSE_S = 3_600;

const ScopeRow = Type.Object({
  tenant_id: Type.String(),
  environment: Type.Union([Type.Literal('sandbox'), Type.Literal('live')]),
});

const Nullable = Type.Union([Type.String(), Type.Null()]);
const Claimed = Type.Object({
  id: Type.String(),
  recipient_id: Type.String(),
  topic: Type.String(),
  channel: ChannelName,
  language: Type.String(),
  subject: Nullable,
  text: Type.String(),
  html: Nullable,
  data: Type.Record(Type.String(), Type.Unknown()),
  created_at: Type.String(),
  attempts: Type.Integer(),
  abandoned: Type.Boolean(),
  webhook_secret: Nullable,
});
type Claimed = Static<typeof Claimed>;

/** Takes messages that are due, for the length of a lease. */
function claim(tx: Transaction, scope: Scope, by: string): Promise<Claimed[]> {
  return tx.rows(
    Claimed,
    `with due as (
       select m.id, m.state = 'sending' as abandoned from notifications.messages m
       where m.tenant_id = $1 and m.environment = $2 and m.digest_id is null and not m.digest
         and ((m.state = 'waiting' and m.due_at <= (select platform.now_of($1, $2)))
           or (m.state = 'sending' and m.lease_until <= statement_timestamp()))
       order by m.due_at limit $4 for update skip locked
     )
     update notifications.messages m
     set state = 'sending', claim = $3, lease_until = clock_timestamp() + make_interval(secs => $5),
       attempts = m.attempts + 1
     from due where m.tenant_id = $1 and m.environment = $2 and m.id = due.id
     returning m.id, m.recipient_id, m.topic, m.channel, m.language, m.subject, m.text, m.html, m.data, m.created_at,
       m.attempts, due.abandoned,
       (select s.secret from notifications.webhook_secrets s
        where s.tenant_id = $1 and s.environment = $2 and s.recipient_id = m.recipient_id) as webhook_secret`,
    [scope.tenant_id, scope.environment, by, MESSAGES_AT_ONCE, LEASE_S],
  );
}

/** What came of an attempt, as it is written. */
interface Settled extends Step {
  pause_s?: number;
  delivered_by?: string;
  provider_id?: string;
  address?: string;
}

function settledBy(outcome: Outcome, attempts: number, address: string): Settled {
  const { detail } = outcome;
  if (outcome.kind === 'sent') {
    const { by, provider_id } = outcome;
    const sent = { state: 'sent', reason: 'sent', detail, delivered_by: by, address } as const;
    return provider_id === undefined ? sent : { ...sent, provider_id };
  }
  const { kind, reason } = outcome;
  if (kind === 'refused') return { state: 'failed', reason, detail, address };
  if (attempts >= MAX_ATTEMPTS) {
    const last = `${detail} That was attempt ${attempts}, the last.`;
    return { state: 'failed', reason: 'given_up', detail: last, address };
  }
  const pause_s = Math.min(FIRST_PAUSE_S * 3 ** (attempts - 1), LONGEST_PAUSE_S);
  const again = `${detail} That was attempt ${attempts}; the next is in ${pause_s} s.`;
  return { state: 'waiting', reason, detail: again, pause_s };
}

/** Writes what came of an attempt; false where the lease was over and another has the message. */
function settle(
  db: Database,
  scope: Scope,
  message: Claimed,
  by: string,
  settled: Settled,
): Promise<boolean> {
  const { state, pause_s } = settled;
  return db.write(scope, async (tx) => {
    const written = await tx.run(
      `update notifications.messages
       set state = $5, claim = null, lease_until = null,
         due_at = case when $6::int is null then due_at else platform.now_of($1, $2) + make_interval(secs => $6) end,
         delivered_by = $7, provider_id = $8,
         -- The recipient may have been removed meanwhile.
         address = case when forgotten_at is null then $9 end,
         sent_at = case when $5 = 'sent' then platform.now_of($1, $2) end,
         settled_at = case when $5 <> 'waiting' then platform.now_of($1, $2) end
       where tenant_id = $1 and environment = $2 and id = $3 and claim = $4`,
      [
        scope.tenant_id,
        scope.environment,
        message.id,
        by,
        state,
        pause_s ?? null,
        settled.delivered_by ?? null,
        settled.provider_id ?? null,
        settled.address ?? null,
      ],
    );
    if (written === 0) return false;
    await addStep(tx, scope, message.id, settled);
    if (
      topicOf(message.topic).secret === true &&
      state !== 'waiting' &&
      settled.delivered_by !== LOCAL_OUTBOX
    ) {
      await tx.run(
        `update notifications.messages
         set data = null, subject = null, text = null, html = null, forgotten_at = platform.now_of($1, $2)
         where tenant_id = $1 and environment = $2 and id = $3`,
        [scope.tenant_id, scope.environment, message.id],
      );
    }
    if (message.topic === DIGEST && state !== 'waiting') await settleGathered(tx, scope, message.id, settled);
    return true;
  });
}

/** What was told in a digest has come as far as the digest. */
async function settleGathered(tx: Transaction, scope: Scope, digest: string, { state }: Step): Promise<void> {
  const rows = await tx.rows(
    Type.Object({ id: Type.String() }),
    `update notifications.messages set state = $4, settled_at = platform.now_of($1, $2),
       sent_at = case when $4 = 'sent' then platform.now_of($1, $2) end
     where tenant_id = $1 and environment = $2 and digest_id = $3 and state = 'waiting' returning id`,
    [scope.tenant_id, scope.environment, digest, state],
  );
  const detail = `The digest ${formatId('msg', digest)} that it is told in is ${state}.`;
  for (const { id } of rows) await addStep(tx, scope, id, { state, reason: 'digest_settled', detail });
}

interface DeliveryOptions {
  db: Database;
  log: FastifyBaseLogger;
  providers: Record<ChannelName, Provider>;
  /** Told of every attempt: how it ended. */
  onAttempt: (channel: ChannelName, outcome: 'sent' | 'suppressed' | 'failed' | 'retried') => void;
}

export interface Delivery {
  /** Something may be due. */
  wake: () => void;
  /** Resolves when what is under way is done. */
  stop: () => Promise<void>;
}

/** Sends what is due, of every tenant, from now on. */
export function startDelivery({ db, log, providers, onAttempt }: DeliveryOptions): Delivery {
  const waker = openWaker();
  const stopping = new AbortController();
  const { signal } = stopping;
  const underWay = new Map<string, Promise<void>>();

  /** Hands one message to its provider. A bug there is an attempt that failed. */
  async function dispatch(scope: Scope, message: Claimed): Promise<Settled> {
    const { channel, attempts, topic } = message;
    if (attempts > MAX_ATTEMPTS) {
      const detail = `After ${MAX_ATTEMPTS} attempts, none of which came to an end, it is given up.`;
      return { state: 'failed', reason: 'given_up', detail };
    }
    const found = await db.read(scope, (tx) => findRecipient(tx, scope, message.recipient_id));
    if (found === undefined) return recipientGone;
    const { recipient } = found;
    // What was so when the message was made may be otherwise by now.
    const refusal = refusalOf(recipient, topic, channel);
    const address = findAddress(recipient, channel);
    if (refusal !== undefined) return refusal;
    if (address === undefined) throw new Error('an address that is there is missing');
    const { id, subject, text, html, ...rest } = message;
    const sent: Dispatch = {
      ...rest,
      tenant_id: scope.tenant_id,
      environment: scope.environment,
      id: formatId('msg', id),
      recipient_name: recipient.name,
      address,
      content: { subject, text, html },
    };
    const deadline = AbortSignal.timeout(SEND_TIMEOUT_MS);
    const late = new Promise<Outcome>((resolve) => {
      const detail = `The provider took longer than ${SEND_TIMEOUT_MS / 1_000} s.`;
      deadline.addEventListener('abort', () => resolve({ kind: 'again', reason: 'provider_failed', detail }));
    });
    const outcome = await Promise.race([providers[channel](sent, deadline), late]).catch(
      (error: unknown): Outcome => {
        log.error({ err: error, ...scope, message_id: sent.id }, 'a message could not be handed over');
        return {
          kind: 'again',
          reason: 'internal_error',
          detail: 'It could not be handed over; the log says why.',
        };
      },
    );
    return settledBy(outcome, attempts, address);
  }

  async function deliver(scope: Scope, message: Claimed, by: string): Promise<void> {
    const settled = await dispatch(scope, message);
    const kept = await settle(db, scope, message, by, settled);
    const { channel } = message;
    if (!kept) {
      log.warn({ ...scope, message_id: formatId('msg', message.id) }, 'a message took longer than its lease');
      return;
    }
    const { state } = settled;
    onAttempt(channel, state === 'sent' || state === 'suppressed' || state === 'failed' ? state : 'retried');
  }

  /** Gathers and sends for one tenant until nothing more is due, or the process stops. */
  async function serve(scope: Scope): Promise<void> {
    while (!signal.aborted) {
      const gathered = await gatherDigests(db, scope);
      const by = newUuid();
      const messages = await db.write(scope, async (tx) => {
        const claimed = await claim(tx, scope, by);
        for (const { id } of claimed.filter(({ abandoned }) => abandoned)) {
          const detail = 'The process that was sending it ended. It is sent again, and may arrive twice.';
          await addStep(tx, scope, id, { state: 'sending', reason: 'process_lost', detail });
        }
        return claimed;
      });
      if (messages.length === 0 && gathered === 0) return;
      const done = await Promise.allSettled(messages.map((message) => deliver(scope, message, by)));
      const failed = done.find((outcome) => outcome.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
    }
  }

  async function look(): Promise<void> {
    const due = await db.rows(ScopeRow, 'select * from notifications.scopes_with_due($1)', [LOOKED_AT]);
    for (const scope of due) {
      const name = `${scope.tenant_id} ${scope.environment}`;
      if (underWay.has(name) || underWay.size >= TENANTS_AT_ONCE) continue;
      const serving = serve(scope)
        .catch((error: unknown) => {
          log.error({ err: error, ...scope }, 'messages could not be sent for now');
        })
        .finally(() => {
          underWay.delete(name);
          // Others may have waited for the place.
          if (due.length > TENANTS_AT_ONCE) waker.wake();
        });
      underWay.set(name, serving);
    }
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      await look().catch((error: unknown) => {
        if (!signal.aborted) log.warn({ err: error }, 'messages that are due could not be looked for');
      });
      if (!signal.aborted) await waker.wait(LOOK_EVERY_MS);
    }
  }

  const running = run();
  return {
    wake: waker.wake,
    stop: async () => {
      stopping.abort();
      waker.wake();
      await running;
      await Promise.all(underWay.values());
    },
  };
}
