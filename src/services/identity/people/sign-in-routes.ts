/** Every endpoint by which people come in, out, and look after how they sign in. None is under /api/: they have no caller. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Static, Type } from 'typebox';
import { comesFromOwnPage, Text } from '../../../platform/http.ts';
import { formatId, Id, uuidOf } from '../../../platform/ids.ts';
import { refuse as refuseRequest } from '../../../platform/problem.ts';
import { refuse } from '../errors.ts';
import { acceptInvitation, Email, findInvitation, notGood, PersonName } from './invitation.ts';
import { openOwnChanges } from './own-changes.ts';
import {
  AuthenticationResponse,
  addPasskey,
  beginPasskey,
  CeremonyOptions,
  listPasskeys,
  Passkey,
  PasskeyRequest,
  passkeySignInOptions,
  removePasskey,
} from './passkey.ts';
import { assertGoodPassword, PASSWORD_MAX_CHARACTERS } from './password.ts';
import { completePasswordReset } from './password-reset.ts';
import { RecoveryCode, RecoveryCodes, replaceRecoveryCodes } from './recovery-code.ts';
import { assertFresh, endSessions, listSessions, originOf, Session, type SignedIn } from './session.ts';
import {
  factorsOf,
  findPending,
  refused,
  SignInAnswer,
  type SignInOutcome,
  type SigningIn,
  showSecondFactor,
  signInWithPasskey,
  signInWithPassword,
} from './sign-in.ts';
import { accountThrottle, admit, forgive } from './throttle.ts';
import { TOKEN_PATTERN } from './token.ts';
import { beginTotp, TotpCode, TotpEnrolment, takeTotpCode } from './totp.ts';

const Password = Text({ min: 1, max: PASSWORD_MAX_CHARACTERS, description: 'Password' });
const SignInToken = Type.String({
  pattern: TOKEN_PATTERN,
  description: '`sign_in` of the answer to the password',
});
const closed = { additionalProperties: false };

const Me = Type.Object({
  id: Id('usr'),
  email: Type.String(),
  name: Type.String(),
  tenant_id: Id('ten'),
  tenant_name: Type.String(),
  environment: Type.Union([Type.Literal('sandbox'), Type.Literal('live')]),
  second_factors: Type.Array(
    Type.Union([Type.Literal('totp'), Type.Literal('passkey'), Type.Literal('recovery_code')]),
  ),
  session: Type.Object({ id: Id('ses'), created_at: Type.String(), expires_at: Type.String() }),
});

/** Gives the browser its cookie where somebody signed in, and says what came of it. */
function answerOf(
  { sessions }: Pick<SigningIn, 'sessions'>,
  request: FastifyRequest,
  reply: FastifyReply,
  outcome: SignInOutcome,
): Static<typeof SignInAnswer> {
  if (outcome.status === 'second_factor_required') return outcome;
  sessions.setCookie(request, reply, outcome.token);
  return { status: outcome.status, session: outcome.session };
}

function assertOwnPage(request: FastifyRequest): void {
  if (!comesFromOwnPage(request)) {
    throw refuseRequest('forbidden', 'With a session this may only be asked by a page of this site.');
  }
}

