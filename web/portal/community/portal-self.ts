/** What the portal knows of the developers' organisation and of the community that it belongs to. */
import { useQuery } from '@tanstack/react-query';
import { ApiProblem, type BodyOf, get } from '../../api/client.ts';
import { useFoundSelf } from '../../ui/self.tsx';

export type Community = BodyOf<'/identity/communities/{slug}'>;
export type PortalSelf = BodyOf<'/api/v2/portal/self'>;

/** Null for whoever is of no organisation of a community, as the staff of an institution. */
export function usePortalSelf() {
  const self = useFoundSelf();
  return useQuery({
    queryKey: ['portal-self'],
    enabled: self?.permissions.includes('portal:read') === true,
    queryFn: (): Promise<PortalSelf | null> =>
      get('/api/v2/portal/self').catch((error: unknown) => {
        if (error instanceof ApiProblem && error.problem.code === 'no_community') return null;
        throw error;
      }),
  });
}

/** Tags of the API that the community is shown, in their order; all of them if nobody says. */
export function useVisibleTags(): readonly string[] | undefined {
  const tags = usePortalSelf().data?.community.apis;
  return tags === undefined || tags.length === 0 ? undefined : tags;
}

/** What a community is called, and the institution behind it. */
export function nameOf({ brand, name }: Pick<Community, 'brand' | 'name'>): string {
  return brand.display_name ?? name;
}
