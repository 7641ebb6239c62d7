/** A logo inside its square: on a light plate in the light and in the dark, since logos are drawn for light paper. */
import { useState } from 'react';

/** Of the square, beside the picture. */
const MARGIN = 1 / 12;

export function LogoPicture({
  url,
  alt,
  size,
  onFailed,
}: {
  url: string;
  alt: string;
  size: number;
  onFailed?: () => void;
}) {
  return (
    <img
      src={url}
      alt={alt}
      width={size}
      height={size}
      onError={onFailed}
      style={{
        flexShrink: 0,
        display: 'block',
        boxSizing: 'border-box',
        objectFit: 'contain',
        padding: size * MARGIN,
        borderRadius: (size * 2) / 9,
        background: '#ffffff',
        boxShadow: 'inset 0 0 0 1px rgb(128 128 128 / 0.3)',
      }}
    />
  );
}

/** Whether a picture is to be shown: there is one, and it did not fail to load. */
export function usePicture(url: string | undefined): { shown: string | undefined; fail: () => void } {
  const [failed, setFailed] = useState<string>();
  return { shown: url === failed ? undefined : url, fail: () => setFailed(url) };
}
