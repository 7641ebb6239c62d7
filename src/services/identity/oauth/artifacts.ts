/** Where oidc-provider keeps its state: one table in PostgreSQL, in which no id that is a credential stands. */
import { hash } from 'node:crypto';
import { type Adapter, type AdapterPayload, errors } from 'oidc-provider';
import { Type } from 'typebox';
import type { Database, Scope, Transaction } from '../../../platform/db.ts';
import { ACCESS_TOKEN_TTL_S, CLOCK_TOLERANCE_S } from './issuer.ts';

const Row = Type.Object({
  payload: Type.Record(Type.String(), Type.Unknown()),
  consumed: Type.Union([Type.Integer(), Type.Null()]),
});
const columns = 'payload, extract(epoch from consumed_at)::integer as consumed';

export function hashArtifact(id: string): Buffer {
  return hash('sha256', id, 'buffer');
}

/** Says that access tokens of a grant, or one of them, are no longer good, though they have not expired. */
export async function revokeTokens(tx: Transaction, scope: Scope, id: string): Promise<void> {
  await tx.run(
    `insert into identity.oauth_revocations (tenant_id, environment, id, expires_at)
     values ($1, $2, $3, now() + make_interval(secs => $4)) on conflict do nothing`,
    [scope.tenant_id, scope.environment, id, ACCESS_TOKEN_TTL_S + 2 * CLOCK_TOLERANCE_S],
  );
}

/** Takes a grant back: its codes and refresh tokens go, its access tokens are no longer believed. */
export async function destroyGrant(tx: Transaction, scope: Scope, grantId: string): Promise<void> {
  await tx.run(
    `delete from identity.oauth_artifacts where tenant_id = $1 and environment = $2
       and (grant_id = $3 or (model = 'Grant' and id_hash = $4))`,
    [scope.tenant_id, scope.environment, grantId, hashArtifact(grantId)],
  );
  await revokeTokens(tx, scope, grantId);
}

export function artifacts(
  db: Database,
  scope: Scope,
  findClient: (id: string) => Promise<AdapterPayload | undefined>,
): (model: string) => Adapter {
  const own = [scope.tenant_id, scope.environment];
  return (model) => {
    const find = async (condition: string, value: unknown, jti?: string) => {
      const [row] = await db.read(scope, (tx) =>
        tx.rows(
          Row,
          `select ${columns} from identity.oauth_artifacts
           where tenant_id = $1 and environment = $2 and model = $3 and ${condition}
             and (expires_at is null or expires_at > now())`,
          [...own, model, value],
        ),
      );
      if (row === undefined) return undefined;
      return {
        ...row.payload,
        ...(jti === undefined ? {} : { jti }),
        ...(row.consumed === null ? {} : { consumed: row.consumed }),
      };
    };
    return {
      async upsert(id, payload, expiresIn) {
        const { jti: _, ...rest } = payload;
        // A grant's id is no credential, and its owner is to see it.
        const kept = model === 'Grant' ? { ...rest, consent_id: id } : rest;
        // What is good once and was found unused is still used once only, of two requests that found it so at once.
        const isOnce = model === 'ReplayDetection';
        const written = await db.write(scope, (tx) =>
          tx.run(
            `insert into identity.oauth_artifacts as kept
               (tenant_id, environment, model, id_hash, payload, grant_id, uid, user_code, account_id, client_id, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, now() + make_interval(secs => $11))
             on conflict (tenant_id, environment, model, id_hash) do update
             set payload = excluded.payload, grant_id = excluded.grant_id, uid = excluded.uid,
                 user_code = excluded.user_code, account_id = excluded.account_id, client_id = excluded.client_id,
                 expires_at = excluded.expires_at
             where not $12 or kept.expires_at <= now()`,
            [
              ...own,
              model,
              hashArtifact(id),
              JSON.stringify(kept),
              payload.grantId ?? null,
              payload.uid ?? null,
              payload.userCode ?? null,
              payload.accountId ?? null,
              payload.clientId ?? null,
              expiresIn ?? null,
              isOnce,
            ],
          ),
        );
        if (written === 0) throw new errors.InvalidGrant('already used');
      },
      find: (id) => (model === 'Client' ? findClient(id) : find('id_hash = $4', hashArtifact(id), id)),
      findByUid: (uid) => find('uid = $4', uid),
      findByUserCode: (userCode) => find('user_code = $4', userCode),
      async consume(id) {
        // Of two who redeem the same code or token at once, one is refused.
        const consumed = await db.write(scope, (tx) =>
          tx.run(
            `update identity.oauth_artifacts set consumed_at = now()
             where tenant_id = $1 and environment = $2 and model = $3 and id_hash = $4 and consumed_at is null`,
            [...own, model, hashArtifact(id)],
          ),
        );
        if (consumed === 0) throw new errors.InvalidGrant('already used');
      },
      async destroy(id) {
        await db.write(scope, async (tx) => {
          if (model === 'Grant') return destroyGrant(tx, scope, id);
          await tx.run(
            `delete from identity.oauth_artifacts
             where tenant_id = $1 and environment = $2 and model = $3 and id_hash = $4`,
            [...own, model, hashArtifact(id)],
          );
        });
      },
      async revokeByGrantId(grantId) {
        await db.write(scope, async (tx) => {
          await tx.run(
            `delete from identity.oauth_artifacts
             where tenant_id = $1 and environment = $2 and model = $3 and grant_id = $4`,
            [...own, model, grantId],
          );
          await revokeTokens(tx, scope, grantId);
        });
      },
    };
  };
}

/** Most rows that one statement removes, so that it holds few locks and ends soon. */
const BATCH = 1_000;

/** Removes what has expired in one tenant's environment. A consumed token stays until then: its reuse must be noticed. */
export async function removeExpired(db: Database, scope: Scope): Promise<number> {
  let removed = 0;
  for (;;) {
    const count = await db.write(scope, async (tx) => {
      const artifactCount = await tx.run(
        `delete from identity.oauth_artifacts where tenant_id = $1 and environment = $2 and (model, id_hash) in (
           select model, id_hash from identity.oauth_artifacts
           where tenant_id = $1 and environment = $2 and expires_at < now() limit $3)`,
        [scope.tenant_id, scope.environment, BATCH],
      );
      await tx.run(
        'delete from identity.oauth_revocations where tenant_id = $1 and environment = $2 and expires_at < now()',
        [scope.tenant_id, scope.environment],
      );
      return artifactCount;
    });
    removed += count;
    if (count < BATCH) return removed;
  }
}
