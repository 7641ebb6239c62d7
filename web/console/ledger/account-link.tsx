import { Anchor, Group, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { get } from '../../api/client.ts';
import { CopyId } from '../../ui/copy-id.tsx';

/** The name of an account, where one may see it, and its id otherwise. */
export function AccountLink({ id }: { id: string }) {
  const account = useQuery({
    queryKey: ['account', id],
    queryFn: () => get('/api/v2/accounts/{account_id}', { ids: { account_id: id } }),
    retry: false,
  });
  return (
    <Group gap={6} wrap="nowrap">
      {account.data !== undefined && (
        <Anchor component={Link} to={`/accounts/${id}`} size="sm">
          {account.data.name}
        </Anchor>
      )}
      <Text span size="xs" visibleFrom="sm">
        <CopyId id={id} short {...(account.data === undefined ? { to: `/accounts/${id}` } : {})} />
      </Text>
    </Group>
  );
}
