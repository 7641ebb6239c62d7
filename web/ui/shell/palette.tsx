/** Search everything: pages by name, things by id or name, as one types. */
import { useDebouncedValue } from '@mantine/hooks';
import '@mantine/spotlight/styles.css';
import { createSpotlight, Spotlight } from '@mantine/spotlight';
import { useQuery } from '@tanstack/react-query';
import { ArrowLeftRight, CircleHelp, Hash, KeyRound, Landmark, Search, Users } from 'lucide-react';
import { useEffect, useState } from 'react';
import { useNavigate } from 'react-router';
import { listRows } from '../../api/lists.ts';
import { useMay } from '../self.tsx';
import { usePlace } from './place.ts';
import { useShellWords } from './shell-words.ts';

const TYPING_MS = 200;
const THING_ID = /^([a-z]+)_[0-7][0-9a-hjkmnp-tv-z]{25}$/;

const [store, palette] = createSpotlight();

const DAYS = 30;

/** The amount that was typed, with a point or a comma and what stands between thousands; undefined where it is none. */
function amountIn(typed: string): string | undefined {
  const text = typed.trim().replace(/^[A-Z]{0,3}[$€£]?\s*/, '');
  if (/^\d{1,15}$/.test(text)) return text.replace(/^0+(?=\d)/, '');
  const parts = /^(\d{1,3}(?:[.,' ]\d{3})+|\d{1,15})[.,](\d{1,3})$/.exec(text);
  if (parts === null) return undefined;
  return `${parts[1]?.replaceAll(/\D/g, '').replace(/^0+(?=\d)/, '')}.${parts[2]}`;
}

function monthAgo(): string {
  const day = new Date();
  day.setDate(day.getDate() - DAYS);
  return [day.getFullYear(), day.getMonth() + 1, day.getDate()]
    .map((part) => String(part).padStart(2, '0'))
    .join('-');
}

/** Opened as soon as it is there: it is loaded when it is first asked for. */
export default function Palette({ asked }: { asked: number }) {
  const t = useShellWords();
  const navigate = useNavigate();
  const may = useMay();
  const { menu, pageOfId } = usePlace();
  /** What can be found is what may be seen and has a page here. */
  const finds = (permission: string, prefix: string) => may(permission) && pageOfId[prefix] !== undefined;
  const [typed, setTyped] = useState('');
  useEffect(() => {
    if (asked === 0) return;
    // Cleared here, and not when it closes: what is typed into the next one could be lost to that.
    setTyped('');
    palette.open();
  }, [asked]);
  const [wanted] = useDebouncedValue(typed.trim(), TYPING_MS);
  const isWord = wanted.length >= 2 && !THING_ID.test(wanted.toLowerCase());
  const found = useQuery({
    queryKey: ['palette', wanted],
    enabled: isWord,
    queryFn: async () => {
      const query = { q: wanted, limit: '5' };
      const [accounts, keys, people] = await Promise.all([
        finds('accounts:read', 'acc') ? listRows('/api/v2/accounts', query) : { data: [] },
        finds('api_keys:read', 'key') ? listRows('/api/v2/api-keys', query) : { data: [] },
        finds('people:read', 'usr') ? listRows('/api/v2/people', query) : { data: [] },
      ]);
      return [
        {
          word: 'accounts' as const,
          icon: Landmark,
          things: accounts.data.map(({ id, name, chart_code, currency }) => ({
            id,
            label: name,
            description: `${chart_code} · ${currency} · ${id}`,
          })),
        },
        {
          word: 'api_keys' as const,
          icon: KeyRound,
          things: keys.data.map(({ id, label }) => ({ id, label, description: id })),
        },
        {
          word: 'people' as const,
          icon: Users,
          things: people.data.map(({ id, name, email }) => ({ id, label: name, description: email })),
        },
      ].filter(({ things }) => things.length > 0);
    },
  });
  const text = typed.trim().toLowerCase();
  const prefix = THING_ID.exec(text)?.[1];
  const byId = prefix === undefined ? undefined : pageOfId[prefix]?.(text);
  const amount = amountIn(typed);
  // Nothing tells keys from words: what is long and has a digit in it may be one.
  const isKey =
    may('attempts:read') &&
    byId === undefined &&
    amount === undefined &&
    /^(?=.*\d)[!-~]{8,255}$/.test(typed.trim());
  const pages = menu
    .flatMap((group) => group.pages)
    .filter(({ permission }) => permission === undefined || may(permission))
    .filter(({ word }) => t(word).toLowerCase().includes(text));
  const go = (to: string) => () => {
    setTyped('');
    void navigate(to);
  };
  const groups = isWord ? (found.data ?? []) : [];
  return (
    <Spotlight.Root
      store={store}
      query={typed}
      onQueryChange={setTyped}
      clearQueryOnClose={false}
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
        {amount !== undefined && may('transfers:read') && (
          <Spotlight.Action
            label={t('transfers_of', { amount })}
            description={t('transfers_of_about')}
            leftSection={<ArrowLeftRight size={16} />}
            onClick={go(`/transfers?amount=${amount}&created_from=${monthAgo()}`)}
          />
        )}
        {isKey && (
          <Spotlight.Action
            label={t('open_attempt', { key: typed.trim() })}
            leftSection={<CircleHelp size={16} />}
            onClick={go(`/attempts/${encodeURIComponent(typed.trim())}`)}
          />
        )}
        {groups.map(({ word, icon: Icon, things }) => (
          <Spotlight.ActionsGroup key={word} label={t(word)}>
            {things.map(({ id, label, description }) => (
              <Spotlight.Action
                key={id}
                label={label}
                description={description}
                leftSection={<Icon size={16} />}
                onClick={go(pageOfId[id.slice(0, id.indexOf('_'))]?.(id) ?? '/')}
              />
            ))}
          </Spotlight.ActionsGroup>
        ))}
        {pages.length > 0 && (
          <Spotlight.ActionsGroup label={t('pages')}>
            {pages.map(({ word, to, icon: Icon }) => (
              <Spotlight.Action key={to} label={t(word)} leftSection={<Icon size={16} />} onClick={go(to)} />
            ))}
          </Spotlight.ActionsGroup>
        )}
        {byId === undefined &&
          !isKey &&
          amount === undefined &&
          groups.length === 0 &&
          pages.length === 0 &&
          !found.isFetching && <Spotlight.Empty>{t('nothing_found')}</Spotlight.Empty>}
      </Spotlight.ActionsList>
    </Spotlight.Root>
  );
}
