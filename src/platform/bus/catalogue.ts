/** The types of events there are: what each tells of, what its data looks like, and an example. */
import type { TSchema } from 'typebox';
import { Type } from 'typebox';
import { Personal, type Redactor, redactorOf, type Viewer } from '../access/redaction.ts';
import { Id } from '../ids.ts';
import { Money } from '../money.ts';
import { type CloudEvent, cloudEventOf, type Event } from './event.ts';

export interface EventType {
  /** Raised when a change of the data breaks who reads it. */
  version: number;
  summary: string;
  /** What kind of thing it is about, as `transfer`; its `subject` is the id or name of one. */
  aggregate: string;
  data: TSchema;
  example: unknown;
}

/** Types by name: the service, the kind of thing and what happened to it, as `ledger.transfer.posted`. */
export type EventTypes = Readonly<Record<string, EventType>>;

const Limit = {
  limit: Type.String({ description: 'Name of the limit' }),
  per: Type.String({ description: 'Whose requests it counts: `caller`, `application`, `plan` or `tenant`' }),
  plan: Type.Optional(Type.String()),
  threshold_percent: Type.Integer(),
  requests: Type.Integer({ minimum: 0 }),
  allowed: Type.Integer({ minimum: 0 }),
  starts_at: Type.String({ format: 'date-time' }),
  ends_at: Type.String({ format: 'date-time' }),
};
const limitExample = {
  limit: 'per_minute',
  per: 'caller',
  plan: 'standard',
  threshold_percent: 80,
  requests: 480,
  allowed: 600,
  starts_at: '2026-01-31T12:00:00Z',
  ends_at: '2026-01-31T12:01:00Z',
};

const Who = Type.Object({ kind: Type.String(), id: Type.String() });
const Proposal = Type.Object({
  proposal_id: Id('prp'),
  action: Type.String({ description: 'The permission that the proposed request needs' }),
  policy: Type.String(),
  above: Type.Optional(
    Type.Union([Type.Array(Money), Type.Null()], {
      description: 'Thresholds by which it waits; null: it waits whatever the amount',
    }),
  ),
  expires_at: Type.Optional(Type.String({ format: 'date-time' })),
  status: Type.Optional(Type.Integer({ description: 'HTTP status that the request was answered with' })),
  proposed_by: Who,
  on_behalf_of: Type.Optional(Who),
  decided_by: Type.Optional(Who),
});

function proposalEvent(summary: string, more: object = {}): EventType {
  return {
    version: 1,
    summary,
    aggregate: 'proposal',
    data: Proposal,
    example: {
      proposal_id: 'prp_01h455vb4pex5vsknk084sn02q',
      action: 'transfers:post',
      policy: 'transfers:post',
      proposed_by: { kind: 'person', id: 'usr_01h455vb4pex5vsknk084sn02q' },
      ...more,
    },
  };
}
const decided = { decided_by: { kind: 'person', id: 'usr_01h455vb4pex5vsknk084sn02r' } };

/** What the platform itself tells, whichever services run. */
export const ownEvents = {
  'platform.limit.near': {
    version: 1,
    summary: 'Four fifths of what a limit allows in its window were asked',
    aggregate: 'limit',
    data: Type.Object(Limit),
    example: limitExample,
  },
  'platform.limit.reached': {
    version: 1,
    summary: 'All that a limit allows in its window was asked',
    aggregate: 'limit',
    data: Type.Object(Limit),
    example: { ...limitExample, threshold_percent: 100, requests: 600 },
  },
  'platform.proposal.created': proposalEvent('A request waits for a second person', {
    above: [{ amount: '10000.00', currency: 'BRL' }],
    expires_at: '2026-02-01T12:00:00Z',
  }),
  'platform.proposal.approved': proposalEvent('A second person approved a request', decided),
  'platform.proposal.rejected': proposalEvent('A second person rejected a request', decided),
  'platform.proposal.cancelled': proposalEvent('Whoever proposed a request took it back', decided),
  'platform.proposal.expired': proposalEvent('Nobody decided on a request in time'),
  'platform.proposal.carried_out': proposalEvent('An approved request was done', { ...decided, status: 201 }),
  'platform.proposal.failed': proposalEvent('An approved request was refused when it was done', {
    ...decided,
    status: 422,
  }),
} satisfies EventTypes;

export interface EventCatalogue {
  types: EventTypes;
  /** The event as this caller may see it: in CloudEvents' JSON format, masked as its type says. */
  show: (event: Event, caller: Viewer) => CloudEvent;
  /** The data of an event of a type as this caller may see it. What is masked already stays as it is. */
  showData: (type: string, data: unknown, caller: Viewer) => unknown;
}

/** @param types of all services there are, whether or not they run in this process: their events are in the log */
export function openCatalogue(types: EventTypes): EventCatalogue {
  const redactors = new Map<string, Redactor>(
    Object.entries(types).map(([name, { data }]) => [name, redactorOf(data)]),
  );
  // Of a type that a newer process wrote and this one does not know, nothing is known to be harmless.
  const unknown = redactorOf(Personal(Type.Unknown()));
  const showData: EventCatalogue['showData'] = (type, data, caller) =>
    (redactors.get(type) ?? unknown)(data, caller);
  return {
    types,
    showData,
    show: (event, caller) => {
      const shown = cloudEventOf(event);
      return { ...shown, data: showData(event.type, shown.data, caller) };
    },
  };
}
