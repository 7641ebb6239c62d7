/** What is particular to an entry: where it is mounted, its menu, and which things have a page in it. */
import type { LucideIcon } from 'lucide-react';
import { createContext, useContext } from 'react';
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

export interface Place {
  /** Where it is mounted. */
  base: '/console' | '/portal';
  /** In the order in which it is shown; who may not see a page is not led to it. */
  menu: readonly MenuGroup[];
  /** Where the page of a thing is, by the prefix of its id. */
  pageOfId: Readonly<Record<string, (id: string) => string>>;
  /** Of the roles that every institution has, those that are offered here beside one's own; absent: all of them. */
  roles?: readonly string[];
}

const PlaceContext = createContext<Place | undefined>(undefined);
export const PlaceProvider = PlaceContext.Provider;

export function usePlace(): Place {
  const place = useContext(PlaceContext);
  if (place === undefined) throw new Error('no entry says where this is');
  return place;
}
