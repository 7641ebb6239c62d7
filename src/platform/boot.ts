/** Starts the named services on one database and one HTTP server, in order, and stops them in the other. */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { FastifyBaseLogger } from 'fastify';
import type { DestinationStream } from 'pino';
import { openAccess } from './access/access.ts';
import { openPermissions, type Permissions, platformPermissions } from './access/permission.ts';
import { openServiceTokens } from './access/service-token.ts';
import { openSuspensions } from './access/suspension.ts';
import { listScopes } from './access/tenant.ts';
import { type Approvals, mountApprovals } from './approvals/approvals.ts';
import { refuse as refuseApproval } from './approvals/errors.ts';
import { permissions as approvalPermissions } from './approvals/permissions.ts';
import { attendingJobs } from './approvals/worker.ts';
import { startClosingAbandoned } from './audit/abandoned.ts';
import { permissions as auditPermissions } from './audit/permissions.ts';
import { decorateUnaudited, mountAudit } from './audit/record.ts';
import { auditRoutes } from './audit/routes.ts';
import { startAuditSealing } from './audit/seal.ts';
import { openAuditTrail } from './audit/write.ts';
import { type EventTypes, openCatalogue, ownEvents } from './bus/catalogue.ts';
import { refuse as refuseEvent } from './bus/errors.ts';
import { eventRoutes } from './bus/event-routes.ts';
import { openEvents } from './bus/events.ts';
import { heldRoutes } from './bus/held-routes.ts';
import { permissions as eventPermissions } from './bus/permissions.ts';
import { type Config, StartupError } from './config.ts';
import { limitConnections } from './connections.ts';
import { openCors } from './cors.ts';
import { CONNECT_TIMEOUT_MS, type Database, openDatabase } from './db.ts';
import { openDiscovery } from './discovery/discovery.ts';
import { permissions as servicePermissions } from './discovery/permissions.ts';
import { announce } from './discovery/registry.ts';
import { serviceRoutes } from './discovery/routes.ts';
import { type Api, buildServer } from './http.ts';
import { refuse as refuseJob } from './job/errors.ts';
import type { JobTypes } from './job/job.ts';
import { openJobs } from './job/jobs.ts';
import { ownHandlers, ownJobs } from './job/own.ts';
import { permissions as jobPermissions } from './job/permissions.ts';
import { jobRoutes } from './job/routes.ts';
import { openLimits } from './limits/limits.ts';
import { listen } from './listen.ts';
import { openLog } from './log.ts';
import { type Metrics, mountMetrics, openMetrics } from './metrics.ts';
import { type MigrationSource, migrate } from './migrate.ts';
import { openOutgoing } from './outgoing.ts';
import { mountPages } from './page.ts';
import { inOrderOfPorts } from './port/graph.ts';
import { openPorts } from './port/ports.ts';
import { openRemote } from './port/remote.ts';
import { startEmbeddedPostgres } from './postgres.ts';
import { type ProblemType, refuse } from './problem.ts';
import { openSandboxes, type Seeds } from './sandbox.ts';
import type { RunningService, Service, ServiceContext } from './service.ts';
import { type Traces, untraced } from './trace/span.ts';
import { permissions as usagePermissions } from './usage/permissions.ts';
import { readUsage } from './usage/read.ts';
import { usageRoutes } from './usage/routes.ts';
import { mountUsage } from './usage/usage.ts';
import { mountWeb } from './web.ts';

export interface Running {
  app: Api;
  /** Where clients reach the server. */
  url: string;
  /** Connection string of the database, with the rights of the operator. */
  databaseUrl: string;
  /** The platform's own database: tenants and keys. */
  platform: Database;
  /** Says that something was written into an outbox. */
  wakeRelay: () => void;
  /**
   * Says that the process is about to stop, where whoever sends requests looks for it, and goes on answering for
   * DRAIN_DELAY_MS. What it answers closes the connection that it came by.
   */
  drain(): Promise<void>;
  /** Answers what is under way, stops the services and, where it is ours, PostgreSQL. */
  stop(): Promise<void>;
}

