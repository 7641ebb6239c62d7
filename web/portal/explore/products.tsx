/** What the API can do, by product. */
import { Anchor, Badge, Button, Group, SimpleGrid, Stack, Text, TextInput, Title } from '@mantine/core';
import { FileJson, Search, TableOfContents } from 'lucide-react';
import { Link, useSearchParams } from 'react-router';
import { Section } from '../../ui/facts.tsx';
import { Empty, Loading, Refused } from '../../ui/states.tsx';
import { useProducts } from './catalogue.ts';
import { useExploreWords } from './explore-words.ts';
import { MethodBadge } from './method.tsx';
import type { Operation, Product } from './openapi.ts';
import { Inline } from './prose.tsx';

/** So many operations of a product are named where all products are shown. */
const NAMED = 4;

export function Page() {
  const t = useExploreWords();
  const [search, setSearch] = useSearchParams();
  const q = search.get('q') ?? '';
  const { api, products } = useProducts();
  const wanted = q.trim().toLowerCase();
  const isFound = ({ path, summary = '', method }: Operation) =>
    `${method} ${path} ${summary}`.toLowerCase().includes(wanted);
  const found = (products ?? [])
    .map((product) => ({
      ...product,
      operations: product.tag.toLowerCase().includes(wanted)
        ? product.operations
        : product.operations.filter(isFound),
    }))
    .filter(({ operations }) => operations.length > 0);
  return (
    <Stack gap="sm">
      <title>{`${t('products')} · financialapi`}</title>
      <Title order={1} size="h3">
        {t('products')}
      </Title>
      <Text size="sm" c="dimmed" maw={720}>
        {t('products_about')}
      </Text>
      <Group gap="xs">
        <TextInput
          aria-label={t('search')}
          placeholder={t('search')}
          leftSection={<Search size={14} />}
          value={q}
          onChange={({ currentTarget: { value } }) =>
            setSearch(value === '' ? {} : { q: value }, { replace: true })
          }
          w={{ base: '100%', xs: 280 }}
        />
        <Button component="a" href="/docs" variant="default" leftSection={<TableOfContents size={14} />}>
          {t('whole_reference')}
        </Button>
        <Button component="a" href="/openapi.json" variant="default" leftSection={<FileJson size={14} />}>
          {t('document')}
        </Button>
      </Group>
      {api.isError ? (
        <Refused error={api.error} retry={() => void api.refetch()} />
      ) : products === undefined ? (
        <Loading />
      ) : found.length === 0 ? (
        <Empty>{t('nothing_found')}</Empty>
      ) : (
        <SimpleGrid cols={{ base: 1, sm: 2, lg: 3 }} spacing="sm">
          {found.map((product) => (
            <ProductCard key={product.tag} product={product} isWhole={wanted !== ''} />
          ))}
        </SimpleGrid>
      )}
    </Stack>
  );
}

function ProductCard({ product, isWhole }: { product: Product; isWhole: boolean }) {
  const t = useExploreWords();
  const { tag, slug, operations } = product;
  return (
    <Section>
      <Stack gap={6}>
        <Group justify="space-between" wrap="nowrap">
          <Anchor component={Link} to={`/explore/${slug}`} fw={600} className="product">
            {tag}
          </Anchor>
          <Badge size="sm" variant="default" tt="none" fw={400} style={{ flexShrink: 0 }}>
            {t('operations', { count: operations.length })}
          </Badge>
        </Group>
        {operations.slice(0, isWhole ? operations.length : NAMED).map((operation) => (
          <OperationLink key={operation.operationId} slug={slug} operation={operation} />
        ))}
      </Stack>
    </Section>
  );
}

export function OperationLink({ slug, operation }: { slug: string; operation: Operation }) {
  const { operationId, method, path, summary } = operation;
  return (
    <Group gap="xs" wrap="nowrap" align="flex-start">
      <MethodBadge method={method} />
      <Anchor component={Link} to={`/explore/${slug}/${operationId}`} size="sm" style={{ minWidth: 0 }}>
        <Inline text={summary ?? path} />
      </Anchor>
    </Group>
  );
}
