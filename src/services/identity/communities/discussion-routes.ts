/** What is said in a community: by its developers below `/api/v2/portal`, by the institution below its community. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { Caller } from '../../../platform/access/caller.ts';
import { Page } from '../../../platform/cursor.ts';
import type { Database } from '../../../platform/db.ts';
import { ProblemBody } from '../../../platform/http.ts';
import { answerCreated, attemptOf, IdempotencyHeaders } from '../../../platform/idempotency.ts';
import { Id, uuidOf } from '../../../platform/ids.ts';
import {
  Announcement,
  AnnouncementRequest,
  announce,
  listAnnouncements,
  PageQuery,
  withdrawAnnouncement,
} from './announcements.ts';
import { getCommunity } from './communities.ts';
import { attemptOfOrganisation, ownOrganisation } from './organisations.ts';
import {
  AcceptRequest,
  AnswerRequest,
  acceptAnswer,
  answerQuestion,
  ask,
  getQuestion,
  HideRequest,
  hide,
  ListQuestionsQuery,
  listQuestions,
  type Place,
  Question,
  QuestionRequest,
  QuestionSummary,
} from './questions.ts';

const refusals = { '4xx': ProblemBody, '5xx': ProblemBody };
const CommunityParams = Type.Object({ community_id: Id('com') });
const AnnouncementParams = Type.Object({ community_id: Id('com'), announcement_id: Id('ann') });
const StaffQuestionParams = Type.Object({ community_id: Id('com'), question_id: Id('que') });
const QuestionParams = Type.Object({ question_id: Id('que') });

const speaker = ({ principal }: Caller) => ({ id: principal.id, name: principal.name });

/** What developers say and hear. */
export function portalDiscussionRoutes(db: Database): FastifyPluginAsyncTypebox {
  return async (app) => {
    const tags = ['Portal'];
    const base = '/api/v2/portal/questions';

    async function placeOf({ caller }: FastifyRequest): Promise<Required<Place>> {
      const { host, organisation } = await ownOrganisation(db, caller);
      return {
        scope: host,
        community_id: uuidOf('com', organisation.community_id),
        organisation_id: uuidOf('org', organisation.id),
      };
    }

    app.get(
      '/api/v2/portal/announcements',
      {
        config: { permission: 'portal:read' },
        schema: {
          summary: 'What the institution announces to the community, newest first',
          tags,
          querystring: PageQuery,
          response: { 200: Page(Announcement), ...refusals },
        },
      },
      async (request) => {
        const { scope, community_id } = await placeOf(request);
        return db.read(scope, (tx) => listAnnouncements(tx, scope, community_id, request.query, false));
      },
    );

    app.get(
      base,
      {
        config: { permission: 'portal:read' },
        schema: {
          summary: 'Questions of the community, newest first',
          tags,
          querystring: ListQuestionsQuery,
          response: { 200: Page(QuestionSummary), ...refusals },
        },
      },
      async (request) => {
        const place = await placeOf(request);
        return db.read(place.scope, (tx) => listQuestions(tx, place, request.query));
      },
    );

    app.post(
      base,
      {
        config: { permission: 'portal:ask' },
        schema: {
          summary: 'Ask the community something; all of it sees the question, and by whom',
          tags,
          headers: IdempotencyHeaders,
          body: QuestionRequest,
          response: { 201: Question, ...refusals },
        },
      },
      async (request, reply) => {
        const place = await placeOf(request);
        const attempt = attemptOfOrganisation(place.organisation_id, attemptOf(request, base));
        const by = speaker(request.caller);
        const { question, replayed } = await ask(db, place, by, request.body, attempt);
        request.audit({ subject: question.id, ...(replayed ? {} : { after: question }) });
        answerCreated(reply, `${base}/${question.id}`, replayed);
        return question;
      },
    );

    app.get(
      `${base}/:question_id`,
      {
        config: { permission: 'portal:read' },
        schema: {
          summary: 'A question of the community with its answers',
          tags,
          params: QuestionParams,
          response: { 200: Question, ...refusals },
        },
      },
      async (request) => {
        const place = await placeOf(request);
        const uuid = uuidOf('que', request.params.question_id);
        return db.read(place.scope, (tx) => getQuestion(tx, place, uuid));
      },
    );

    app.post(
      `${base}/:question_id/answers`,
      {
        config: { permission: 'portal:ask' },
        schema: {
          summary: 'Answer a question of the community',
          tags,
          params: QuestionParams,
          headers: IdempotencyHeaders,
          body: AnswerRequest,
          response: { 201: Question, ...refusals },
        },
      },
      async (request, reply) => {
        const { question_id } = request.params;
        const place = await placeOf(request);
        const path = `${base}/${question_id}/answers`;
        const attempt = attemptOfOrganisation(place.organisation_id, attemptOf(request, path));
        const uuid = uuidOf('que', question_id);
        const by = speaker(request.caller);
        const { before, question, replayed } = await answerQuestion(
          db,
          place,
          by,
          uuid,
          request.body,
          attempt,
        );
        request.audit({ subject: question.id, ...(replayed ? {} : { before, after: question }) });
        answerCreated(reply, `${base}/${question.id}`, replayed);
        return question;
      },
    );

    app.post(
      `${base}/:question_id/accept`,
      {
        config: { permission: 'portal:ask' },
        schema: {
          summary: 'Say which answer helped, to a question of the own organisation',
          tags,
          params: QuestionParams,
          body: AcceptRequest,
          response: { 200: Question, ...refusals },
        },
      },
      async (request) => {
        const place = await placeOf(request);
        const uuid = uuidOf('que', request.params.question_id);
        const { before, after } = await acceptAnswer(db, place, uuid, request.body);
        request.audit({ subject: after.id, before, after });
        return after;
      },
    );
  };
}

