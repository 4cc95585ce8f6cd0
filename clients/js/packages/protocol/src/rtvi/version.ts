/** Versions of RTVI. */

/** Major, minor and patch. */
export type Version = readonly [number, number, number];

/** The newest version that this library speaks (pipecat 1.13 and 1.14). */
export const RTVI_VERSION: Version = [2, 2, 0];

/** The version that a peer says; undefined for what pipecat takes for invalid ("2.1.0-rc1"). */
export function parseVersion(text: unknown): Version | undefined {
  const found = typeof text === "string" ? /^(\d{1,4})\.(\d{1,4})\.(\d{1,4})$/.exec(text) : null;
  return found ? [Number(found[1]), Number(found[2]), Number(found[3])] : undefined;
}

/** A version as peers say it. */
export function versionText(version: Version): string {
  return version.join(".");
}

/** Whether a version is that one or newer. */
export function isAtLeast(version: Version, major: number, minor: number): boolean {
  return version[0] > major || (version[0] === major && version[1] >= minor);
}
