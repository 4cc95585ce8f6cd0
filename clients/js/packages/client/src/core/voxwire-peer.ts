/** A Voxwire server as what a client talks to. */
import { Greeting } from "./attach.js";
import { Control } from "./control.js";
import type { Peer } from "./peer.js";
import { declarationsOf } from "./tool-declarations.js";
import { controlUrl } from "./url.js";

export const voxwirePeer: Peer = {
  locate: controlUrl,
  open({ scope, options, host, handler }) {
    const [webrtc, daily] = [options.carriers.includes("webrtc"), options.carriers[0] === "daily"];
    const tools = declarationsOf(host.tools);
    const greeting = new Greeting(scope.env, { ...options, tools, webrtc, daily });
    return new Control(scope, greeting, host.gate, handler, host.tap);
  },
};
