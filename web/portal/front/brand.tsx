import { LogoPicture, usePicture } from '../../ui/logo-picture.tsx';
import type { Community } from '../community/portal-self.ts';
import { nameOf } from '../community/portal-self.ts';

/** The logo of a community, else its colour and its first letter. Pictures of other sites are not loaded. */
export function BrandMark({ community, size = 36 }: { community: Community; size?: number }) {
  const { shown, fail } = usePicture(community.logo?.url);
  if (shown !== undefined) {
    return <LogoPicture url={shown} alt={nameOf(community)} size={size} onFailed={fail} />;
  }
  const color = community.brand.primary_color ?? '#14636f';
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 36 36"
      role="img"
      aria-label={nameOf(community)}
      style={{ flexShrink: 0 }}
    >
      <rect width="36" height="36" rx="8" fill={color} />
      <text
        x="18"
        y="24"
        textAnchor="middle"
        fontSize="18"
        fontWeight="700"
        fill={isDark(color) ? '#ffffff' : '#16181b'}
      >
        {nameOf(community).slice(0, 1).toUpperCase()}
      </text>
    </svg>
  );
}

/** Whether white can be read on it (relative luminance as in WCAG 2.2). */
function isDark(color: string): boolean {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(color.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.179;
}
