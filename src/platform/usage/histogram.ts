/**
 * How long requests took, as counts in buckets that grow by the square root of 2: the first is up to 0.125 ms, the last one
 * from 92 s on. What is read from them is exact to a bucket: the true percentile lies between the bounds of the bucket that it
 * is told from, at most 41 % apart, and what is told is a place between them.
 */

const FIRST_MS = 0.125;
export const BUCKETS = 41;

/** The bucket of a duration. */
export function bucketOf(duration_ms: number): number {
  if (!(duration_ms > FIRST_MS)) return 0;
  return Math.min(Math.ceil(2 * Math.log2(duration_ms / FIRST_MS)), BUCKETS - 1);
}

/** The upper bound of a bucket; the last one has none, and is told as if it were as wide as the others. */
function upperBoundOf(bucket: number): number {
  return FIRST_MS * 2 ** (bucket / 2);
}

/**
 * The duration that a share of the requests took at most; undefined where there were none. Within its bucket they are taken
 * to lie evenly.
 *
 * @param share from 0 to 1
 */
export function percentileOf(counts: readonly number[], share: number): number | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return undefined;
  const rank = Math.max(share * total, 1);
  let before = 0;
  for (const [bucket, count] of counts.entries()) {
    if (count > 0 && before + count >= rank) {
      const lower = bucket === 0 ? 0 : upperBoundOf(bucket - 1);
      return lower + ((rank - before) / count) * (upperBoundOf(bucket) - lower);
    }
    before += count;
  }
  // Shares above 1 alone come here.
  return upperBoundOf(counts.length - 1);
}

/** Counts as PostgreSQL writes an array, without the zeros at its end. */
export function arrayText(counts: Uint32Array): string {
  let length = counts.length;
  while (length > 0 && counts[length - 1] === 0) length -= 1;
  return `{${counts.subarray(0, length).join(',')}}`;
}
