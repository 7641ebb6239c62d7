/**
 * Sessions of people: an opaque token in a cookie, good until it has gone unused for a while, until it is old, or until
 * somebody ends it. Every process believes what it knows of one for a few seconds, unless it is told otherwise.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { LRUCache } from 'lru-cache';
import { type Static, Type } from 'typebox';
import { type Authenticator, suspended } from '../../../platform/access/access.ts';
import type { Caller } from '../../../platform/access/caller.ts';
import type { PermissionCatalogue } from '../../../platform/access/permission.ts';
import type { Database, Environment, Scope, Transaction } from '../../../platform/db.ts';
import { formatId, Id, newUuid, uuidOf } from '../../../platform/ids.ts';
import { refuse as refuseRequest } from '../../../platform/problem.ts';
import { refuse } from '../errors.ts';
import { grantsOf } from '../roles/grants.ts';
import { newToken, readToken } from './token.ts';

/** Cookie of a session, for this host only, out of reach of scripts. */
const SESSION_COOKIE = 'financialapi_session';
/** Changing how one signs in needs a session no older than this. */
const FRESH_FOR_MS = 15 * 60_000;
/** How long a session that was found is believed if the database's word that it ended does not come. */
const BELIEVED_FOR_MS = 5_000;
const REMEMBERED_SESSIONS = 10_000;
const MAX_USER_AGENT_CHARACTERS = 300;

const EnvironmentName = Type.Union([Type.Literal('sandbox'), Type.Literal('live')]);
const Method = Type.Union(
  [
    Type.Literal('password'),
    Type.Literal('totp'),
    Type.Literal('recovery_code'),
    Type.Literal('passkey'),
    Type.Literal('external'),
  ],
  { description: 'What was shown to sign in' },
);
export type Method = Static<typeof Method>;

export const Session = Type.Object({
  id: Id('ses'),
  person_id: Id('usr'),
  environment: EnvironmentName,
  methods: Type.Array(Method),
  address: Type.String({ description: 'Where it began' }),
  user_agent: Type.String(),
  created_at: Type.String(),
  last_seen_at: Type.String({ description: 'To within a minute' }),
  expires_at: Type.String({ description: 'When it ends at the latest' }),
  is_current: Type.Boolean({ description: 'Whether it is the session that asks' }),
});
export type Session = Static<typeof Session>;

const SessionRow = Type.Object({
  id: Type.String(),
  person_id: Type.String(),
  environment: EnvironmentName,
  methods: Type.Array(Method),
  address: Type.String(),
  user_agent: Type.String(),
  created_at: Type.String(),
  last_seen_at: Type.String(),
  expires_at: Type.String(),
});

const columns =
  'id, person_id, environment, methods, address, user_agent, created_at, last_seen_at, expires_at';

const ActiveRow = Type.Object({
  tenant_id: Type.String(),
  person_id: Type.String(),
  email: Type.String(),
  name: Type.String(),
  plan: Type.String(),
  tenant_name: Type.String(),
  base_currency: Type.String(),
  tenant_kind: Type.Union([Type.Literal('institution'), Type.Literal('installation')]),
});

const SignedInRow = Type.Object({
  ...ActiveRow.properties,
  session_id: Type.String(),
  environment: EnvironmentName,
  created_at: Type.String(),
  last_seen_at: Type.String(),
  expires_at: Type.String(),
  tenant_status: Type.Union([Type.Literal('active'), Type.Literal('suspended')]),
});

/** Whose session a request carries. */
export type SignedIn = Static<typeof SignedInRow>;

/** A person, as other parts that deal with browsers need to know one. */
export interface SignedInPerson {
  person_uuid: string;
  email: string;
  name: string;
  tenant_id: string;
}

/** Where somebody signs in from, for whoever looks through the list of sessions. */
export interface Origin {
  address: string;
  user_agent: string;
}

