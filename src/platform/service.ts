/**
 * The contract of a service: a folder under `services/`, a PostgreSQL schema, a database role and a value of
 * `--services`, all of one name. A service receives all it may use in its context and returns all it offers.
 */
import type { FastifyBaseLogger, FastifyPluginAsync } from 'fastify';
import type { Access, Authenticator } from './access/access.ts';
import type { Caller } from './access/caller.ts';
import type { PermissionCatalogue, Permissions } from './access/permission.ts';
import type { AuditTrail } from './audit/write.ts';
import type { EventCatalogue, EventTypes } from './bus/catalogue.ts';
import type { Consumer } from './bus/consumer.ts';
import type { Config } from './config.ts';
import type { Database, Scope } from './db.ts';
import type { JobHandlers, JobTypes } from './job/job.ts';
import type { ReadLimits } from './limits/limits.ts';
import type { Metrics } from './metrics.ts';
import type { Outgoing } from './outgoing.ts';
import type { Ask, Operations, Port, ProvidedPort } from './port/port.ts';
import type { ProblemType } from './problem.ts';
import type { EncryptedColumn } from './reencryption.ts';
import type { Sandboxes, Seeds } from './sandbox.ts';
import type { Traces } from './trace/span.ts';
import type { ReadUsage } from './usage/read.ts';

export interface ServiceContext {
  /** The database under the service's own role. */
  db: Database;
  /** Every permission that there is. */
  permissions: PermissionCatalogue;
  config: Config;
  log: FastifyBaseLogger;
  metrics: Metrics;
  /** For spans of what takes time beside requests, events, jobs and outgoing requests, which have theirs. */
  traces: Traces;
  /** For what is no request of a known caller, as a sign-in; requests are recorded without being told to. */
  audit: Pick<AuditTrail, 'record' | 'intend'>;
  /** How the limits of callers stand. */
  limits: ReadLimits;
  /** What callers asked. */
  usage: ReadUsage;
  /** The caller that a principal is now, whatever credential it has; undefined where it is none, or none any more. */
  findPrincipal: Access['findPrincipal'];
  /** Sends requests to addresses that others chose. Nothing else of a service may. */
  outgoing: Outgoing;
  /** A token with which this service calls one for a caller, as `Authorization: Service …`; good for a minute. */
  serviceToken: (caller: Caller, audience: string) => Promise<string>;
  /** The events that there are, and how each is shown to whom. */
  events: EventCatalogue;
  /** How to ask another service, wherever it runs. Its port has to be among those that the manifest names. */
  port: <Own extends Operations>(port: Port<Own>) => Ask<Own>;
  /** Says that the service wrote into its outbox outside of a request, so that it is carried at once. */
  wakeRelay: () => void;
  /** Every tenant and environment, for work that no caller asked for. */
  scopes: () => Promise<Scope[]>;
  /** What time it is for a tenant; the clock of a sandbox may be ahead. */
  now: (scope: Scope) => Promise<Date>;
  /** The sandboxes of all tenants, for whoever administers them. */
  sandboxes: Sandboxes;
  /** What a sandbox can be filled with when it was emptied, by name. */
  seeds: Seeds;
  /** Address under which clients reach the server, for links. Known once it listens. */
  publicUrl: () => string;
}

export interface RunningService {
  /** What answers the port that the manifest provides. */
  port?: ProvidedPort;
  /** Mounted at the root: paths are written out in full. */
  routes: FastifyPluginAsync;
  /** Ways to know callers that the service adds to the platform's own. */
  authenticators?: readonly Authenticator[];
  /** What it does about events, of other services and its own. */
  consumers?: readonly Consumer[];
  /** What does the work of each job that the manifest declares. */
  jobs?: JobHandlers;
  /** Ends the service's own work. Called after the last request was answered, before its database closes. */
  stop(): Promise<void>;
}

export interface Service {
  name: string;
  /** Folder of the SQL files that make its schema. */
  migrations: string;
  /** Everything it can refuse, by code. */
  problems: Record<string, ProblemType>;
  /** The permissions that its routes need, by name. */
  permissions: Permissions;
  /** Its work that no request asks for, by name. */
  jobs?: JobTypes;
  /**
   * SQL function, granted to the role `platform`, that holds up whoever writes to the sandbox of the transaction's tenant,
   * while it is emptied. What is emptied the migrations say: `platform.make_erasable`.
   */
  lock_sandbox?: string;
  /** The events it tells, by type. */
  publishes?: EventTypes;
  /** Its columns of ciphertexts, so that they can be encrypted anew when the key rotates. */
  encrypted?: readonly EncryptedColumn[];
  /** What other services may ask of it. */
  provides?: Port;
  /** What it asks of others. It starts after them. */
  requires?: readonly Port[];
  /** What it asks of others beside that. It starts without them, and what is asked while they are away is refused as unavailable. */
  may_ask?: readonly Port[];
  /**
   * The ways to know callers that it adds to the platform's own, for a process in which it does not run: its tables are in
   * the database, and whoever is signed in is known to every process.
   */
  authenticatorsElsewhere?(context: ServiceContext): Promise<readonly Authenticator[]>;
  start(context: ServiceContext): Promise<RunningService> | RunningService;
}

/** Declares a service; exists so that a manifest is checked where it is written. */
export function defineService(service: Service): Service {
  return service;
}
