/** What the console has, in the order of the menu: who may not see a page is not led to it. */
import { ArrowLeftRight, House, Landmark, type LucideIcon } from 'lucide-react';
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
];

/** Where the page of a thing is, by the prefix of its id. */
export const pageOfId: Readonly<Record<string, (id: string) => string>> = {
  acc: (id) => `/accounts/${id}`,
  trf: (id) => `/transfers/${id}`,
};
