/** An optional peer, which is not installed where this is built. */
declare module "@daily-co/daily-js" {
  const daily: import("./daily-js.js").DailyModule;
  export default daily;
}
