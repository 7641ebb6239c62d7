/** Every page of the console. Each is loaded when it is first opened. */
import { createBrowserRouter, type RouteObject } from 'react-router';
import { NotFound, PageFailed } from './shell/page-failed.tsx';
import { Shell } from './shell/shell.tsx';

/** A page that a module exports under the name `Page`. */
function page(path: string, load: () => Promise<{ Page: () => React.ReactNode }>): RouteObject {
  return {
    path,
    errorElement: <PageFailed />,
    lazy: async () => ({ Component: (await load()).Page }),
  };
}

export const router = createBrowserRouter(
  [
    {
      path: '/',
      element: <Shell />,
      errorElement: <PageFailed />,
      // What is shown until the first page is there.
      hydrateFallbackElement: <></>,
      children: [
        page('', () => import('./home/home.tsx')),
        page('accounts', () => import('./ledger/accounts.tsx')),
        page('accounts/:account_id', () => import('./ledger/account.tsx')),
        page('transfers', () => import('./ledger/transfers.tsx')),
        page('transfers/:transfer_id', () => import('./ledger/transfer.tsx')),
        page('transfers/upload', () => import('./ledger/upload.tsx')),
        page('transfers/new', () => import('./ledger/new-transfer.tsx')),
        page('attempts', () => import('./ledger/attempts.tsx')),
        page('attempts/:key', () => import('./ledger/attempt.tsx')),
        page('holds', () => import('./ledger/holds.tsx')),
        page('holds/:hold_id', () => import('./ledger/hold.tsx')),
        page('approvals', () => import('./approvals/approvals.tsx')),
        page('approvals/:proposal_id', () => import('./approvals/approval.tsx')),
        page('trial-balance', () => import('./reports/trial-balance.tsx')),
        page('chart-of-accounts', () => import('./reports/chart-of-accounts.tsx')),
        page('periods', () => import('./reports/periods.tsx')),
        page('periods/:period_close_id', () => import('./reports/period.tsx')),
        page('integrity', () => import('./reports/integrity.tsx')),
        page('people', () => import('./access/people.tsx')),
        page('people/:person_id', () => import('./access/person.tsx')),
        page('invitations', () => import('./access/invitations.tsx')),
        page('grants', () => import('./access/grants.tsx')),
        page('roles', () => import('./access/roles.tsx')),
        page('roles/:role', () => import('./access/role.tsx')),
        page('api-keys', () => import('./access/keys.tsx')),
        page('api-keys/:key_id', () => import('./access/key.tsx')),
        page('applications', () => import('./access/applications.tsx')),
        page('applications/:application_id', () => import('./access/application.tsx')),
        page('devices', () => import('./access/devices.tsx')),
        page('audit', () => import('./access/audit.tsx')),
        page('audit/:record_id', () => import('./access/audit-record.tsx')),
        page('me', () => import('./access/me.tsx')),
        page('webhooks', () => import('./webhooks/endpoints.tsx')),
        page('webhooks/:endpoint_id', () => import('./webhooks/endpoint.tsx')),
        page('webhook-deliveries', () => import('./webhooks/deliveries.tsx')),
        page('webhook-deliveries/:delivery_id', () => import('./webhooks/delivery.tsx')),
        page('usage', () => import('./usage/usage.tsx')),
        page('usage/requests', () => import('./usage/requests.tsx')),
        page('events', () => import('./platform/events.tsx')),
        page('events/:event_id', () => import('./platform/event.tsx')),
        page('held-events', () => import('./platform/held-events.tsx')),
        page('held-events/:consumer/:event_id', () => import('./platform/held-event.tsx')),
        page('jobs', () => import('./platform/jobs.tsx')),
        page('jobs/:job', () => import('./platform/job.tsx')),
        page('system-jobs', () => import('./platform/system-jobs.tsx')),
        page('system-jobs/:job', () => import('./platform/system-job.tsx')),
        page('tenants', () => import('./platform/tenants.tsx')),
        page('tenants/:tenant_id', () => import('./platform/tenant.tsx')),
        page('plans', () => import('./platform/plans.tsx')),
        page('plans/:plan', () => import('./platform/plan.tsx')),
        page('settings', () => import('./platform/settings.tsx')),
        page('sandbox', () => import('./platform/sandbox.tsx')),
        page('messages', () => import('./notifications/messages.tsx')),
        page('messages/:message_id', () => import('./notifications/message.tsx')),
        page('templates', () => import('./notifications/templates.tsx')),
        page('templates/:template_id', () => import('./notifications/template.tsx')),
        page('recipients', () => import('./notifications/recipients.tsx')),
        page('recipients/:recipient_id', () => import('./notifications/recipient.tsx')),
        { path: '*', element: <NotFound /> },
      ],
    },
  ],
  { basename: '/console' },
);