/** What the institution says to a community, and what it hides. */
export function communityDiscussionRoutes(db: Database): FastifyPluginAsyncTypebox {
  return async (app) => {
    const tags = ['Communities'];
    const base = '/api/v2/communities/:community_id';

    /** The community of the institution, which there is. */
    async function placeOf({ caller }: FastifyRequest, community_id: string): Promise<Place> {
      const uuid = uuidOf('com', community_id);
      await db.read(caller, (tx) => getCommunity(tx, caller, uuid));
      return {
        scope: { tenant_id: caller.tenant_id, environment: caller.environment },
        community_id: uuid,
      };
    }

    app.get(
      `${base}/announcements`,
      {
        config: { permission: 'communities:read' },
        schema: {
          summary: 'What was announced to a community, newest first',
          tags,
          params: CommunityParams,
          querystring: PageQuery,
          response: { 200: Page(Announcement), ...refusals },
        },
      },
      async (request) => {
        const { scope, community_id } = await placeOf(request, request.params.community_id);
        return db.read(scope, (tx) => listAnnouncements(tx, scope, community_id, request.query, true));
      },
    );

    app.post(
      `${base}/announcements`,
      {
        config: { permission: 'communities:edit' },
        schema: {
          summary: 'Announce something to a community',
          tags,
          params: CommunityParams,
          headers: IdempotencyHeaders,
          body: AnnouncementRequest,
          response: { 201: Announcement, ...refusals },
        },
      },
      async (request, reply) => {
        const { caller, params, body } = request;
        const path = `/api/v2/communities/${params.community_id}/announcements`;
        const uuid = uuidOf('com', params.community_id);
        const made = await announce(db, caller, uuid, body, attemptOf(request, path));
        const { announcement, replayed } = made;
        request.audit({ subject: announcement.id, ...(replayed ? {} : { after: announcement }) });
        answerCreated(reply, path, replayed);
        return announcement;
      },
    );

    app.post(
      `${base}/announcements/:announcement_id/withdraw`,
      {
        config: { permission: 'communities:edit' },
        schema: {
          summary: 'Take an announcement back',
          tags,
          params: AnnouncementParams,
          response: { 200: Announcement, ...refusals },
        },
      },
      async (request) => {
        const { caller, params } = request;
        const uuid = uuidOf('ann', params.announcement_id);
        const { before, after } = await withdrawAnnouncement(
          db,
          caller,
          uuidOf('com', params.community_id),
          uuid,
        );
        request.audit({ subject: after.id, before, after });
        return after;
      },
    );

    app.get(
      `${base}/questions`,
      {
        config: { permission: 'communities:read' },
        schema: {
          summary: 'Questions of a community, newest first, also those that are hidden',
          tags,
          params: CommunityParams,
          querystring: ListQuestionsQuery,
          response: { 200: Page(QuestionSummary), ...refusals },
        },
      },
      async (request) => {
        const place = await placeOf(request, request.params.community_id);
        return db.read(place.scope, (tx) => listQuestions(tx, place, request.query));
      },
    );

    app.get(
      `${base}/questions/:question_id`,
      {
        config: { permission: 'communities:read' },
        schema: {
          summary: 'A question of a community with its answers',
          tags,
          params: StaffQuestionParams,
          response: { 200: Question, ...refusals },
        },
      },
      async (request) => {
        const { community_id, question_id } = request.params;
        const place = await placeOf(request, community_id);
        return db.read(place.scope, (tx) => getQuestion(tx, place, uuidOf('que', question_id)));
      },
    );

    app.post(
      `${base}/questions/:question_id/answers`,
      {
        config: { permission: 'questions:answer' },
        schema: {
          summary: 'Answer a question for the institution',
          tags,
          params: StaffQuestionParams,
          headers: IdempotencyHeaders,
          body: AnswerRequest,
          response: { 201: Question, ...refusals },
        },
      },
      async (request, reply) => {
        const { community_id, question_id } = request.params;
        const place = await placeOf(request, community_id);
        const path = `/api/v2/communities/${community_id}/questions/${question_id}`;
        const uuid = uuidOf('que', question_id);
        const { before, question, replayed } = await answerQuestion(
          db,
          place,
          speaker(request.caller),
          uuid,
          request.body,
          attemptOf(request, `${path}/answers`),
        );
        request.audit({ subject: question.id, ...(replayed ? {} : { before, after: question }) });
        answerCreated(reply, path, replayed);
        return question;
      },
    );

    app.post(
      `${base}/questions/:question_id/hide`,
      {
        config: { permission: 'questions:moderate' },
        schema: {
          summary: 'Hide a question, or one of its answers, from the community',
          tags,
          params: StaffQuestionParams,
          body: HideRequest,
          response: { 200: Question, ...refusals },
        },
      },
      async (request) => {
        const { caller, params, body } = request;
        const place = await placeOf(request, params.community_id);
        const uuid = uuidOf('que', params.question_id);
        const { before, after } = await hide(db, place, caller.principal.id, uuid, body);
        request.audit({ subject: after.id, before, after });
        return after;
      },
    );
  };
}
