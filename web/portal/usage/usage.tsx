/** What one's applications ask, and how much they still may. */
import { Select } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useSearchParams } from 'react-router';
import { get } from '../../api/client.ts';
import { KeyUsage } from '../../ui/access/key.tsx';
import { Section } from '../../ui/facts.tsx';
import { useMay } from '../../ui/self.tsx';
import { Empty, Loading, Refused } from '../../ui/states.tsx';
import { UsagePage } from '../../ui/usage/usage.tsx';
import { useHeadroomWords } from './headroom-words.ts';
import { LimitNotices } from './limit-notices.tsx';
import { LiveUsage } from './live-usage.tsx';

export function Page() {
  const may = useMay();
  return (
    <UsagePage
      more={
        <>
          {may('api_keys:read') && <Headroom />}
          <LimitNotices />
          {may('portal:read') && <LiveUsage />}
        </>
      }
    />
  );
}

function Headroom() {
  const t = useHeadroomWords();
  const [search, setSearch] = useSearchParams();
  const keys = useQuery({
    queryKey: ['keys-of-usage'],
    queryFn: () => get('/api/v2/api-keys', { query: { status: 'active', limit: 100 } }),
  });
  const all = keys.data?.data ?? [];
  const chosen = all.find(({ id }) => id === search.get('key')) ?? all[0];
  return (
    <Section
      title={t('headroom')}
      aside={
        chosen !== undefined && (
          <Select
            aria-label={t('key')}
            w={200}
            allowDeselect={false}
            data={all.map(({ id, label }) => ({ value: id, label }))}
            value={chosen.id}
            onChange={(value) =>
              setSearch(
                (before) => {
                  const next = new URLSearchParams(before);
                  next.set('key', value ?? '');
                  return next;
                },
                { replace: true },
              )
            }
          />
        )
      }
    >
      {keys.isError ? (
        <Refused error={keys.error} retry={() => void keys.refetch()} />
      ) : keys.data === undefined ? (
        <Loading />
      ) : chosen === undefined ? (
        <Empty>{t('no_keys')}</Empty>
      ) : (
        <KeyUsage key={chosen.id} id={chosen.id} />
      )}
    </Section>
  );
}
