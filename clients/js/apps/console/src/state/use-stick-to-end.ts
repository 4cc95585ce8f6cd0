import { type RefObject, useLayoutEffect, useRef } from "react";

const NEAR_PX = 60;

/** Keeps a scrolling box at its end while it grows, unless the reader scrolled away from there. */
export function useStickToEnd<E extends HTMLElement>(): {
  readonly ref: RefObject<E | null>;
  readonly onScroll: () => void;
} {
  const ref = useRef<E>(null);
  const follows = useRef(true);
  useLayoutEffect(() => {
    if (ref.current && follows.current) ref.current.scrollTop = ref.current.scrollHeight;
  });
  const onScroll = () => {
    const box = ref.current;
    if (box) follows.current = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_PX;
  };
  return { ref, onScroll };
}
