/**
 * What people change about how they sign in, in the audit trail of their tenant. Those are no requests of the API: the hooks
 * that record those pass them over.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AuditIntent, AuditTrail } from '../../../platform/audit/write.ts';
import { problemCodeOf } from '../../../platform/http.ts';
import { formatId } from '../../../platform/ids.ts';

/** Who changes something. Whoever becomes a person by it is not known yet, and what they accept is the subject. */
type Changing = { tenant_id: string; name: string } & ({ person_id: string } | { subject: string });

export interface OwnChanges {
  /** Writes down that somebody is about to change something. Throws where that cannot be kept: nothing may be begun then. */
  note: (request: FastifyRequest, who: Changing) => Promise<void>;
  /** Hook `onSend`: records what was noted, and what came of it, before the answer leaves. */
  record: (request: FastifyRequest, reply: FastifyReply) => Promise<void>;
}

/**
 * Changes are noted and recorded in both environments: a person may go to either. What a crash leaves between the two
 * becomes a record of unknown outcome.
 */
export function openOwnChanges(audit: Pick<AuditTrail, 'record' | 'intend'>): OwnChanges {
  const noted = new WeakMap<FastifyRequest, { intent: AuditIntent; id: string }[]>();
  return {
    note: async (request, who) => {
      const { method, url, ip, routeOptions } = request;
      const { tenant_id, name } = who;
      const id = 'person_id' in who ? formatId('usr', who.person_id) : 'unknown';
      const intents: { intent: AuditIntent; id: string }[] = [];
      noted.set(request, intents);
      for (const environment of ['sandbox', 'live'] as const) {
        const intent: AuditIntent = {
          tenant_id,
          environment,
          principal: { kind: 'person', id, name },
          address: ip,
          method,
          ...(routeOptions.url === undefined ? {} : { route: routeOptions.url }),
          path: url.split('?')[0] ?? '',
          request_id: request.id,
          subject: 'subject' in who ? who.subject : id,
        };
        intents.push({ intent, id: await audit.intend(intent) });
      }
    },
    record: async (request, reply) => {
      const intents = noted.get(request) ?? [];
      noted.delete(request);
      const status = reply.statusCode;
      const code = problemCodeOf(request);
      for (const { intent, id } of intents) {
        await audit.record({
          ...intent,
          intent: id,
          outcome: status < 400 ? 'done' : status < 500 ? 'refused' : 'failed',
          status,
          ...(code === undefined ? {} : { code }),
        });
      }
    },
  };
}
