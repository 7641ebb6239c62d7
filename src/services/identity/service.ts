import { fileURLToPath } from 'node:url';
import type { Authenticator } from '../../platform/access/access.ts';
import { fetchThrough } from '../../platform/outgoing.ts';
import { openSecrets } from '../../platform/secret.ts';
import { defineService, type Service, type ServiceContext } from '../../platform/service.ts';
import { ledgerPort } from '../ledger/contract.ts';
import { notificationsPort } from '../notifications/contract.ts';
import { apiKeyRoutes } from './api-key-routes.ts';
import { communityRoutes } from './communities/community-routes.ts';
import { communityDiscussionRoutes, portalDiscussionRoutes } from './communities/discussion-routes.ts';
import { communityInvitationRoutes } from './communities/invitation-routes.ts';
import { removeOldCommunityInvitations } from './communities/invitations.ts';
import { portalRoutes } from './communities/portal-routes.ts';
import { removeOldSignUps } from './communities/sign-up.ts';
import { signUpRoutes } from './communities/sign-up-routes.ts';
import { deviceAuthenticator } from './devices/authenticator.ts';
import { deviceRoutes } from './devices/routes.ts';
import { encryptedColumns } from './encrypted-columns.ts';
import { refuse } from './errors.ts';
import { events } from './events.ts';
import { type OAuth, openOAuth } from './oauth/oauth.ts';
import type { People as OAuthPeople } from './oauth/person.ts';
import { openPeople, type People } from './people/people.ts';
import { signInRecorder } from './people/sign-in-trail.ts';
import { permissions } from './permissions.ts';
import { planRoutes } from './plan-routes.ts';
import { personExists } from './roles/person.ts';
import { grantRoutes, roleRoutes } from './roles/routes.ts';
import { ownNoticesRoutes, selfRoutes } from './self.ts';
import { sandboxRoutes } from './tenants/sandbox-routes.ts';
import { tenantRoutes } from './tenants/tenant-routes.ts';
import { openUsedProofs } from './used-proofs.ts';

/** What the service stands on, for its own process and for those that know its callers without running it. */
async function openIdentity(
  context: ServiceContext,
  knownToApplications: OAuthPeople | undefined,
): Promise<{ people: People; oauth: OAuth; authenticators: readonly Authenticator[] }> {
  const { db, permissions, config, log, scopes, publicUrl, outgoing, audit } = context;
  const guardedFetch = fetchThrough(outgoing);
  const secrets = openSecrets({ keys: config.identity_encryption_keys, data_dir: config.data_dir });
  const people = await openPeople({
    db,
    permissions,
    secrets,
    config,
    scopes,
    publicUrl,
    outgoing: guardedFetch,
    onSignIn: signInRecorder({ db, audit, log }),
    audit,
  });
  const usedProofs = openUsedProofs(db);
  const oauth = openOAuth({
    db,
    permissions,
    secrets,
    people: knownToApplications ?? people,
    config,
    log,
    scopes,
    publicUrl,
    fetch: guardedFetch,
    usedProofs,
  });
  return {
    people,
    oauth,
    authenticators: [
      people.authenticator,
      oauth.authenticator,
      deviceAuthenticator({ db, permissions, usedProofs, publicUrl }),
    ],
  };
}

/** The service, with another way for applications to know people than their sessions. */
export function identityWith(knownToApplications?: OAuthPeople): Service {
  return defineService({
    name: 'identity',
    migrations: fileURLToPath(new URL('migrations', import.meta.url)),
    problems: refuse.types,
    permissions,
    jobs: {
      'identity.remove_expired_sign_ins': {
        meaning:
          'Removes sessions that ended long ago, attempts to sign in or up that nobody finished, and who was invited into a community and never came',
        per: 'system',
        schedule: { every_s: 600 },
      },
      'identity.remove_expired_tokens': {
        meaning:
          'Removes codes, tokens and grants of OAuth that have expired, and replaces signing keys that are old',
        per: 'system',
        schedule: { every_s: 600 },
      },
    },
    encrypted: encryptedColumns,
    publishes: events,
    requires: [ledgerPort],
    // Signing up needs mail; nothing else does.
    may_ask: [notificationsPort],
    authenticatorsElsewhere: async (context) =>
      (await openIdentity(context, knownToApplications)).authenticators,
    async start(context) {
      const { db, permissions: catalogue, limits, sandboxes, seeds, findPrincipal, publicUrl } = context;
      const { people, oauth, authenticators } = await openIdentity(context, knownToApplications);
      const askLedger = context.port(ledgerPort);
      const askNotifications = context.port(notificationsPort);
      const access = { db, permissions: catalogue, findPrincipal, publicUrl, askLedger, askNotifications };
      return {
        routes: async (app) => {
          await app.register(selfRoutes);
          await app.register(ownNoticesRoutes({ askNotifications, findPerson: people.findPerson }));
          await app.register(apiKeyRoutes({ db, permissions: catalogue }));
          await app.register(deviceRoutes({ db, permissions: catalogue }));
          await app.register(people.routes);
          await app.register(roleRoutes({ db, permissions: catalogue }));
          await app.register(grantRoutes({ db, permissions: catalogue, personExists }));
          await app.register(planRoutes(db, limits));
          await app.register(tenantRoutes(db));
          await app.register(sandboxRoutes({ sandboxes, seeds, askLedger }));
          await app.register(signUpRoutes({ ...access, log: context.log }));
          await app.register(communityRoutes(access));
          await app.register(communityInvitationRoutes(access));
          await app.register(portalRoutes({ ...access, audit: context.audit, limits, usage: context.usage }));
          await app.register(communityDiscussionRoutes(db));
          await app.register(portalDiscussionRoutes(db));
          await app.register(oauth.routes);
        },
        authenticators,
        jobs: {
          'identity.remove_expired_sign_ins': {
            run: async ({ signal }) => {
              await people.sweep(signal);
              for (const scope of await context.scopes()) {
                if (signal.aborted) break;
                await removeOldSignUps(db, scope);
                await removeOldCommunityInvitations(db, scope);
              }
              return undefined;
            },
          },
          'identity.remove_expired_tokens': {
            run: async ({ signal }) => ({ artifacts: await oauth.sweep(signal) }),
          },
        },
        stop: () => Promise.resolve(),
      };
    },
  });
}

export const identity = identityWith();
