/** Plain text with the little of Markdown that ours has: headings, lists, paragraphs, code, links and emphasis. */
import { Anchor, Code, List, Text, Title } from '@mantine/core';
import { Fragment, type ReactNode } from 'react';

const INLINE = /`([^`]+)`|\[([^\]]+)\]\((https?:\/\/[^)\s]+|\/[^)\s]*)\)|\*\*([^*]+)\*\*/g;

function inline(text: string): ReactNode[] {
  const parts: ReactNode[] = [];
  let at = 0;
  for (const match of text.matchAll(INLINE)) {
    parts.push(text.slice(at, match.index));
    at = match.index + match[0].length;
    const [whole, code, label, href, strong] = match;
    const key = `${match.index} ${whole}`;
    if (code !== undefined) parts.push(<Code key={key}>{code}</Code>);
    else if (href !== undefined) {
      parts.push(
        <Anchor key={key} href={href} size="sm" underline="always">
          {label}
        </Anchor>,
      );
    } else parts.push(<b key={key}>{strong}</b>);
  }
  return [...parts, text.slice(at)];
}

/** Blocks of text that blank lines part; a line that is indented goes on with the one before. */
function blocksOf(text: string): string[] {
  return text
    .split(/\n\s*\n/)
    .map((block) => block.trim())
    .filter((block) => block !== '');
}

/** A text of one paragraph, within another element. */
export function Inline({ text }: { text: string }) {
  return inline(text);
}

export function Prose({ text }: { text: string }) {
  return blocksOf(text).map((block, index) => <Fragment key={`${index} ${block}`}>{shown(block)}</Fragment>);
}

function shown(block: string): ReactNode {
  const heading = /^(#{1,3}) (.*)$/.exec(block);
  if (heading !== null) {
    const order = heading[1]?.length === 2 ? 2 : 3;
    return (
      <Title order={order} size={order === 2 ? 'h5' : 'h6'} mt="xs">
        {inline(heading[2] ?? '')}
      </Title>
    );
  }
  if (block.startsWith('- ')) {
    const items = block.split(/\n(?=- )/).map((item) => item.slice(2).replaceAll(/\s*\n\s*/g, ' '));
    return (
      <List size="sm" spacing={4} maw={720}>
        {items.map((item) => (
          <List.Item key={item}>{inline(item)}</List.Item>
        ))}
      </List>
    );
  }
  return (
    <Text size="sm" maw={720} style={{ overflowWrap: 'anywhere' }}>
      {inline(block.replaceAll(/\s*\n\s*/g, ' '))}
    </Text>
  );
}
