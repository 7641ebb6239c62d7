/** A reporter for knip that says how many files it looked at, for scripts/check.ts. */
import type { Reporter } from 'knip';

const count: Reporter = ({ counters }) => {
  console.log(`${counters.processed} files processed`);
};
export default count;
