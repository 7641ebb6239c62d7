/** The products that whoever looks is shown. */
import { useVisibleTags } from '../community/portal-self.ts';
import { type Product, useApi } from './openapi.ts';

/** What most come for is shown first, then what else there is, in the order of the document. */
const first = ['accounts', 'transfers', 'holds', 'events', 'Webhooks', 'reports', 'attempts', 'Sandbox'];

export function useProducts() {
  const api = useApi();
  const tags = useVisibleTags();
  return { api, products: productsOf(api.data?.products, tags) };
}

/** Those of some tags, written in any case; all if there are none. */
export function productsOf(
  all: readonly Product[] | undefined,
  tags: readonly string[] | undefined,
): Product[] | undefined {
  const order = (tags ?? first).map((tag) => tag.toLowerCase());
  const place = ({ tag }: Product) => {
    const at = order.indexOf(tag.toLowerCase());
    return at < 0 ? order.length : at;
  };
  return all
    ?.filter((product) => tags === undefined || place(product) < order.length)
    .toSorted((a, b) => place(a) - place(b));
}