export function originOf(request: FastifyRequest): Origin {
  const agent = request.headers['user-agent'] ?? '';
  return {
    address: request.ip.slice(0, 64),
    // Node reads headers as Latin-1, in which there is no character that PostgreSQL would not keep but NUL.
    user_agent: agent.replaceAll('\0', '').slice(0, MAX_USER_AGENT_CHARACTERS),
  };
}

export interface SessionsOptions {
  db: Database;
  permissions: PermissionCatalogue;
  idle_s: number;
  lifetime_s: number;
  publicUrl: () => string;
}

export interface Sessions {
  /** Begins a session and gives the browser its cookie. */
  begin(
    tx: Transaction,
    person: { tenant_id: string; person_id: string },
    methods: readonly Method[],
    origin: Origin,
  ): Promise<{ token: string; session: Session }>;
  setCookie(request: FastifyRequest, reply: FastifyReply, token: string): void;
  clearCookie(request: FastifyRequest, reply: FastifyReply): void;
  /** Whose session a request carries; undefined without one that is good. */
  find(request: FastifyRequest): Promise<SignedIn | undefined>;
  /** Whose session a request carries. Throws `session_required`, or `tenant_suspended`. */
  get(request: FastifyRequest): Promise<SignedIn>;
  /** Who is signed in, for pages of other parts; undefined where nobody is. */
  signedInPerson(request: FastifyRequest): Promise<SignedInPerson | undefined>;
  /** Somebody by their id, with what they may do to everything in an environment; undefined for who may not sign in. */
  findPerson(
    scope: Scope,
    person_uuid: string,
  ): Promise<{ name: string; email: string; permissions: ReadonlySet<string> } | undefined>;
  authenticator: Authenticator;
  /** Forgets every session that this process remembers: one of them ended. */
  forget(): void;
}

function sessionOf(row: Static<typeof SessionRow>, current: string | undefined): Session {
  return {
    ...row,
    id: formatId('ses', row.id),
    person_id: formatId('usr', row.person_id),
    is_current: row.id === current,
  };
}

/** Refuses a session that is too old to change how its person signs in. */
export function assertFresh({ created_at }: SignedIn): void {
  if (Date.now() - Date.parse(created_at) > FRESH_FOR_MS) {
    throw refuse('session_not_fresh', `This session began at ${created_at}, too long ago for this.`);
  }
}

/** Whether somebody has no second factor though the community of their organisation asks for one before anything else. */
async function lacksSecondFactor(
  tx: Transaction,
  { tenant_id, person_id }: { tenant_id: string; person_id: string },
): Promise<boolean> {
  const [row] = await tx.rows(
    Type.Object({ missing: Type.Boolean() }),
    `select identity.asks_second_factor($1)
       and not exists (select from identity.totp where tenant_id = $1 and person_id = $2 and confirmed_at is not null)
       and not exists (select from identity.passkeys where tenant_id = $1 and person_id = $2) as missing`,
    [tenant_id, person_id],
  );
  return row?.missing === true;
}

/** The sessions of a person that are good, newest first. */
export async function listSessions(
  tx: Transaction,
  person: { tenant_id: string; person_id: string },
  options: { idle_s: number; current?: string },
): Promise<Session[]> {
  const rows = await tx.rows(
    SessionRow,
    `select ${columns} from identity.sessions
     where tenant_id = $1 and person_id = $2 and ended_at is null and expires_at > now()
       and last_seen_at > now() - make_interval(secs => $3)
     order by id desc limit 100`,
    [person.tenant_id, person.person_id, options.idle_s],
  );
  return rows.map((row) => sessionOf(row, options.current));
}

/**
 * Ends sessions of a person: one, all but one, or all. Throws `session_not_found` if the one that is meant is none of
 * the person's. Ending one that has ended changes nothing.
 */
