/** What the console has, in the order of the menu: who may not see a page is not led to it. */
import {
  ArrowLeftRight,
  Hourglass,
  House,
  Landmark,
  ListTree,
  type LucideIcon,
  Scale,
  SendHorizontal,
  ShieldCheck,
  Stamp,
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
  {
    pages: [
      { word: 'home', to: '/', icon: House, key: 'h' },
      { word: 'approvals', to: '/approvals', icon: Stamp, permission: 'proposals:read', key: 'p' },
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
];

/** Where the page of a thing is, by the prefix of its id. */
export const pageOfId: Readonly<Record<string, (id: string) => string>> = {
  acc: (id) => `/accounts/${id}`,
  hld: (id) => `/holds/${id}`,
  prp: (id) => `/approvals/${id}`,
  trf: (id) => `/transfers/${id}`,
};
