/** Everything that is refused about events and those who consume them. */
import { defineProblems } from '../problem.ts';

export const refuse = defineProblems({
  consumer_not_found: {
    status: 404,
    title: 'No such consumer',
    meaning: 'No service that runs on this database consumes events under this name.',
  },
  held_event_not_found: {
    status: 404,
    title: 'The consumer holds no such event',
    meaning: 'It was never held, has taken effect since, or belongs to another tenant or environment.',
  },
  replay_too_large: {
    status: 422,
    title: 'Too many events to replay at once',
    meaning: 'One request replays 100,000 events at most. Begin later, or end earlier with `until_sequence`.',
  },
});
