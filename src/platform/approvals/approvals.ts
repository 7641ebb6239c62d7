/**
 * Four eyes: policies turn a permitted action into a proposal, which somebody else approves or rejects. Mounted before
 * the services, so that it sees each of their routes.
 */
import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify';
import type { Access } from '../access/access.ts';
import type { Database } from '../db.ts';
import type { Api } from '../http.ts';
import { parseId } from '../ids.ts';
import type { JobHandlers } from '../job/job.ts';
import { type Deciding, settleByProposer } from './decide.ts';
import { openRulebook } from './policy.ts';
import { Proposal } from './proposal.ts';
import { propose } from './propose.ts';
import { isSubject, type SubjectRoute } from './route.ts';
import { approvalRoutes } from './routes.ts';
import { attendingJob, attendProposals } from './worker.ts';

export interface ApprovalsOptions {
  /** The platform's own database. */
  db: Database;
  access: Pick<Access, 'findPrincipal'>;
  log: FastifyBaseLogger;
  publicUrl: () => string;
  /** Whose routes there are in this process: its services, and the platform. */
  owners: readonly string[];
  /** Whether what needs a permission is asked of other processes, whose routes are not known here. */
  isElsewhere: (permission: string) => boolean;
}

export interface Approvals {
  /** Something about access changed: policies are read anew. */
  forget(): void;
  /** Whose the routes are that are registered from now on. */
  registering(owner: string): void;
  /** Attend to proposals that are due, once every route is there. */
  handlers: JobHandlers;
  /** Reads policies no more. */
  stop(): Promise<void>;
}

const API_PREFIX = '/api/';
const VERSION_1 = '/api/v1/';

function listOf<Item>(items: Item | Item[] | undefined): Item[] {
  return items === undefined ? [] : Array.isArray(items) ? items : [items];
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

/** Whether a body has a member that its schema marks as a secret: by JSON Schema's keyword for what is never shown, or ours. */
function hasSecret(schema: unknown): boolean {
  const found = objectOf(schema);
  if (found['writeOnly'] === true || found['x-data'] === 'secret') return true;
  const { properties, items, anyOf } = found;
  const parts = [...Object.values(objectOf(properties)), items, ...(Array.isArray(anyOf) ? anyOf : [])];
  return parts.some((part) => typeof part === 'object' && part !== null && hasSecret(part));
}

/** Makes every route that is registered from now on subject to the policies, and adds those of policies and proposals. */
export async function mountApprovals(app: Api, options: ApprovalsOptions): Promise<Approvals> {
  const { db, access, log, publicUrl, owners, isElsewhere } = options;
  const subjects = new Map<string, SubjectRoute>();
  let registering = 'platform';
  const rulebook = await openRulebook(db, (error) =>
    log.warn({ err: error }, 'approval policies could not be read'),
  );
  const deciding: Deciding = { db, app, access, log, publicUrl, routeOf: (name) => subjects.get(name) };

  function guard(route: SubjectRoute) {
    return (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void => {
      const rules = request.approved === undefined ? rulebook.of(request.caller) : undefined;
      if (rules === undefined) {
        done();
        return;
      }
      propose(db, rules, route, request, reply).then(
        (answered) => {
          // Who has answered does not go on.
          if (!answered) done();
        },
        (error: unknown) => done(error instanceof Error ? error : new Error(String(error))),
      );
    };
  }

  /** The proposer sees the answer only when it is written down that this was done. */
  async function note(request: FastifyRequest, reply: FastifyReply, payload: unknown): Promise<unknown> {
    const uuid = request.approved && parseId('prp', request.approved.proposal_id);
    if (uuid !== undefined) {
      const location = reply.getHeader('location');
      await settleByProposer(deciding, request.caller, uuid, {
        status: reply.statusCode,
        ...(typeof location === 'string' ? { location } : {}),
      });
    }
    return payload;
  }

  app.addHook('onRoute', (route) => {
    const { url, method, config = {} } = route;
    const { permission, approval = {} } = config;
    if (!url.startsWith(API_PREFIX) || permission === undefined || approval === 'exempt') return;
    const methods = listOf(method);
    if (!methods.some((each) => isSubject(each, config))) return;
    const headers = objectOf(objectOf(route.schema?.headers)['properties']);
    const keyed = 'idempotency-key' in headers;
    const { summary } = objectOf(route.schema);
    const isOld = url.startsWith(VERSION_1);
    const subject: SubjectRoute = {
      name: `${methods.join('|')} ${url}`,
      owner: registering,
      permission,
      summary: typeof summary === 'string' ? summary : `${methods.join('|')} ${url}`,
      // A proposal is kept and shown to whoever decides, so that a secret cannot be part of one.
      approval: hasSecret(route.schema?.body) ? { ...approval, refused: true } : approval,
      keyed,
      needs_key: keyed && !isOld,
    };
    subjects.set(subject.name, subject);
    route.preHandler = [...listOf(route.preHandler), guard(subject)];
    if (approval.answers_secret === true) route.onSend = [...listOf(route.onSend), note];
    if (subject.approval.refused !== true && route.schema?.response !== undefined) {
      route.schema = { ...route.schema, response: { ...objectOf(route.schema.response), 202: Proposal } };
    }
  });
  await app.register(
    approvalRoutes({ db, rulebook, deciding, subjects: () => [...subjects.values()], isElsewhere }),
  );

  return {
    forget: () => void rulebook.refresh(),
    registering: (owner) => {
      registering = owner;
    },
    handlers: Object.fromEntries(
      owners.map((owner) => [
        attendingJob(owner),
        attendProposals(deciding, () =>
          [...subjects.values()].filter((route) => route.owner === owner).map(({ name }) => name),
        ),
      ]),
    ),
    stop: () => rulebook.stop(),
  };
}
