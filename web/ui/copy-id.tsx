/** An id that can be copied, and shortened where there is little room. */
import { ActionIcon, Anchor, Code, CopyButton, Group, Tooltip } from '@mantine/core';
import { Check, Copy } from 'lucide-react';
import { Link } from 'react-router';
import { useUiWords } from './ui-words.ts';

/** Longer ones are no ids of a thing, as the cause of a message, and may take several lines. */
const LONGEST_ON_A_LINE = 40;

export function CopyId({ id, to, short = false }: { id: string; to?: string; short?: boolean }) {
  const t = useUiWords();
  const shown = short ? `${id.slice(0, id.indexOf('_') + 1)}…${id.slice(-6)}` : id;
  const text = (
    <Code
      title={id}
      style={shown.length > LONGEST_ON_A_LINE ? { overflowWrap: 'anywhere' } : { whiteSpace: 'nowrap' }}
    >
      {shown}
    </Code>
  );
  return (
    <Group gap={2} wrap="nowrap" style={{ display: 'inline-flex' }} data-copies={id}>
      {to === undefined ? (
        text
      ) : (
        <Anchor component={Link} to={to} underline="hover">
          {text}
        </Anchor>
      )}
      <CopyButton value={id}>
        {({ copied, copy }) => (
          <Tooltip label={copied ? t('copied') : t('copy')}>
            <ActionIcon
              variant="subtle"
              color="gray"
              size="sm"
              aria-label={`${t('copy')} ${id}`}
              onClick={(event) => {
                event.stopPropagation();
                copy();
              }}
            >
              {copied ? <Check size={14} /> : <Copy size={14} />}
            </ActionIcon>
          </Tooltip>
        )}
      </CopyButton>
    </Group>
  );
}
