/** Measurements: RTVI's are seconds and a list a kind, ours milliseconds and one list. */
import type { JsonValue } from "../json-text.js";
import { create, MetricKind, type ServiceMetrics, ServiceMetricsSchema } from "../messages.js";
import { isObject } from "./message.js";

/** Most measurements read of one message. */
const MAX_METRICS = 256;

/** For each key of `metrics`: the members that are measured, their kinds, and what to multiply by. */
const MEASURED: { readonly [key: string]: readonly (readonly [string, MetricKind, number])[] } = {
  ttfb: [["value", MetricKind.TTFB, 1000]],
  processing: [["value", MetricKind.PROCESSING, 1000]],
  characters: [["value", MetricKind.TTS_CHARACTERS, 1]],
  tokens: [
    ["prompt_tokens", MetricKind.PROMPT_TOKENS, 1],
    ["completion_tokens", MetricKind.COMPLETION_TOKENS, 1],
  ],
};

/** The measurements that ours have a kind for, and whether there was anything else. */
export function metricsFromRtvi(data: JsonValue | undefined): {
  readonly measured: ServiceMetrics;
  readonly isMore: boolean;
} {
  const metrics: { kind: MetricKind; processor: string; model: string; value: number }[] = [];
  let isMore = !isObject(data);
  for (const [key, entries] of Object.entries(isObject(data) ? data : {})) {
    const kinds = Object.hasOwn(MEASURED, key) ? MEASURED[key] : undefined;
    if (!kinds || !Array.isArray(entries)) {
      isMore = true;
      continue;
    }
    for (const entry of entries.slice(0, MAX_METRICS)) {
      if (!isObject(entry)) continue;
      for (const [member, kind, factor] of kinds) {
        const value = entry[member];
        if (typeof value !== "number" || Math.abs(value) >= 1e15) continue;
        const { processor, model } = entry;
        metrics.push({
          kind,
          processor: textOf(processor),
          model: textOf(model),
          value: value * factor,
        });
      }
    }
  }
  return {
    measured: create(ServiceMetricsSchema, { metrics: metrics.slice(0, MAX_METRICS) }),
    isMore,
  };
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
