/** What the portal knows of the developers' organisation and of the community that it belongs to. */

/** Tags of the API that the community is shown; all of them if nobody says. */
export function useVisibleTags(): readonly string[] | undefined {
  return undefined;
}
