/** Where the worklets are when nobody says so: beside this file. Bundlers see these two addresses
 * and copy the files; `no-inline` keeps Vite from making a `data:` URL of a small one, which a
 * policy of `script-src 'self'` forbids. */
export const besides = {
  capture: () => new URL("../worklets/capture.worklet.js?no-inline", import.meta.url),
  playout: () => new URL("../worklets/playout.worklet.js?no-inline", import.meta.url),
} as const;
