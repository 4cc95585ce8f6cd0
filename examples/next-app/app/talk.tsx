"use client";
import { useConnection } from "@voxwire/react";

export function Talk() {
  const { isReady, isBusy, connect, disconnect, error } = useConnection();
  return (
    <>
      <button type="button" onClick={isReady || isBusy ? disconnect : connect}>
        {isReady ? "Hang up" : isBusy ? "Cancel" : "Talk"}
      </button>
      {error && <p role="alert">{error.message}</p>}
    </>
  );
}