export async function endSessions(
  tx: Transaction,
  person: { tenant_id: string; person_id: string },
  which: { only?: string; except?: string },
  ended_by: string,
): Promise<void> {
  const { only = null, except = null } = which;
  if (only !== null) {
    const found = await tx.run(
      'select from identity.sessions where tenant_id = $1 and person_id = $2 and id = $3',
      [person.tenant_id, person.person_id, only],
    );
    if (found === 0) {
      throw refuse(
        'session_not_found',
        `${formatId('usr', person.person_id)} has no session ${formatId('ses', only)}.`,
      );
    }
  }
  await tx.run(
    `update identity.sessions set ended_at = now(), ended_by = $5
     where tenant_id = $1 and person_id = $2 and ended_at is null
       and ($3::uuid is null or id = $3) and ($4::uuid is null or id <> $4)`,
    [person.tenant_id, person.person_id, only, except, ended_by],
  );
}

export function openSessions(options: SessionsOptions): Sessions {
  const { db, permissions, idle_s, lifetime_s, publicUrl } = options;
  /** Noting each use would cost a write for each request. */
  const noted_every_s = Math.min(60, idle_s / 10);
  const known = new LRUCache<string, Caller>({ max: REMEMBERED_SESSIONS, ttl: BELIEVED_FOR_MS });
  /** Increases when sessions are forgotten, so that one that was being looked up then is not remembered. */
  let generation = 0;

  const cookieOptions = (request: FastifyRequest) => ({
    path: '/',
    httpOnly: true,
    sameSite: 'strict' as const,
    secure: request.protocol === 'https' || publicUrl().startsWith('https:'),
  });

  /** Looks a token up, and notes that it was used. */
  async function lookUp(token: string): Promise<SignedIn | undefined> {
    const known_as = readToken(token);
    if (known_as === undefined) return undefined;
    const { tenant_id } = known_as;
    const scope: Scope = { tenant_id, environment: 'sandbox' };
    const [row] = await db.read(scope, (tx) =>
      tx.rows(
        SignedInRow,
        `select s.tenant_id, s.id as session_id, s.person_id, p.email, p.name, s.environment, p.plan,
           s.created_at, s.last_seen_at, s.expires_at, t.name as tenant_name, t.base_currency,
           t.kind as tenant_kind, t.status as tenant_status
         from identity.sessions s
         join identity.people p on p.tenant_id = s.tenant_id and p.id = s.person_id
         join platform.tenants t on t.tenant_id = s.tenant_id
         where s.tenant_id = $1 and s.token_hash = $2 and s.ended_at is null and s.expires_at > now()
           and s.last_seen_at > now() - make_interval(secs => $3) and p.status = 'active'`,
        [tenant_id, known_as.hash, idle_s],
      ),
    );
    if (row === undefined) return undefined;
    if (Date.now() - Date.parse(row.last_seen_at) > noted_every_s * 1_000) {
      await db.write(scope, (tx) =>
        tx.run('update identity.sessions set last_seen_at = now() where tenant_id = $1 and id = $2', [
          tenant_id,
          row.session_id,
        ]),
      );
      return { ...row, last_seen_at: new Date().toISOString() };
    }
    return row;
  }

  /** Who somebody is, and what they may do in an environment. */
  async function callerFor(row: Static<typeof ActiveRow>, environment: Environment): Promise<Caller> {
    const scope: Scope = { tenant_id: row.tenant_id, environment };
    const { granted, isMissing } = await db.read(scope, async (tx) => ({
      granted: await grantsOf(tx, permissions, scope, row.person_id, row.tenant_kind),
      isMissing: await lacksSecondFactor(tx, row),
    }));
    return {
      ...scope,
      principal: { kind: 'person', id: formatId('usr', row.person_id), name: row.name },
      tenant_name: row.tenant_name,
      base_currency: row.base_currency,
      plan: row.plan,
      ...(isMissing
        ? { permissions: new Set<string>(), narrowed: [], second_factor_missing: true }
        : { permissions: granted.permissions, narrowed: granted.narrowed }),
    };
  }

  async function callerOf(row: SignedIn, environment: Environment): Promise<Caller> {
    return {
      ...(await callerFor(row, environment)),
      expires_at_ms: Math.min(
        Date.parse(row.expires_at),
        Date.parse(row.last_seen_at) + Math.max(idle_s * 1_000, BELIEVED_FOR_MS),
      ),
    };
  }

  /** Somebody who may sign in, whether they are signed in or not; undefined for who may not. */
  async function findActive(scope: Scope, person_uuid: string) {
    const [row] = await db.read(scope, (tx) =>
      tx.rows(
        ActiveRow,
        `select p.tenant_id, p.id as person_id, p.email, p.name, p.plan, t.name as tenant_name, t.base_currency,
           t.kind as tenant_kind
         from identity.people p join platform.tenants t on t.tenant_id = p.tenant_id
         where p.tenant_id = $1 and p.id = $2 and p.status = 'active' and t.status = 'active'`,
        [scope.tenant_id, person_uuid],
      ),
    );
    return row;
  }

  const find: Sessions['find'] = async (request) => {
    const token = request.cookies[SESSION_COOKIE];
    return token === undefined ? undefined : lookUp(token);
  };

  const forget = () => {
    generation += 1;
    known.clear();
  };

  async function identify(token: string, meant: Environment | undefined): Promise<Caller> {
    const began = generation;
    const row = await lookUp(token);
    if (row === undefined) {
      throw refuseRequest('unauthenticated', 'This session has ended. Sign in again.');
    }
    if (row.tenant_status === 'suspended') throw suspended(row.tenant_name);
    const caller = await callerOf(row, meant ?? row.environment);
    if (began === generation) known.set(`${token} ${meant ?? ''}`, caller);
    return caller;
  }

  return {
    async begin(tx, { tenant_id, person_id }, methods, origin) {
      const { token, hash } = newToken(tenant_id);
      const [row] = await tx.rows(
        SessionRow,
        `insert into identity.sessions
           (tenant_id, id, token_hash, person_id, methods, address, user_agent, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, now() + make_interval(secs => $8)) returning ${columns}`,
        [tenant_id, newUuid(), hash, person_id, methods, origin.address, origin.user_agent, lifetime_s],
      );
      if (row === undefined) throw new Error('a session that was inserted is not there');
      await tx.run('update identity.people set last_signed_in_at = now() where tenant_id = $1 and id = $2', [
        tenant_id,
        person_id,
      ]);
      return { token, session: sessionOf(row, row.id) };
    },
    setCookie: (request, reply, token) => {
      reply.setCookie(SESSION_COOKIE, token, cookieOptions(request));
    },
    clearCookie: (request, reply) => {
      reply.clearCookie(SESSION_COOKIE, cookieOptions(request));
    },
    find,
    async get(request) {
      const row = await find(request);
      if (row === undefined) throw refuse('session_required', 'The request carries no session that is good.');
      if (row.tenant_status === 'suspended') throw suspended(row.tenant_name);
      return row;
    },
    async signedInPerson(request) {
      const row = await find(request);
      if (row === undefined || row.tenant_status === 'suspended') return undefined;
      return {
        person_uuid: row.person_id,
        email: row.email,
        name: row.name,
        tenant_id: row.tenant_id,
      };
    },
    async findPerson(scope, person_uuid) {
      const row = await findActive(scope, person_uuid);
      if (row === undefined) return undefined;
      const caller = await callerFor(row, scope.environment);
      return { name: row.name, email: row.email, permissions: caller.permissions };
    },
    forget,
    authenticator: {
      async findPrincipal(scope, principal, on_behalf_of) {
        if (principal.kind !== 'person' || on_behalf_of !== undefined) return undefined;
        const row = await findActive(scope, uuidOf('usr', principal.id));
        return row === undefined ? undefined : callerFor(row, scope.environment);
      },
      identify(request) {
        const token = request.cookies[SESSION_COOKIE];
        // Whoever sends a credential of another kind means that.
        if (token === undefined || request.headers.authorization !== undefined) return undefined;
        const header = request.headers.environment;
        // What is neither is refused by the server, as of another environment than the caller's.
        const meant = header === 'sandbox' || header === 'live' ? header : undefined;
        return known.get(`${token} ${meant ?? ''}`) ?? identify(token, meant);
      },
      forget,
    },
  };
}
