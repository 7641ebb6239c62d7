/** Rows that are looked through by a word which stands in the address. */
import { TextInput } from '@mantine/core';
import { Search } from 'lucide-react';
import { useSearchParams } from 'react-router';
import { useExploreWords } from './explore-words.ts';

export function useFind(): { q: string; field: React.ReactNode } {
  const t = useExploreWords();
  const [search, setSearch] = useSearchParams();
  const q = search.get('q') ?? '';
  const field = (
    <TextInput
      aria-label={t('find')}
      placeholder={t('find')}
      leftSection={<Search size={14} />}
      value={q}
      onChange={({ currentTarget: { value } }) =>
        setSearch(value === '' ? {} : { q: value }, { replace: true })
      }
      w={{ base: '100%', xs: 280 }}
    />
  );
  return { q: q.trim().toLowerCase(), field };
}
