/** Where a page of the portal is. */
export function portalUrl(publicUrl: () => string, path: string): string {
  return new URL(`portal${path}`, `${publicUrl().replace(/\/$/, '')}/`).href;
}
