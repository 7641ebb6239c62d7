/** Search everything: pages by name, things by id or name, as one types. */
import { useDebouncedValue } from '@mantine/hooks';
import '@mantine/spotlight/styles.css';
import { createSpotlight, Spotlight } from '@mantine/spotlight';
import { useQuery } from '@tanstack/react-query';
import { Hash, Landmark, Search } from 'lucide-react';
import { useEffect, useState } from 'react';
import { useNavigate } from 'react-router';
import { listRows } from '../../api/lists.ts';
import { useMay } from '../../ui/self.tsx';
import { menu, pageOfId } from './menu.ts';
import { useShellWords } from './shell-words.ts';

const TYPING_MS = 200;

const [store, palette] = createSpotlight();

/** Opened as soon as it is there: it is loaded when it is first asked for. */
export default function Palette({ asked }: { asked: number }) {
  useEffect(() => {
    if (asked > 0) palette.open();
  }, [asked]);
  const t = useShellWords();
  const navigate = useNavigate();
  const may = useMay();
  const [typed, setTyped] = useState('');
  const [wanted] = useDebouncedValue(typed.trim(), TYPING_MS);
  const accounts = useQuery({
    queryKey: ['palette', wanted],
    queryFn: () => listRows('/api/v2/accounts', { q: wanted, limit: '7' }),
    enabled: wanted.length >= 2 && may('accounts:read') && !/^[a-z]+_[0-9a-z]{26}$/.test(wanted),
  });
  const text = typed.trim().toLowerCase();
  const prefix = /^([a-z]+)_[0-9a-hjkmnp-tv-z]{26}$/.exec(text)?.[1];
  const byId = prefix === undefined ? undefined : pageOfId[prefix]?.(text);
  const pages = menu
    .flatMap((group) => group.pages)
    .filter(({ permission }) => permission === undefined || may(permission))
    .filter(({ word }) => t(word).toLowerCase().includes(text));
  const go = (to: string) => () => {
    setTyped('');
    void navigate(to);
  };
  const found = wanted.length >= 2 ? (accounts.data?.data ?? []) : [];
  return (
    <Spotlight.Root
      store={store}
      query={typed}
      onQueryChange={setTyped}
      onSpotlightClose={() => setTyped('')}
      shortcut={null}
      maxHeight={420}
      scrollable
    >
      <Spotlight.Search
        placeholder={t('search_hint')}
        leftSection={<Search size={16} />}
        aria-label={t('search')}
      />
      <Spotlight.ActionsList>
        {byId !== undefined && (
          <Spotlight.Action
            label={t('open', { id: text })}
            leftSection={<Hash size={16} />}
            onClick={go(byId)}
          />
        )}
        {found.length > 0 && (
          <Spotlight.ActionsGroup label={t('accounts')}>
            {found.map((account) => (
              <Spotlight.Action
                key={account.id}
                label={account.name}
                description={`${account.chart_code} · ${account.currency} · ${account.id}`}
                leftSection={<Landmark size={16} />}
                onClick={go(`/accounts/${account.id}`)}
              />
            ))}
          </Spotlight.ActionsGroup>
        )}
        {pages.length > 0 && (
          <Spotlight.ActionsGroup label={t('pages')}>
            {pages.map(({ word, to, icon: Icon }) => (
              <Spotlight.Action key={to} label={t(word)} leftSection={<Icon size={16} />} onClick={go(to)} />
            ))}
          </Spotlight.ActionsGroup>
        )}
        {byId === undefined && found.length === 0 && pages.length === 0 && !accounts.isFetching && (
          <Spotlight.Empty>{t('nothing_found')}</Spotlight.Empty>
        )}
      </Spotlight.ActionsList>
    </Spotlight.Root>
  );
}
