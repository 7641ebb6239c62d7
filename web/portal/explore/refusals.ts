/** The catalogue of errors, which the `type` of every problem points into. */
import { useQuery } from '@tanstack/react-query';
import { send } from '../../api/client.ts';

interface Refusal {
  code: string;
  type: string;
  status: number;
  title: string;
  meaning: string;
}

export function useRefusals() {
  return useQuery({
    queryKey: ['errors'],
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: async () => {
      const { text } = await send({ method: 'GET', path: '/errors', stays: true });
      const { data }: { data: Refusal[] } = JSON.parse(text);
      return data;
    },
  });
}
