/** An operation: what it takes, what it answers, and a way to try it. */
import { Anchor, Badge, Breadcrumbs, Code, Group, SimpleGrid, Stack, Tabs, Text, Title } from '@mantine/core';
import { Link, useParams } from 'react-router';
import { Section } from '../../ui/facts.tsx';
import { Empty, Loading, Refused } from '../../ui/states.tsx';
import { useProducts } from './catalogue.ts';
import { useExploreWords } from './explore-words.ts';
import { MethodBadge } from './method.tsx';
import { bodyOf, type Operation, type Schema } from './openapi.ts';
import { Inline } from './prose.tsx';
import { PropertyView, SchemaView } from './schema-view.tsx';
import { TryIt } from './try-it.tsx';

export function Page() {
  const t = useExploreWords();
  const { product: slug, operation: id } = useParams();
  const { api, products } = useProducts();
  if (api.isError) return <Refused error={api.error} retry={() => void api.refetch()} />;
  if (products === undefined || api.data === undefined) return <Loading />;
  const product = products.find((one) => one.slug === slug);
  const operation = product?.operations.find(({ operationId }) => operationId === id);
  if (product === undefined || operation === undefined) return <Empty>{t('no_operation')}</Empty>;
  const { resolve } = api.data;
  const permission = operation['x-permission'];
  return (
    <Stack gap="sm">
      <title>{`${operation.method} ${operation.path} · financialapi`}</title>
      <Breadcrumbs style={{ flexWrap: 'wrap' }}>
        <Anchor component={Link} to="/explore" size="sm">
          {t('products')}
        </Anchor>
        <Anchor component={Link} to={`/explore/${product.slug}`} size="sm" className="product">
          {product.tag}
        </Anchor>
      </Breadcrumbs>
      <div>
        <Title order={1} size="h3">
          <Inline text={operation.summary ?? operation.operationId} />
        </Title>
        <Group gap="xs" mt={6}>
          <MethodBadge method={operation.method} />
          <Code style={{ overflowWrap: 'anywhere' }}>{operation.path}</Code>
          {operation.deprecated === true && (
            <Badge size="sm" color="orange" variant="light">
              {t('deprecated')}
            </Badge>
          )}
        </Group>
      </div>
      <Text size="sm" c="dimmed">
        {permission === undefined ? t('needs_none') : t('needs', { permission })}
      </Text>
      {operation.description !== undefined && (
        <Text size="sm" maw={720}>
          <Inline text={operation.description} />
        </Text>
      )}
      <Anchor href="#try" size="sm" hiddenFrom="lg">
        {t('try_it')}
      </Anchor>
      <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="sm">
        <Stack gap="sm" miw={0}>
          <Reference operation={operation} resolve={resolve} />
        </Stack>
        <Stack gap="sm" miw={0}>
          <TryIt key={operation.operationId} operation={operation} resolve={resolve} />
        </Stack>
      </SimpleGrid>
    </Stack>
  );
}

function Reference({ operation, resolve }: { operation: Operation; resolve: (schema: Schema) => Schema }) {
  const t = useExploreWords();
  const { parameters = [], responses } = operation;
  const body = bodyOf(operation)?.schema;
  const answers = Object.entries(responses);
  return (
    <>
      {parameters.length > 0 && (
        <Section title={t('parameters')}>
          <Stack gap={8}>
            {parameters.map(({ name, in: where, schema, required, description }) => (
              <PropertyView
                key={`${where} ${name}`}
                name={name}
                schema={{ ...schema, ...(description === undefined ? {} : { description }) }}
                isRequired={required === true}
                resolve={resolve}
                where={t(`in_${where}`)}
              />
            ))}
          </Stack>
        </Section>
      )}
      {body !== undefined && (
        <Section title={t('body')}>
          <SchemaView schema={body} resolve={resolve} />
        </Section>
      )}
      <Section title={t('answers')}>
        <Tabs defaultValue={answers[0]?.[0] ?? ''}>
          <Tabs.List>
            {answers.map(([status]) => (
              <Tabs.Tab key={status} value={status}>
                {status}
              </Tabs.Tab>
            ))}
          </Tabs.List>
          {answers.map(([status, { description, content }]) => (
            <Tabs.Panel key={status} value={status} pt="xs">
              <Stack gap="xs">
                {description !== undefined && (
                  <Text size="sm">
                    <Inline text={description} />
                  </Text>
                )}
                {Object.entries(content ?? {})
                  .slice(0, 1)
                  .map(([type, media]) => (
                    <div key={type}>
                      <Text size="xs" c="dimmed" mb={6}>
                        {type}
                      </Text>
                      {media.schema !== undefined && <SchemaView schema={media.schema} resolve={resolve} />}
                    </div>
                  ))}
              </Stack>
            </Tabs.Panel>
          ))}
        </Tabs>
      </Section>
    </>
  );
}
