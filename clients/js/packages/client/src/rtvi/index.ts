/** Stock Pipecat bots as what a client talks to; an entry of its own, for pages that do. */
export { type PipecatBotOptions, pipecatBot } from "./pipecat-bot.js";
