/** Everything that is refused about events and those who consume them. */
import { defineProblems } from '../problem.ts';

export const refuse = defineProblems({
  event_not_found: {
    status: 404,
    title: 'No such event',
    meaning: 'The tenant has no event with this id in this environment, or it is kept no more.',
  },
  events_forgotten: {
    status: 410,
    title: 'The events are kept no more',
    meaning:
      'Events are kept for a configured time. What was asked for begins before `oldest_sequence`, and to go on from there would leave a gap unseen: read the state anew, then go on from the newest.',
  },
  too_many_streams: {
    status: 429,
    title: 'Too many streams',
    meaning: 'Ten streams of one caller may be open in a process, and a thousand of all. Close one, or wait.',
  },
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
  held_event_waiting: {
    status: 409,
    title: 'The event waits behind another',
    meaning:
      'Only an event that failed can be discarded. This one was not tried yet: it waits behind one of the same aggregate, which is to be redriven or discarded.',
  },
  replay_too_large: {
    status: 422,
    title: 'Too many events to replay at once',
    meaning: 'One request replays 100,000 events at most. Begin later, or end earlier with `until_sequence`.',
  },
});