export interface BootOptions {
  /** Told what happens, a line at a time, for whoever watches the start. */
  onProgress?: (line: string) => void;
  /** The key that pages log in with by one click; undefined where there is no demo. Asked anew for every page. */
  findDemoKey?: () => string | undefined;
  /** What a sandbox can be filled with when it was emptied, by name. */
  seeds?: Seeds;
  /** Where the screens are that were built from `web/`; absent: there are none. */
  webFolder?: string;
  /** Where log lines go; standard output if absent. */
  logStream?: DestinationStream;
  /**
   * Identifies callers and asks for permissions, and does nothing else that a request passes: no limits, audit trail,
   * policies or masks. For the benchmark alone, which holds the whole path against it.
   */
  bare?: true;
  /** The clock by which requests are counted, Unix time in milliseconds; that of the system if absent. */
  now?: () => number;
}

/**
 * How long a connection to the database may take while the process starts: nobody waits for an answer then, and on a
 * machine where many start at once the time is short for all of them.
 */
const START_PATIENCE_MS = 30_000;

/** Connections of the relay and of who consumes, in each process. */
const EVENT_CONNECTIONS = 10;

/** Migrations of the platform itself and of every service, in the order they are applied. */
export function migrationSources(services: readonly Service[]): MigrationSource[] {
  return [
    { name: 'platform', folder: fileURLToPath(new URL('migrations', import.meta.url)) },
    ...services.map(({ name, migrations }) => ({ name, folder: migrations })),
  ];
}

/** What the platform itself lets one do, whichever services run. */
export const ownPermissions: Permissions = {
  ...platformPermissions,
  ...auditPermissions,
  ...approvalPermissions,
  ...eventPermissions,
  ...jobPermissions,
  ...servicePermissions,
  ...usagePermissions,
};

/** What the platform itself refuses, whichever services run. */
export const ownProblems: Record<string, ProblemType> = {
  ...refuse.types,
  ...refuseApproval.types,
  ...refuseEvent.types,
  ...refuseJob.types,
};

/** Every permission that there is with these services. */
export function permissionsOf(services: readonly Service[]): Permissions {
  return Object.assign({}, ownPermissions, ...services.map(({ permissions }) => permissions));
}

/** Every event that there is with these services. */
export function eventTypesOf(services: readonly Service[]): EventTypes {
  return Object.assign({}, ownEvents, ...services.map(({ publishes }) => publishes ?? {}));
}

/** Everything that is refused with these services, by code. */
function problemsOf(services: readonly Service[]): Record<string, ProblemType> {
  return Object.assign({}, ownProblems, ...services.map(({ problems }) => problems));
}

function chosen(services: readonly Service[], names: Config['services']): Service[] {
  if (names === 'all') return [...services];
  for (const name of names) {
    if (!services.some((service) => service.name === name)) {
      throw new StartupError(
        `SERVICES names ${name}, which is no service; there are: ${services.map((service) => service.name).join(', ')}`,
      );
    }
  }
  return services.filter(({ name }) => names.includes(name));
}

/** What the services of this process ask of others, and others of them. */
function portsBetween(
  services: readonly Service[],
  started: readonly Service[],
  { service_token_keys }: Config,
): { elsewhere: string[]; awaited: string[] } {
  const runsHere = (name: string) => started.some((service) => service.name === name);
  const isService = (name: string) => services.some((service) => service.name === name);
  const required = (askers: readonly Service[]) =>
    askers.flatMap(({ requires = [] }) => requires.map(({ service }) => service));
  const notHere = (names: readonly string[]) => [...new Set(names.filter((name) => !runsHere(name)))];
  const awaited = notHere(required(started));
  const others = services.filter(({ name }) => !runsHere(name));
  const hasKey = service_token_keys.length > 0;
  if (!hasKey && [...awaited, ...required(others).filter(runsHere)].length > 0) {
    throw new StartupError(
      'SERVICE_TOKEN_KEY is not set, by which services that run in different processes know each other; set the same one in all of them (openssl rand -base64 32)',
    );
  }
  // What can be done without is not looked for where nobody would know who asks.
  const besides = started.flatMap(({ may_ask = [] }) =>
    may_ask.map(({ service }) => service).filter((name) => hasKey && isService(name)),
  );
  const elsewhere = notHere([...awaited, ...besides]);
  return { elsewhere, awaited };
}

