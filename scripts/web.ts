/** `npm run web`: builds the console where a start will find it, for images whose files cannot be written later. */
import { builtWeb } from '../src/web.ts';

console.log(`The console is in ${await builtWeb((line) => console.error(`${line} …`))}`);
