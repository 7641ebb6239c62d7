/** What a product can do. */
import { Anchor, Badge, Breadcrumbs, Group, Stack, Text, Title } from '@mantine/core';
import { Link, useParams } from 'react-router';
import { Section } from '../../ui/facts.tsx';
import { Empty, Loading, Refused } from '../../ui/states.tsx';
import { useProducts } from './catalogue.ts';
import { useExploreWords } from './explore-words.ts';
import { OperationLink } from './products.tsx';

export function Page() {
  const t = useExploreWords();
  const { product: slug } = useParams();
  const { api, products } = useProducts();
  if (api.isError) return <Refused error={api.error} retry={() => void api.refetch()} />;
  if (products === undefined) return <Loading />;
  const product = products.find((one) => one.slug === slug);
  if (product === undefined) return <Empty>{t('no_product')}</Empty>;
  return (
    <Stack gap="sm">
      <title>{`${product.tag} · financialapi`}</title>
      <Breadcrumbs>
        <Anchor component={Link} to="/explore" size="sm">
          {t('products')}
        </Anchor>
        <Text size="sm">{product.tag}</Text>
      </Breadcrumbs>
      <Title order={1} size="h3" className="product">
        {product.tag}
      </Title>
      <Section>
        <Stack gap="sm">
          {product.operations.map((operation) => (
            <div key={operation.operationId}>
              <OperationLink slug={product.slug} operation={operation} />
              <Group gap="xs" pl={{ base: 0, xs: 72 }}>
                <Text size="xs" c="dimmed" ff="monospace" style={{ overflowWrap: 'anywhere' }}>
                  {operation.path}
                </Text>
                {operation.deprecated === true && (
                  <Badge size="xs" color="orange" variant="light">
                    {t('deprecated')}
                  </Badge>
                )}
              </Group>
            </div>
          ))}
        </Stack>
      </Section>
    </Stack>
  );
}
