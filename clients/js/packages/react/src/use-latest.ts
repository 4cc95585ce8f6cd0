import { type RefObject, useLayoutEffect, useRef } from "react";

/** A ref to the value of the last render, for handlers that live longer than one. */
export function useLatest<T>(value: T): RefObject<T> {
  const ref = useRef(value);
  useLayoutEffect(() => {
    ref.current = value;
  });
  return ref;
}
