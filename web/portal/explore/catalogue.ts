/** The products that whoever looks is shown. */
import { useVisibleTags } from '../community/portal-self.ts';
import { type Product, useApi } from './openapi.ts';

/** What most come for is shown first, then what else there is, in the order of the document. */
const first = ['accounts', 'transfers', 'holds', 'events', 'Webhooks', 'reports', 'attempts', 'Sandbox'];

export function useProducts() {
  const api = useApi();
  const tags = useVisibleTags();
  const order = [...(tags ?? first)];
  const place = ({ tag }: Product) => (order.includes(tag) ? order.indexOf(tag) : order.length);
  const products = api.data?.products
    .filter(({ tag }) => tags === undefined || tags.includes(tag))
    .toSorted((a, b) => place(a) - place(b));
  return { api, products };
}
