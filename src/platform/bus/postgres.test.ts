import { testBus } from './testing.ts';

testBus('PostgreSQL', () => Promise.resolve({}));
