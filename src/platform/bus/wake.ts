/** Waiting for work that may come at any time, where news of it can be missed: until woken, and a while at most. */

export interface Waker {
  wake: () => void;
  /** Resolves when woken, at once if that was since the last time, or after `at_most_ms`. */
  wait: (at_most_ms: number) => Promise<void>;
}

export function openWaker(): Waker {
  let woken = false;
  let waiting: (() => void) | undefined;
  return {
    wake: () => {
      woken = true;
      waiting?.();
    },
    wait: async (at_most_ms) => {
      if (!woken) {
        const { promise, resolve } = Promise.withResolvers<void>();
        const timer = setTimeout(resolve, at_most_ms);
        waiting = resolve;
        await promise;
        waiting = undefined;
        clearTimeout(timer);
      }
      woken = false;
    },
  };
}
