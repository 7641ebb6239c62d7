/** An id that leads to the page of what it names, where there is one. */
import { CopyId } from '../copy-id.tsx';
import { usePlace } from './place.ts';

export function IdLink({ id, short = false }: { id: string | undefined; short?: boolean }) {
  const { pageOfId } = usePlace();
  if (id === undefined || id === '') return '–';
  const to = pageOfId[id.slice(0, id.indexOf('_'))]?.(id);
  return (
    <CopyId id={id} short={short && /^[a-z]+_[0-9a-z]{26}$/.test(id)} {...(to === undefined ? {} : { to })} />
  );
}
