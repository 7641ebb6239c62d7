import { testBus } from './bus.ts';

testBus('PostgreSQL', () => Promise.resolve({}));
