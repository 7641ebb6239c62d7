/** Applications that endpoints are of. They belong to identity, by which every process knows them, and which tells what becomes of one. */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import type { Caller } from '../../platform/access/caller.ts';
import type { Consumer } from '../../platform/bus/consumer.ts';
import type { Event } from '../../platform/bus/event.ts';
import type { Scope, Transaction } from '../../platform/db.ts';
import { formatId } from '../../platform/ids.ts';
import type { Problem } from '../../platform/problem.ts';
import type { ServiceContext } from '../../platform/service.ts';
import { disable } from './disable.ts';
import { refuse } from './errors.ts';

/** Why an endpoint cannot be for an application; undefined where it can. */
export async function findRefusal(
  findPrincipal: ServiceContext['findPrincipal'],
  scope: Scope,
  application_id: string,
): Promise<Problem | undefined> {
  const { tenant_id, environment } = scope;
  const principal = { kind: 'application', id: application_id, name: application_id } as const;
  if ((await findPrincipal({ tenant_id, environment }, principal, undefined)) !== undefined) return undefined;
  return refuse(
    'webhook_application_not_found',
    `There is no application ${application_id} in ${environment}, or it is disabled.`,
  );
}

function disabledApplication(application_id: string): Problem {
  return refuse('webhook_application_disabled', `The application ${application_id} is disabled.`);
}

/**
 * Whether an application is disabled as far as was told. What is told of it meanwhile waits until the transaction ends, and
 * then finds what it wrote.
 */
export async function isDisabled(tx: Transaction, scope: Scope, application_id: string): Promise<boolean> {
  await hold(tx, scope, application_id);
  const rows = await tx.rows(
    Type.Object({ application_id: Type.String() }),
    `select application_id from webhooks.disabled_applications
     where tenant_id = $1 and environment = $2 and application_id = $3`,
    [scope.tenant_id, scope.environment, application_id],
  );
  return rows.length > 0;
}

/** Refuses to enable an endpoint of an application that is disabled. */
export async function assertApplicationActive(
  tx: Transaction,
  caller: Caller,
  application_id: string | undefined,
): Promise<void> {
  if (application_id === undefined) return;
  if (await isDisabled(tx, caller, application_id)) throw disabledApplication(application_id);
}

async function hold(tx: Transaction, scope: Scope, application_id: string): Promise<void> {
  await tx.run('select pg_advisory_xact_lock(hashtextextended($1, 0))', [
    `webhooks/application/${scope.tenant_id}/${scope.environment}/${application_id}`,
  ]);
}

const Told = Type.Object({ application_id: Type.String() });
const Id = Type.Object({ id: Type.String() });

function applicationOf(event: Event): string {
  const data: unknown = JSON.parse(event.payload);
  if (!Check(Told, data)) {
    throw new Error(`the data of ${formatId('evt', event.id)} are not those of ${event.type}`);
  }
  return data.application_id;
}

/** Disables all that is of an application. */
async function disableAll(tx: Transaction, scope: Scope, application_id: string): Promise<void> {
  const key = [scope.tenant_id, scope.environment, application_id];
  await tx.run(
    `insert into webhooks.disabled_applications (tenant_id, environment, application_id) values ($1, $2, $3)
     on conflict do nothing`,
    key,
  );
  const endpoints: Static<typeof Id>[] = await tx.rows(
    Id,
    `select id from webhooks.endpoints
     where tenant_id = $1 and environment = $2 and application_id = $3 and status = 'enabled' and deleted_at is null
     order by id for no key update`,
    key,
  );
  for (const { id } of endpoints) await disable(tx, scope, id, 'application_disabled');
}

/** Enables what was disabled with an application, from a clean slate. What failed or was disabled by hand stays so. */
async function enableAll(tx: Transaction, scope: Scope, application_id: string): Promise<void> {
  const key = [scope.tenant_id, scope.environment, application_id];
  await tx.run(
    'delete from webhooks.disabled_applications where tenant_id = $1 and environment = $2 and application_id = $3',
    key,
  );
  await tx.run(
    `with own as (
       select id from webhooks.endpoints
       where tenant_id = $1 and environment = $2 and application_id = $3 and disabled_reason = 'application_disabled'
         and deleted_at is null
       order by id for no key update)
     update webhooks.endpoints e
     set status = 'enabled', disabled_reason = null, disabled_at = null, failing_since = null, version = version + 1,
       updated_at = now()
     from own where e.tenant_id = $1 and e.environment = $2 and e.id = own.id`,
    key,
  );
}

/** @param onTold called when endpoints may have been disabled, which is told by events */
export function applicationConsumer(onTold: () => void): Consumer {
  return {
    name: 'webhooks-applications',
    types: ['identity.application.disabled', 'identity.application.enabled'],
    // What was disabled before there was an endpoint counts, too.
    from: 'start',
    handle: async (tx, event) => {
      const application_id = applicationOf(event);
      await hold(tx, event, application_id);
      if (event.type === 'identity.application.disabled') await disableAll(tx, event, application_id);
      else await enableAll(tx, event, application_id);
      onTold();
    },
  };
}
