import { Badge } from '@mantine/core';
import { useLedgerWords } from './ledger-words.ts';

const colors = { open: 'teal', frozen: 'blue', closed: 'gray' } as const;

export function AccountStatus({ status }: { status: keyof typeof colors }) {
  const t = useLedgerWords();
  return (
    <Badge size="sm" variant="light" color={colors[status]}>
      {t(status)}
    </Badge>
  );
}
