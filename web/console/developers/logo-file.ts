/** A file that is to be a logo, looked at before it is sent. The server looks closer. */
const MOST_BYTES = 65_536;
const [LEAST_PIXELS, MOST_PIXELS] = [16, 1_024];
const types = ['image/png', 'image/webp'] as const;
type LogoType = (typeof types)[number];

export interface LogoFile {
  content_type: LogoType;
  /** The same file, as an address of itself. */
  url: string;
  /** Base64. */
  data: string;
  width: number;
  height: number;
  bytes: number;
}

type Word = 'logo_wrong_type' | 'logo_too_heavy' | 'logo_broken' | 'logo_wrong_size';

/** The file is no logo; the word says why. */
export class UnfitLogo extends Error {
  readonly word: Word;
  readonly values: Record<string, number>;

  constructor(word: Word, values: Record<string, number> = {}) {
    super(word);
    this.word = word;
    this.values = values;
  }
}

/** Rounded up, so that what is too large never seems not to be. */
export const kibOf = (bytes: number): number => Math.ceil(bytes / 102.4) / 10;

/** @throws UnfitLogo */
export async function readLogoFile(file: File): Promise<LogoFile> {
  const content_type = types.find((type) => type === file.type);
  if (content_type === undefined) throw new UnfitLogo('logo_wrong_type');
  const bytes = file.size;
  if (bytes > MOST_BYTES) throw new UnfitLogo('logo_too_heavy', { kib: kibOf(bytes) });
  const { width, height } = await sizeOf(file);
  if (Math.min(width, height) < LEAST_PIXELS || Math.max(width, height) > MOST_PIXELS) {
    throw new UnfitLogo('logo_wrong_size', { width, height });
  }
  const data = base64Of(new Uint8Array(await file.arrayBuffer()));
  return { content_type, url: `data:${content_type};base64,${data}`, data, width, height, bytes };
}

const base64Of = (bytes: Uint8Array): string =>
  btoa(Array.from(bytes, (byte) => String.fromCodePoint(byte)).join(''));

async function sizeOf(file: File): Promise<{ width: number; height: number }> {
  try {
    const picture = await createImageBitmap(file);
    const { width, height } = picture;
    picture.close();
    return { width, height };
  } catch {
    throw new UnfitLogo('logo_broken');
  }
}
