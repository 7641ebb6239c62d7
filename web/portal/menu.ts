/** What the portal has for developers who are signed in, in the order of the menu. */
import {
  Activity,
  AppWindow,
  Bell,
  BookOpen,
  ChartColumn,
  CircleQuestionMark,
  FlaskConical,
  HeartPulse,
  House,
  KeyRound,
  Mail,
  Megaphone,
  OctagonAlert,
  Radio,
  Rocket,
  ScrollText,
  Send,
  UserRound,
  Users,
  Webhook,
} from 'lucide-react';
import type { MenuGroup, Place } from '../ui/shell/place.ts';

const menu: readonly MenuGroup[] = [
  { pages: [{ word: 'home', to: '/', icon: House, key: 'h' }] },
  {
    word: 'explore',
    pages: [
      { word: 'api_products', to: '/explore', icon: BookOpen, key: 'x' },
      { word: 'event_types', to: '/event-types', icon: Radio, key: 'y' },
      { word: 'errors', to: '/errors', icon: OctagonAlert, key: 'o' },
      { word: 'changelog', to: '/changelog', icon: ScrollText },
      { word: 'service_status', to: '/status', icon: HeartPulse },
    ],
  },
  {
    word: 'build',
    pages: [
      {
        word: 'applications',
        to: '/applications',
        icon: AppWindow,
        permission: 'applications:read',
        key: 'a',
      },
      { word: 'api_keys', to: '/api-keys', icon: KeyRound, permission: 'api_keys:read', key: 'k' },
      { word: 'endpoints', to: '/webhooks', icon: Webhook, permission: 'webhooks:read', key: 'w' },
      { word: 'deliveries', to: '/webhook-deliveries', icon: Send, permission: 'webhooks:read' },
      { word: 'events', to: '/events', icon: Activity, permission: 'events:read', key: 'e' },
      { word: 'sandbox_tools', to: '/sandbox', icon: FlaskConical, permission: 'sandbox:read', key: 's' },
      { word: 'usage', to: '/usage', icon: ChartColumn, permission: 'usage:read', key: 'u' },
      { word: 'go_live', to: '/live', icon: Rocket, permission: 'portal:read', key: 'l' },
    ],
  },
  {
    word: 'team',
    pages: [
      { word: 'people', to: '/people', icon: Users, permission: 'people:read', key: 'p' },
      { word: 'invitations', to: '/invitations', icon: Mail, permission: 'invitations:read' },
      { word: 'inbox', to: '/inbox', icon: Bell },
      { word: 'me', to: '/me', icon: UserRound },
    ],
  },
  {
    word: 'community',
    pages: [
      {
        word: 'questions',
        to: '/questions',
        icon: CircleQuestionMark,
        permission: 'portal:read',
        key: 'q',
      },
      { word: 'announcements', to: '/announcements', icon: Megaphone, permission: 'portal:read' },
    ],
  },
];

const pageOfId: Place['pageOfId'] = {
  usr: (id) => `/people/${id}`,
  key: (id) => `/api-keys/${id}`,
  app: (id) => `/applications/${id}`,
  whk: (id) => `/webhooks/${id}`,
  dlv: (id) => `/webhook-deliveries/${id}`,
  evt: (id) => `/events/${id}`,
};

/** Those of a bank, such as who decides about credit, mean nothing to a team of developers. */
const roles = ['administrator', 'developer', 'auditor'];

export const place: Place = { base: '/portal', menu, pageOfId, roles };
