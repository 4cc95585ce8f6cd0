import type { Client, ClientOptions, Logger } from "./api.js";
import { browserMedia } from "./browser/index.js";
import { CoreClient } from "./core/client.js";
import { environmentWith } from "./core/environment.js";
import { silentMedia } from "./media/silent-media.js";

const silent = () => {};
const NO_LOG: Logger = { debug: silent, info: silent, warn: silent, error: silent };

/** Makes a client. Touches no device and no network before `connect()`. */
export function createClient(options: ClientOptions): Client {
  const { media, environment, logger = NO_LOG, ...rest } = options;
  const factory =
    typeof media === "function" ? media : media === false ? silentMedia : browserMedia(media);
  return new CoreClient({
    ...rest,
    env: environmentWith(environment),
    media: factory({ logger }),
    logger,
  });
}
