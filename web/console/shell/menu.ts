/** What the console has, in the order of the menu: who may not see a page is not led to it. */
import {
  AppWindow,
  ArrowLeftRight,
  BadgeCheck,
  House,
  KeyRound,
  Landmark,
  type LucideIcon,
  Mail,
  ScrollText,
  ShieldCheck,
  Smartphone,
  UserRound,
  Users,
} from 'lucide-react';
import type { ShellWord } from './shell-words.ts';

interface MenuPage {
  word: ShellWord;
  to: string;
  icon: LucideIcon;
  /** Without it the page is not shown; absent: everybody sees it. */
  permission?: string;
  /** Typed after `g`. */
  key?: string;
}

export interface MenuGroup {
  word?: ShellWord;
  pages: readonly MenuPage[];
}

export const menu: readonly MenuGroup[] = [
  { pages: [{ word: 'home', to: '/', icon: House, key: 'h' }] },
  {
    word: 'ledger',
    pages: [
      { word: 'accounts', to: '/accounts', icon: Landmark, permission: 'accounts:read', key: 'a' },
      { word: 'transfers', to: '/transfers', icon: ArrowLeftRight, permission: 'transfers:read', key: 't' },
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
];

/** Where the page of a thing is, by the prefix of its id. */
export const pageOfId: Readonly<Record<string, (id: string) => string>> = {
  acc: (id) => `/accounts/${id}`,
  trf: (id) => `/transfers/${id}`,
  usr: (id) => `/people/${id}`,
  key: (id) => `/api-keys/${id}`,
  app: (id) => `/applications/${id}`,
  aud: (id) => `/audit/${id}`,
};
