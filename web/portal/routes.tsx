/** Every page of the portal. Each is loaded when it is first opened. */
import { createBrowserRouter } from 'react-router';
import { page } from '../ui/shell/page.tsx';
import { NotFound, PageFailed } from '../ui/shell/page-failed.tsx';
import { Root, SignedIn } from './root.tsx';

export const router = createBrowserRouter(
  [
    {
      path: '/',
      element: <Root />,
      errorElement: <PageFailed />,
      // What is shown until the first page is there.
      hydrateFallbackElement: <></>,
      children: [
        page('', () => import('./front/start.tsx')),
        page('verify', () => import('./front/verify.tsx')),
        page(':slug', () => import('./front/community.tsx')),
        page(':slug/sign-up', () => import('./front/sign-up.tsx')),
        page('explore', () => import('./explore/products.tsx')),
        page('explore/:product', () => import('./explore/product.tsx')),
        page('explore/:product/:operation', () => import('./explore/operation.tsx')),
        page('event-types', () => import('./explore/event-types.tsx')),
        page('event-types/:type', () => import('./explore/event-type.tsx')),
        page('errors', () => import('./explore/errors.tsx')),
        page('errors/:code', () => import('./explore/error.tsx')),
        page('changelog', () => import('./explore/changelog.tsx')),
        page('status', () => import('./explore/status.tsx')),
        {
          element: <SignedIn />,
          children: [
            page('applications', () => import('./applications/applications.tsx')),
            page('applications/:application_id', () => import('./applications/application.tsx')),
            page('api-keys', () => import('../ui/access/keys.tsx')),
            page('api-keys/:key_id', () => import('../ui/access/key.tsx')),
            page('webhooks', () => import('../ui/webhooks/endpoints.tsx')),
            page('webhooks/:endpoint_id', () => import('../ui/webhooks/endpoint.tsx')),
            page('webhook-deliveries', () => import('../ui/webhooks/deliveries.tsx')),
            page('webhook-deliveries/:delivery_id', () => import('../ui/webhooks/delivery.tsx')),
            page('events', () => import('../ui/events/events.tsx')),
            page('events/:event_id', () => import('../ui/events/event.tsx')),
            page('usage', () => import('./usage/usage.tsx')),
            page('usage/requests', () => import('../ui/usage/requests.tsx')),
            page('questions', () => import('./community/questions.tsx')),
            page('questions/:question_id', () => import('./community/question.tsx')),
            page('announcements', () => import('./community/announcements.tsx')),
            page('live', () => import('./live/live.tsx')),
            page('sandbox', () => import('./sandbox/sandbox.tsx')),
            page('people', () => import('../ui/access/people.tsx')),
            page('people/:person_id', () => import('../ui/access/person.tsx')),
            page('roles/:role', () => import('../ui/access/role.tsx')),
            page('invitations', () => import('../ui/access/invitations.tsx')),
            page('inbox', () => import('../ui/inbox/inbox.tsx')),
            page('me', () => import('../ui/access/me.tsx')),
          ],
        },
        { path: '*', element: <NotFound /> },
      ],
    },
  ],
  { basename: '/portal' },
);
