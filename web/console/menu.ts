/** What the console has, in the order of the menu: who may not see a page is not led to it. */
import {
  Activity,
  AppWindow,
  ArrowLeftRight,
  BadgeCheck,
  Building2,
  ChartColumn,
  Cog,
  Contact,
  FileText,
  FlaskConical,
  Gauge,
  Hourglass,
  House,
  KeyRound,
  Landmark,
  ListTree,
  Mail,
  MessageSquare,
  OctagonPause,
  Scale,
  ScrollText,
  Send,
  SendHorizontal,
  ServerCog,
  Settings,
  ShieldCheck,
  Smartphone,
  Stamp,
  UserRound,
  Users,
  Webhook,
} from 'lucide-react';
import type { MenuGroup, Place } from '../ui/shell/place.ts';

const menu: readonly MenuGroup[] = [
  {
    pages: [
      { word: 'home', to: '/', icon: House, key: 'h' },
      { word: 'approvals', to: '/approvals', icon: Stamp, permission: 'proposals:read', key: 'i' },
    ],
  },
  {
    word: 'ledger',
    pages: [
      { word: 'accounts', to: '/accounts', icon: Landmark, permission: 'accounts:read', key: 'a' },
      { word: 'transfers', to: '/transfers', icon: ArrowLeftRight, permission: 'transfers:read', key: 't' },
      {
        word: 'new_transfer',
        to: '/transfers/new',
        icon: SendHorizontal,
        permission: 'transfers:post',
        key: 'n',
      },
      { word: 'holds', to: '/holds', icon: Hourglass, permission: 'holds:read', key: 'o' },
      {
        word: 'trial_balance',
        to: '/trial-balance',
        icon: Scale,
        permission: 'trial_balance:read',
        key: 'b',
      },
      { word: 'chart', to: '/chart-of-accounts', icon: ListTree, permission: 'chart_of_accounts:read' },
      { word: 'integrity', to: '/integrity', icon: ShieldCheck, permission: 'integrity:read' },
    ],
  },
  {
    word: 'access',
    pages: [
      { word: 'people', to: '/people', icon: Users, permission: 'people:read', key: 'p' },
      { word: 'invitations', to: '/invitations', icon: Mail, permission: 'invitations:read' },
      { word: 'grants', to: '/grants', icon: BadgeCheck, permission: 'grants:read' },
      { word: 'roles', to: '/roles', icon: ShieldCheck, permission: 'roles:read', key: 'r' },
      { word: 'api_keys', to: '/api-keys', icon: KeyRound, permission: 'api_keys:read', key: 'k' },
      { word: 'applications', to: '/applications', icon: AppWindow, permission: 'applications:read' },
      { word: 'devices', to: '/devices', icon: Smartphone, permission: 'devices:read' },
      { word: 'audit', to: '/audit', icon: ScrollText, permission: 'audit:read', key: 'u' },
      { word: 'me', to: '/me', icon: UserRound },
    ],
  },
  {
    word: 'webhooks',
    pages: [
      { word: 'endpoints', to: '/webhooks', icon: Webhook, permission: 'webhooks:read', key: 'w' },
      { word: 'deliveries', to: '/webhook-deliveries', icon: Send, permission: 'webhooks:read' },
    ],
  },
  {
    word: 'notifications',
    pages: [
      { word: 'messages', to: '/messages', icon: MessageSquare, permission: 'notifications:read' },
      { word: 'templates', to: '/templates', icon: FileText, permission: 'notifications:read' },
      { word: 'recipients', to: '/recipients', icon: Contact, permission: 'notifications:read' },
    ],
  },
  {
    word: 'platform',
    pages: [
      { word: 'usage', to: '/usage', icon: ChartColumn, permission: 'usage:read', key: 's' },
      { word: 'events', to: '/events', icon: Activity, permission: 'events:read', key: 'e' },
      { word: 'held_events', to: '/held-events', icon: OctagonPause, permission: 'held_events:read' },
      { word: 'jobs', to: '/jobs', icon: Cog, permission: 'jobs:read', key: 'j' },
      { word: 'system_jobs', to: '/system-jobs', icon: ServerCog, permission: 'system_jobs:read' },
      { word: 'tenants', to: '/tenants', icon: Building2, permission: 'tenants:read' },
      { word: 'plans', to: '/plans', icon: Gauge, permission: 'plans:read' },
      { word: 'settings', to: '/settings', icon: Settings, permission: 'tenant:read' },
      { word: 'sandbox_tools', to: '/sandbox', icon: FlaskConical, permission: 'sandbox:read' },
    ],
  },
];

const pageOfId: Place['pageOfId'] = {
  acc: (id) => `/accounts/${id}`,
  hld: (id) => `/holds/${id}`,
  prp: (id) => `/approvals/${id}`,
  trf: (id) => `/transfers/${id}`,
  usr: (id) => `/people/${id}`,
  key: (id) => `/api-keys/${id}`,
  app: (id) => `/applications/${id}`,
  aud: (id) => `/audit/${id}`,
  whk: (id) => `/webhooks/${id}`,
  dlv: (id) => `/webhook-deliveries/${id}`,
  evt: (id) => `/events/${id}`,
  ten: (id) => `/tenants/${id}`,
  msg: (id) => `/messages/${id}`,
  tpl: (id) => `/templates/${id}`,
  rcp: (id) => `/recipients/${id}`,
};

export const place: Place = { base: '/console', menu, pageOfId };
