/**
 * What a file of a picture is, by its bytes and not by what is said of it: one whole PNG or WebP that does not move and
 * has nothing behind it. Each part is walked over, so that time follows from the length, whatever the bytes say.
 */
import { crc32 } from 'node:zlib';
import { PNG } from 'image-size/types/png';
import { WEBP } from 'image-size/types/webp';

export interface Picture {
  content_type: 'image/png' | 'image/webp';
  /** Pixels. */
  width: number;
  height: number;
}

/** The file is no picture that could be shown; the message says why, and follows the words “The file”. */
export class NotAPicture extends Error {}

/** @throws NotAPicture */
export function readPicture(bytes: Buffer): Picture {
  if (bytes.subarray(0, PNG_SIGNATURE.length).equals(PNG_SIGNATURE)) return readPng(bytes);
  if (ascii(bytes, 0) === 'RIFF' && ascii(bytes, 8) === 'WEBP') return readWebp(bytes);
  throw new NotAPicture('is neither PNG nor WebP');
}

const ascii = (bytes: Buffer, at: number) => bytes.toString('latin1', at, at + 4);

const cutOff = (type: string) => new NotAPicture(`is a ${type} that is cut off or damaged`);

const PNG_SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
/** Length and type before the data of a chunk, its check sum behind them (PNG, third edition, section 5.3). */
const [CHUNK_HEAD_BYTES, CHECK_SUM_BYTES] = [8, 4];

function readPng(bytes: Buffer): Picture {
  const types: string[] = [];
  let at = PNG_SIGNATURE.length;
  while (types.at(-1) !== 'IEND') {
    if (at + CHUNK_HEAD_BYTES > bytes.length) throw cutOff('PNG');
    const end = at + CHUNK_HEAD_BYTES + bytes.readUInt32BE(at);
    if (end + CHECK_SUM_BYTES > bytes.length) throw cutOff('PNG');
    if (crc32(bytes.subarray(at + 4, end)) !== bytes.readUInt32BE(end)) throw cutOff('PNG');
    types.push(ascii(bytes, at + 4));
    at = end + CHECK_SUM_BYTES;
  }
  if (at !== bytes.length) throw new NotAPicture('goes on behind the end of its PNG');
  if (types.includes('acTL')) throw new NotAPicture('is an animated PNG');
  if (types[0] !== 'IHDR' || bytes.readUInt32BE(8) !== 13 || !types.includes('IDAT')) throw cutOff('PNG');
  const { width, height } = PNG.calculate(bytes);
  return { content_type: 'image/png', width, height };
}

/** `RIFF`, the length of what follows, and `WEBP` (RFC 9649, section 2.4). */
const RIFF_HEAD_BYTES = 12;
/** In the first byte of `VP8X` (RFC 9649, section 2.7). */
const ANIMATED = 0b10;
/** Bytes in which each kind of chunk says how large its picture is. */
const SIZE_BYTES = 10;

function readWebp(bytes: Buffer): Picture {
  const length = 8 + bytes.readUInt32LE(4);
  if (length < bytes.length) throw new NotAPicture('goes on behind the end of its WebP');
  const chunks: { type: string; at: number; bytes: number }[] = [];
  let at = RIFF_HEAD_BYTES;
  while (at < length) {
    if (at + 8 > bytes.length) throw cutOff('WebP');
    const data = bytes.readUInt32LE(at + 4);
    chunks.push({ type: ascii(bytes, at), at, bytes: data });
    // An odd length is followed by a byte that makes it even.
    at += 8 + data + (data % 2);
  }
  if (at !== bytes.length) throw cutOff('WebP');
  const [first] = chunks;
  const pictures = chunks.filter(({ type }) => type === 'VP8 ' || type === 'VP8L');
  const [picture] = pictures;
  const moves = first?.type === 'VP8X' && ((bytes[first.at + 8] ?? 0) & ANIMATED) !== 0;
  if (moves || chunks.some(({ type }) => type === 'ANIM' || type === 'ANMF')) {
    throw new NotAPicture('is an animated WebP');
  }
  if (first === undefined || picture === undefined || pictures.length > 1) throw cutOff('WebP');
  if (first.type !== 'VP8X' && first !== picture) throw cutOff('WebP');
  if (first.bytes < SIZE_BYTES || picture.bytes < SIZE_BYTES) throw cutOff('WebP');
  const said = webpSize(bytes, first.at);
  const drawn = webpSize(bytes, picture.at);
  // Else a small canvas would be a cover for a picture of any size.
  if (said.width !== drawn.width || said.height !== drawn.height) throw cutOff('WebP');
  return { content_type: 'image/webp', width: said.width, height: said.height };
}

/** How large the chunk that begins there says that it is. */
function webpSize(bytes: Buffer, at: number): { width: number; height: number } {
  try {
    return WEBP.calculate(Buffer.concat([bytes.subarray(0, RIFF_HEAD_BYTES), bytes.subarray(at)]));
  } catch {
    throw cutOff('WebP');
  }
}