export function signInRoutes(signingIn: SigningIn & { idle_s: number }): FastifyPluginAsyncTypebox {
  return async (app) => {
    const { db, passwords, secrets, sessions, publicUrl, idle_s, audit } = signingIn;
    const changes = openOwnChanges(audit);
    app.addHook('onSend', changes.record);
    const scopeOf = ({ tenant_id }: { tenant_id: string }) => ({
      tenant_id,
      environment: 'sandbox' as const,
    });

    app.post(
      '/identity/sign-in',
      {
        schema: {
          hide: true,
          body: Type.Object(
            {
              email: Text({ min: 1, max: 254 }),
              password: Password,
              tenant_id: Type.Optional(Id('ten')),
            },
            closed,
          ),
          response: { 200: SignInAnswer },
        },
      },
      async (request, reply) => {
        const { email, password, tenant_id } = request.body;
        const outcome = await signInWithPassword(
          signingIn,
          { email, password, ...(tenant_id === undefined ? {} : { tenant_id: uuidOf('ten', tenant_id) }) },
          originOf(request),
        );
        return answerOf(signingIn, request, reply, outcome);
      },
    );

    app.post(
      '/identity/sign-in/totp',
      {
        schema: {
          hide: true,
          body: Type.Object({ sign_in: SignInToken, code: TotpCode }, closed),
          response: { 200: SignInAnswer },
        },
      },
      async (request, reply) => {
        const { sign_in, code } = request.body;
        const outcome = await showSecondFactor(signingIn, sign_in, { totp: code }, originOf(request));
        return answerOf(signingIn, request, reply, outcome);
      },
    );

    app.post(
      '/identity/sign-in/recovery-code',
      {
        schema: {
          hide: true,
          body: Type.Object({ sign_in: SignInToken, code: RecoveryCode }, closed),
          response: { 200: SignInAnswer },
        },
      },
      async (request, reply) => {
        const { sign_in, code } = request.body;
        const outcome = await showSecondFactor(
          signingIn,
          sign_in,
          { recovery_code: code },
          originOf(request),
        );
        return answerOf(signingIn, request, reply, outcome);
      },
    );

    app.post(
      '/identity/sign-in/passkey/options',
      {
        schema: {
          hide: true,
          body: Type.Object({ sign_in: Type.Optional(SignInToken) }, closed),
          response: { 200: CeremonyOptions },
        },
      },
      async ({ body }) => {
        if (body.sign_in === undefined) return passkeySignInOptions({ db, publicUrl }, undefined);
        const person = await findPending(db, body.sign_in);
        if (person === undefined) throw refused();
        return passkeySignInOptions({ db, publicUrl }, person);
      },
    );

    app.post(
      '/identity/sign-in/passkey',
      {
        schema: {
          hide: true,
          body: Type.Object(
            { sign_in: Type.Optional(SignInToken), credential: AuthenticationResponse },
            closed,
          ),
          response: { 200: SignInAnswer },
        },
      },
      async (request, reply) => {
        const { sign_in, credential } = request.body;
        const outcome =
          sign_in === undefined
            ? await signInWithPasskey(signingIn, credential, originOf(request))
            : await showSecondFactor(signingIn, sign_in, { passkey: credential }, originOf(request));
        return answerOf(signingIn, request, reply, outcome);
      },
    );

    app.post(
      '/identity/invitations/accept',
      {
        schema: {
          hide: true,
          body: Type.Object(
            { token: Type.String({ minLength: 1, maxLength: 100 }), name: PersonName, password: Password },
            closed,
          ),
          response: {
            201: Type.Object({
              person_id: Id('usr'),
              tenant_id: Id('ten'),
              email: Email,
              name: Type.String(),
            }),
          },
        },
      },
      async (request, reply) => {
        const { token, name, password } = request.body;
        const invitation = await findInvitation(db, token);
        if (invitation === undefined) throw notGood();
        assertGoodPassword(password, { email: invitation.email, name }, '/password');
        const password_hash = await passwords.hash(password);
        await changes.note(request, {
          tenant_id: invitation.scope.tenant_id,
          name,
          subject: formatId('inv', invitation.id),
        });
        const uuid = await db.write(invitation.scope, (tx) =>
          acceptInvitation(tx, invitation, { name, password_hash }),
        );
        reply.code(201);
        return {
          person_id: formatId('usr', uuid),
          tenant_id: formatId('ten', invitation.scope.tenant_id),
          email: invitation.email,
          name,
        };
      },
    );

    app.post(
      '/identity/password-resets/complete',
      {
        schema: {
          hide: true,
          body: Type.Object(
            { token: Type.String({ minLength: 1, maxLength: 100 }), password: Password },
            closed,
          ),
        },
      },
      async (request, reply) => {
        const { token, password } = request.body;
        await completePasswordReset({ db, passwords }, token, password, (who) => changes.note(request, who));
        sessions.forget();
        return reply.code(204).send();
      },
    );

    app.post('/identity/sign-out', { schema: { hide: true } }, async (request, reply) => {
      assertOwnPage(request);
      const signed = await sessions.find(request);
      if (signed !== undefined) {
        await changes.note(request, signed);
        await db.write(scopeOf(signed), (tx) =>
          endSessions(tx, signed, { only: signed.session_id }, formatId('usr', signed.person_id)),
        );
        sessions.forget();
      }
      sessions.clearCookie(request, reply);
      return reply.code(204).send();
    });

    /** Whose session it is, where what is asked changes something. */
    const acting = async (request: FastifyRequest): Promise<SignedIn> => {
      assertOwnPage(request);
      const signed = await sessions.get(request);
      await changes.note(request, signed);
      return signed;
    };
    const actingFresh = async (request: FastifyRequest): Promise<SignedIn> => {
      const signed = await acting(request);
      assertFresh(signed);
      return signed;
    };

    app.get('/identity/me', { schema: { hide: true, response: { 200: Me } } }, async (request) => {
      const signed = await sessions.get(request);
      return {
        id: formatId('usr', signed.person_id),
        email: signed.email,
        name: signed.name,
        tenant_id: formatId('ten', signed.tenant_id),
        tenant_name: signed.tenant_name,
        environment: signed.environment,
        second_factors: await db.read(scopeOf(signed), (tx) => factorsOf(tx, signed)),
        session: {
          id: formatId('ses', signed.session_id),
          created_at: signed.created_at,
          expires_at: signed.expires_at,
        },
      };
    });

    app.post(
      '/identity/me/environment',
      {
        schema: {
          hide: true,
          body: Type.Object(
            { environment: Type.Union([Type.Literal('sandbox'), Type.Literal('live')]) },
            closed,
          ),
        },
      },
      async (request, reply) => {
        const signed = await acting(request);
        await db.write(scopeOf(signed), (tx) =>
          tx.run('update identity.sessions set environment = $3 where tenant_id = $1 and id = $2', [
            signed.tenant_id,
            signed.session_id,
            request.body.environment,
          ]),
        );
        sessions.forget();
        return reply.code(204).send();
      },
    );

    app.post(
      '/identity/me/password',
      {
        schema: {
          hide: true,
          body: Type.Object({ current_password: Password, new_password: Password }, closed),
        },
      },
      async (request, reply) => {
        const signed = await acting(request);
        const { current_password, new_password } = request.body;
        const HashRow = Type.Object({ password_hash: Type.Union([Type.String(), Type.Null()]) });
        const [row] = await db.read(scopeOf(signed), (tx) =>
          tx.rows(HashRow, 'select password_hash from identity.people where tenant_id = $1 and id = $2', [
            signed.tenant_id,
            signed.person_id,
          ]),
        );
        // As at the door: whoever found a session open shall not find the password out.
        const throttle = accountThrottle(signed.email);
        const isAdmitted = await admit(db, throttle);
        const isRight = await passwords.verify(row?.password_hash ?? null, current_password);
        if (!isAdmitted || !isRight) throw refused();
        await forgive(db, throttle);
        assertGoodPassword(new_password, signed, '/new_password');
        const hashed = await passwords.hash(new_password);
        await db.write(scopeOf(signed), async (tx) => {
          const changed = await tx.run(
            `update identity.people set password_hash = $3, password_changed_at = now()
             where tenant_id = $1 and id = $2 and password_hash = $4`,
            [signed.tenant_id, signed.person_id, hashed, row?.password_hash],
          );
          // It was changed meanwhile.
          if (changed === 0) throw refused();
          await tx.run('delete from identity.pending_sign_ins where tenant_id = $1 and person_id = $2', [
            signed.tenant_id,
            signed.person_id,
          ]);
          await endSessions(tx, signed, { except: signed.session_id }, formatId('usr', signed.person_id));
        });
        sessions.forget();
        return reply.code(204).send();
      },
    );

    app.get(
      '/identity/me/sessions',
      { schema: { hide: true, response: { 200: Type.Object({ data: Type.Array(Session) }) } } },
      async (request) => {
        const signed = await sessions.get(request);
        const data = await db.read(scopeOf(signed), (tx) =>
          listSessions(tx, signed, { idle_s, current: signed.session_id }),
        );
        return { data };
      },
    );

    app.post(
      '/identity/me/sessions/end',
      {
        schema: {
          hide: true,
          body: Type.Object(
            { session_id: Type.Optional(Id('ses', 'The session to end; absent means all others')) },
            closed,
          ),
        },
      },
      async (request, reply) => {
        const signed = await acting(request);
        const { session_id } = request.body;
        const which =
          session_id === undefined ? { except: signed.session_id } : { only: uuidOf('ses', session_id) };
        await db.write(scopeOf(signed), (tx) =>
          endSessions(tx, signed, which, formatId('usr', signed.person_id)),
        );
        sessions.forget();
        return reply.code(204).send();
      },
    );

    app.post(
      '/identity/me/totp',
      { schema: { hide: true, response: { 201: TotpEnrolment } } },
      async (request, reply) => {
        const enrolment = await beginTotp({ db, secrets }, await actingFresh(request));
        reply.code(201);
        return enrolment;
      },
    );

    app.post(
      '/identity/me/totp/confirm',
      {
        schema: {
          hide: true,
          body: Type.Object({ code: TotpCode }, closed),
          response: { 200: RecoveryCodes },
        },
      },
      async (request) => {
        const signed = await actingFresh(request);
        const recovery_codes = await db.write(scopeOf(signed), async (tx) => {
          const enrolling = await tx.run(
            'select from identity.totp where tenant_id = $1 and person_id = $2 and confirmed_at is null',
            [signed.tenant_id, signed.person_id],
          );
          if (enrolling === 0) throw refuse('totp_not_enrolled', 'No authenticator app is being enrolled.');
          if (!(await takeTotpCode(tx, secrets, signed, request.body.code, 'unconfirmed'))) {
            throw refuse('code_refused', 'This is not the code that the app shows now.');
          }
          return replaceRecoveryCodes(tx, signed);
        });
        // What they may do may depend on it.
        sessions.forget();
        return { recovery_codes };
      },
    );

    app.post('/identity/me/totp/remove', { schema: { hide: true } }, async (request, reply) => {
      const signed = await actingFresh(request);
      await db.write(scopeOf(signed), (tx) =>
        tx.run('delete from identity.totp where tenant_id = $1 and person_id = $2', [
          signed.tenant_id,
          signed.person_id,
        ]),
      );
      sessions.forget();
      return reply.code(204).send();
    });

    app.post(
      '/identity/me/recovery-codes',
      { schema: { hide: true, response: { 200: RecoveryCodes } } },
      async (request) => {
        const signed = await actingFresh(request);
        const recovery_codes = await db.write(scopeOf(signed), async (tx) => {
          if ((await factorsOf(tx, signed)).length === 0) {
            throw refuse('second_factor_required', 'Enrol an authenticator app or a passkey first.');
          }
          return replaceRecoveryCodes(tx, signed);
        });
        return { recovery_codes };
      },
    );

    app.get(
      '/identity/me/passkeys',
      { schema: { hide: true, response: { 200: Type.Object({ data: Type.Array(Passkey) }) } } },
      async (request) => {
        const signed = await sessions.get(request);
        return { data: await db.read(scopeOf(signed), (tx) => listPasskeys(tx, signed)) };
      },
    );

    app.post(
      '/identity/me/passkeys/options',
      { schema: { hide: true, response: { 200: CeremonyOptions } } },
      async (request) => {
        const options = await beginPasskey({ db, publicUrl }, await actingFresh(request));
        return { ...options };
      },
    );

    app.post(
      '/identity/me/passkeys',
      { schema: { hide: true, body: PasskeyRequest, response: { 201: Passkey } } },
      async (request, reply) => {
        const passkey = await addPasskey({ db, publicUrl }, await actingFresh(request), request.body);
        sessions.forget();
        reply.code(201);
        return passkey;
      },
    );

    app.post(
      '/identity/me/passkeys/:passkey_id/remove',
      { schema: { hide: true, params: Type.Object({ passkey_id: Id('psk') }) } },
      async (request, reply) => {
        const signed = await actingFresh(request);
        await db.write(scopeOf(signed), (tx) =>
          removePasskey(tx, signed, uuidOf('psk', request.params.passkey_id)),
        );
        sessions.forget();
        return reply.code(204).send();
      },
    );
  };
}