/** What to say of an address that is none here; undefined where every service is. */
function otherPlaces(services: readonly Service[], started: readonly Service[]): string | undefined {
  const names = (list: readonly Service[]) => list.map(({ name }) => name).join(', ');
  const others = services.filter((service) => !started.includes(service));
  return others.length === 0
    ? undefined
    : `This process runs ${names(started)}; ${names(others)} ${others.length === 1 ? 'runs' : 'run'} elsewhere, and may have it.`;
}

/** Where other processes reach this one. */
function instanceUrl({ instance_url, host }: Config, port: number): string {
  if (instance_url !== undefined) return instance_url;
  const name = host === '0.0.0.0' || host === '::' ? hostname() : host;
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`;
}

async function database(
  config: Config,
  progress: (line: string) => void,
): Promise<{ url: string; stop(): Promise<void> }> {
  if (config.database_url !== undefined) return { url: config.database_url, stop: () => Promise.resolve() };
  progress(`starting PostgreSQL in ${config.data_dir}`);
  return startEmbeddedPostgres({ data_dir: config.data_dir, onLog: progress });
}

/** Spans of this process. What records them is loaded only where somebody is to get them. */
async function tracesOf(config: Config, log: FastifyBaseLogger, metrics: Metrics): Promise<Traces> {
  const { otel_exporter_otlp_endpoint: endpoint } = config;
  if (endpoint === undefined) return untraced;
  const { openTraces } = await import('./trace/traces.ts');
  return openTraces({ endpoint, config, log, metrics });
}

/** One line for what an operator can put right: the server's address is wrong, it is down, it refuses the user. */
function unusable(database_url: string, error: unknown): StartupError {
  if (error instanceof StartupError) return error;
  // Where a name has several addresses, each has failed in its own way.
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
  const reason = first instanceof Error ? first.message : String(first);
  // Never the whole URL: it may hold a password.
  const host = URL.parse(database_url)?.host ?? '';
  return new StartupError(
    `the database of DATABASE_URL (${host || 'local socket'}) cannot be used: ${reason}`,
    { cause: error },
  );
}

/**
 * Starts everything. When it returns, requests are answered.
 *
 * @throws StartupError for what the operator can put right
 */
export async function boot(
  config: Config,
  services: readonly Service[],
  options: BootOptions = {},
): Promise<Running> {
  const progress = options.onProgress ?? (() => {});
  const undo: (() => Promise<void>)[] = [];
  const stop = async () => {
    // Each step is taken even if one before it fails; the first failure is reported.
    const failures: unknown[] = [];
    while (undo.length > 0) {
      await undo
        .pop()?.()
        .catch((error: unknown) => failures.push(error));
    }
    if (failures.length > 0) throw failures[0];
  };

  try {
    const log = openLog(config.log_level, options.logStream);
    const metrics = openMetrics();
    const traces = await tracesOf(config, log, metrics);
    // The last of all: what ends is traced, too.
    undo.push(() => traces.stop());
    const named = chosen(services, config.services);
    const started = inOrderOfPorts(services).filter((service) => named.includes(service));
    const { elsewhere, awaited } = portsBetween(services, started, config);
    const server = await database(config, progress);
    undo.push(() => server.stop());

    const applied = await migrate(server.url, migrationSources(services)).catch((error: unknown) => {
      throw config.database_url === undefined ? error : unusable(config.database_url, error);
    });
    if (applied > 0) progress(`applied ${applied} migrations`);

    let starting = true;
    const pools = new Map<string, Database>();
    const open = (role: string, pool_size = config.pool_size): Database => {
      const db = openDatabase({
        url: server.url,
        role,
        pool_size,
        statement_timeout_ms: config.statement_timeout_ms,
        lock_timeout_ms: config.lock_timeout_ms,
        connect_timeout_ms: () => (starting ? START_PATIENCE_MS : CONNECT_TIMEOUT_MS),
        onError: (error) =>
          log.warn({ err: error, role }, 'a connection to the database was lost or cannot be made'),
      });
      if (!pools.has(role)) pools.set(role, db);
      undo.push(() => db.close());
      return db;
    };
    const platform = open('platform');
    const permissions = openPermissions(permissionsOf(services));
    const access = openAccess(platform, {
      permissions,
      onError: (error) => log.warn({ err: error }, 'which keys were used could not be noted'),
    });
    undo.push(() => access.stop());
    const cors = openCors(platform);
    const limits = openLimits(platform, {
      redis_url: config.redis_url,
      when_redis_is_away: config.limits_when_redis_is_away,
      address_factor: config.address_limit_factor,
      metrics,
      onError: (error, what) => log.warn({ err: error }, what),
      ...(options.now === undefined ? {} : { now: options.now }),
    });
    undo.push(() => limits.stop());
    let approvals: Approvals | undefined;
    const listening = await listen({
      url: server.url,
      role: 'platform',
      channel: 'platform_access',
      onNotice: () => {
        access.forget();
        cors.forget();
        limits.forget();
        approvals?.forget();
      },
      onError: (error) => log.warn({ err: error }, 'changes of access are not heard for now'),
    });
    undo.push(() => listening.stop());

    let url = config.public_url ?? '';
    const publicUrl = () => url;
    const app = await buildServer({
      access,
      permissions,
      log,
      publicUrl,
      cors,
      ...(options.bare === true ? {} : { limits, masks: true }),
      trustProxy: config.trust_proxy,
      elsewhere: otherPlaces(services, started),
      traces,
    });
    let isDraining = false;
    app.addHook('onSend', (_request, reply, payload, done) => {
      // Whoever has a connection open makes the next one to another process.
      if (isDraining) reply.header('connection', 'close');
      done(null, payload);
    });
    mountMetrics(app, metrics);
    if (options.bare !== true) {
      const usage = mountUsage(app, platform, {
        metrics,
        onError: (error, what) => log.warn({ err: error }, what),
      });
      undo.push(() => usage.stop());
    }
    const audit = openAuditTrail({ db: platform, log, metrics });
    const auditSealing = startAuditSealing({ db: platform, log, interval_ms: 1_000 });
    const closing = startClosingAbandoned({ db: platform, log, interval_ms: 30_000 });
    undo.push(async () => {
      await closing.stop();
      await audit.stop();
      await auditSealing.stop();
    });
    if (options.bare === true) decorateUnaudited(app);
    else mountAudit(app, { trail: audit, metrics, publicUrl });
    for (const [state, meaning] of [
      ['open', 'Connections to PostgreSQL'],
      ['idle', 'Connections to PostgreSQL that nobody uses'],
      ['waiting', 'Requests that wait for a connection to PostgreSQL'],
    ] as const) {
      metrics.gauges(
        `database_connections_${state}`,
        `${meaning}, by the role that is signed in`,
        'role',
        () => Object.fromEntries([...pools].map(([role, db]) => [role, db.connections()[state]])),
      );
    }
    const catalogue = problemsOf(services);
    await mountPages(app, {
      access,
      catalogue,
      publicUrl,
      findDemoKey: options.findDemoKey ?? (() => undefined),
      hasScreens: options.webFolder !== undefined,
    });
    if (options.webFolder !== undefined) await mountWeb(app, options.webFolder);

    await app.register(auditRoutes({ db: platform }));
    await app.register(usageRoutes({ db: platform }));
    await app.register(serviceRoutes({ db: platform, services }));
    const attending = (list: readonly Service[]) =>
      options.bare === true ? {} : attendingJobs(['platform', ...list.map(({ name }) => name)]);
    const jobs = openJobs({
      url: server.url,
      db: platform,
      log,
      metrics,
      traces,
      types: Object.assign(
        {},
        ownJobs,
        attending(services),
        ...services.map((service) => service.jobs ?? {}),
      ) satisfies JobTypes,
      own: [
        ...Object.keys(ownJobs),
        ...Object.keys(attending(started)),
        ...started.flatMap((service) => Object.keys(service.jobs ?? {})),
      ],
    });
    jobs.handle(ownHandlers(platform, config));
    if (options.bare !== true) {
      const policies = await mountApprovals(app, {
        db: platform,
        access,
        log,
        publicUrl,
        owners: ['platform', ...started.map(({ name }) => name)],
        isElsewhere: (permission) =>
          services.some((service) => !started.includes(service) && permission in service.permissions),
      });
      approvals = policies;
      undo.push(() => policies.stop());
      jobs.handle(policies.handlers);
    }
    await app.register(jobRoutes({ db: platform, jobs }));

    const [firstKey = randomBytes(32), ...otherKeys] = config.service_token_keys;
    const tokens = openServiceTokens([firstKey, ...otherKeys]);
    access.addAuthenticator(
      tokens.authenticator(
        started.map(({ name }) => name),
        openSuspensions(platform),
      ),
    );
    const outgoing = openOutgoing({ allow: config.outgoing_allow, traces });
    undo.push(() => outgoing.stop());
    // Of all services there are, whether or not they run in this process: their tables are in the database.
    const sandboxes = openSandboxes(
      platform,
      [
        'platform.lock_relay',
        ...services.flatMap(({ lock_sandbox }) => (lock_sandbox === undefined ? [] : [lock_sandbox])),
      ],
      (tx, scope) => jobs.plan(tx, scope),
    );
    const events = await openEvents({
      url: server.url,
      db: open('platform', EVENT_CONNECTIONS),
      config,
      log,
      metrics,
      traces,
    });
    undo.push(() => events.stop());
    app.addHook('onResponse', ({ method }, _reply, done) => {
      if (method !== 'GET' && method !== 'HEAD') events.wakeRelay();
      done();
    });
    const eventCatalogue = openCatalogue(eventTypesOf(services));
    await app.register(
      eventRoutes({
        db: platform,
        access,
        catalogue: eventCatalogue,
        publicUrl,
        watch: events.watch,
      }),
    );
    await app.register(heldRoutes({ db: platform, wake: events.wakeConsumers }));
    const running = new Map<Service, RunningService>();
    let ready = false;
    app.get('/livez', { schema: { hide: true } }, async () => ({ status: 'ok' }));
    app.get('/readyz', { schema: { hide: true } }, async (_request, reply) => {
      const reachable = await platform.run('select 1').then(
        () => true,
        () => false,
      );
      const isReady = ready && !isDraining && reachable;
      if (!isReady) reply.code(503);
      return {
        status: isReady ? 'ok' : isDraining ? 'draining' : 'unavailable',
        database: reachable ? 'ok' : 'unreachable',
      };
    });
    const discovery = openDiscovery({ config, db: platform, services: elsewhere, log, metrics });
    undo.push(() => discovery.stop());
    const remote = openRemote({
      instancesOf: (service) => discovery.instancesOf(service),
      tokenFor: (from, caller, service) => tokens.serviceToken(from, caller, service),
      problems: catalogue,
    });
    undo.push(() => remote.stop());
    const ports = openPorts({
      audit,
      log,
      metrics,
      tokens,
      local: started.map(({ name }) => name),
      remote,
    });
    await app.register(ports.routes);
    const contextOf = ({ name, requires = [], may_ask = [] }: Service, db: Database): ServiceContext => ({
      db,
      permissions,
      config,
      log: log.child({ service: name }),
      metrics,
      traces,
      audit,
      limits,
      usage: { read: (scope, query) => platform.read(scope, (tx) => readUsage(tx, scope, query)) },
      findPrincipal: (...asked) => access.findPrincipal(...asked),
      outgoing,
      serviceToken: (caller, audience) => tokens.serviceToken(name, caller, audience),
      events: eventCatalogue,
      port: (port) => {
        if (![...requires, ...may_ask].some(({ service }) => service === port.service))
          throw new Error(`${name} asks ${port.service}, which its manifest does not require`);
        return ports.askFor(name, port);
      },
      wakeRelay: events.wakeRelay,
      scopes: () => listScopes(platform),
      now: (scope) => sandboxes.now(scope),
      sandboxes,
      seeds: options.seeds ?? {},
      publicUrl,
    });
    for (const service of started) {
      const db = open(service.name);
      const instance = await service.start(contextOf(service, db));
      running.set(service, instance);
      undo.push(() => instance.stop());
      if (service.provides?.service !== instance.port?.port.service)
        throw new Error(`${service.name} provides another port than its manifest says`);
      if (instance.port !== undefined) ports.provide(instance.port);
      for (const authenticator of instance.authenticators ?? []) access.addAuthenticator(authenticator);
      if (instance.jobs !== undefined) jobs.handle(instance.jobs);
      for (const consumer of instance.consumers ?? []) {
        const consuming = await events.consume(consumer, db);
        undo.push(() => consuming.stop());
      }
    }

    // Routes come in the order of the list, as the reference shows them, whichever service starts first.
    for (const service of named) {
      const instance = running.get(service);
      if (instance === undefined) continue;
      approvals?.registering(service.name);
      await app.register(instance.routes);
    }
    for (const service of services.filter((each) => !started.includes(each))) {
      if (service.authenticatorsElsewhere === undefined) continue;
      const found = await service.authenticatorsElsewhere(contextOf(service, open(service.name)));
      for (const authenticator of found) access.addAuthenticator(authenticator);
    }

    limitConnections(app.server, config);
    undo.push(() => app.close());
    await app.listen({ port: config.port, host: config.host }).catch((error: unknown) => {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code === 'EADDRINUSE')
        throw new StartupError(`port ${config.port} on ${config.host} is in use; set PORT to another`);
      if (code === 'EACCES')
        throw new StartupError(
          `port ${config.port} on ${config.host} may not be used by this user; set PORT above 1023`,
        );
      if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
        throw new StartupError(`HOST ${config.host} is no address of this machine`);
      throw error;
    });
    const [address] = app.addresses();
    const port = typeof address === 'object' ? address.port : config.port;
    url = config.public_url ?? `http://localhost:${port}`;
    undo.push(() => jobs.stop());
    await jobs.start();
    if (awaited.length > 0) progress(`looking for ${awaited.join(', ')}`);
    await discovery.found(awaited);
    ready = true;
    // Also where the others are found in another way: whoever operates the installation sees it there.
    const registration = await announce({
      db: platform,
      url: instanceUrl(config, port),
      services: started.map(({ name }) => name),
      unreached: () => ({ out_of_reach: discovery.outOfReach(), left_alone: remote.leftAlone() }),
      log,
    });
    undo.push(() => registration.leave());
    starting = false;
    return {
      app,
      url,
      databaseUrl: server.url,
      platform,
      wakeRelay: events.wakeRelay,
      drain: async () => {
        isDraining = true;
        await registration
          .drain()
          .catch((error: unknown) =>
            log.warn({ err: error }, 'the registry does not know that this process is about to stop'),
          );
        await sleep(config.drain_delay_ms);
      },
      stop: async () => {
        ready = false;
        const timeout = setTimeout(() => app.server.closeAllConnections(), config.drain_timeout_ms);
        // Connections that are idle when the server closes are closed, those that become idle later are not.
        const sweep = setInterval(() => app.server.closeIdleConnections(), 50);
        try {
          await stop();
        } finally {
          clearTimeout(timeout);
          clearInterval(sweep);
        }
      },
    };
  } catch (error) {
    await stop().catch(() => {});
    throw error;
  }
}
