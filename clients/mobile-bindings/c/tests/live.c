// A conversation with a real bot: `live URL` for a server that has no place at first, and lets wait.
// Question, tool of this program, barge-in, a connection that breaks; one thread does all of it.
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "voxwire.h"

enum { BLOCK_MS = 20, MAX_BLOCK = 48 * BLOCK_MS, PATIENCE_MS = 60000, MAX_ID = 100 };

static VoxwireSession *session = NULL;
static uint64_t speaker_ms = 0, given_up_ms = 0;
static VoxwireSessionEvent event;
static char spoken[MAX_ID] = "";
static unsigned waited = 0, heard = 0, words = 0;
static int passed = 0, failed = 0;

static void must(bool holds, const char *what) {
  if (holds) {
    ++passed;
  } else {
    ++failed;
    printf("FAILED %s (%.*s)\n", what, (int)voxwire_last_error().reason.len,
           voxwire_last_error().reason.data);
  }
}

static VoxwireText text(const char *value) {
  VoxwireText out = {value, strlen(value)};
  return out;
}

static uint64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool contains(VoxwireText value, const char *part) {
  char copy[8192];
  size_t len = value.len < sizeof copy - 1 ? value.len : sizeof copy - 1;
  if (len > 0) memcpy(copy, value.data, len);
  copy[len] = 0;
  return strstr(copy, part) != NULL;
}

static bool is(const char *name) {
  return event.name.len == strlen(name) && memcmp(event.name.data, name, event.name.len) == 0;
}

// Copies what the event's JSON has behind `key` up to the next quote into `taken`.
static void take(const char *key, char *taken) {
  size_t start = strlen(key), len = 0;
  taken[0] = 0;
  for (size_t at = 0; at + start < event.json.len; ++at) {
    if (memcmp(event.json.data + at, key, start) != 0) continue;
    const char *from = event.json.data + at + start;
    while (at + start + len < event.json.len && from[len] != '"' && len < MAX_ID - 1) ++len;
    memcpy(taken, from, len);
    taken[len] = 0;
  }
}

// Plays what is due.
static void play(void) {
  int16_t samples[MAX_BLOCK], silence[16 * BLOCK_MS] = {0};
  VoxwireSessionInfo info;
  voxwire_session_info(session, &info);
  uint32_t num = (info.up ? info.playout_rate : 24000) * BLOCK_MS / 1000;
  for (uint64_t now = now_ms(); speaker_ms <= now; speaker_ms += BLOCK_MS) {
    voxwire_session_pull(session, samples, num, 0);
    voxwire_session_push(session, silence, sizeof silence / sizeof silence[0]);
    for (uint32_t at = 0; at < num; ++at) heard += samples[at] != 0;
  }
}

typedef struct {
  const char *name, *part;
} Wanted;

// Waits for these, in any order; plays meanwhile. False: the session failed, or it takes long.
static bool until_all(const Wanted *wanted, unsigned num) {
  unsigned met = 0;
  given_up_ms = now_ms() + PATIENCE_MS;
  while (now_ms() < given_up_ms) {
    play();
    uint64_t now = now_ms();
    if (voxwire_session_next(session, speaker_ms > now ? speaker_ms - now : 0, &event) != VOXWIRE_OK)
      return false;
    if (is("waiting") && event.position == 1) ++waited;
    if (is("bot_word")) ++words, take("\"utterance_id\":\"", spoken);
    for (unsigned at = 0; at < num; ++at)
      if (is(wanted[at].name) && contains(event.json, wanted[at].part)) met |= 1u << at;
    if (num > 0 && met == (1u << num) - 1) return true;
    if (event.ended) return false;
  }
  return false;
}

static bool until(const char *name, const char *part) {
  Wanted wanted = {name, part};
  return until_all(&wanted, 1);
}

// Waits for the end of the utterance of the last word. Another may end meanwhile: the words are told
// by this program's own clock, the ends by the server.
static bool until_spoken(void) {
  char utterance[MAX_ID + 20];
  snprintf(utterance, sizeof utterance, "\"utterance_id\":\"%s\"", spoken);
  return until("utterance_ended", utterance) && contains(event.json, "\"end\":\"completed\"");
}

// Waits for the end of the session.
static bool until_over(void) {
  return !until_all(NULL, 0) && event.ended;
}

static void say(const char *line) {
  must(voxwire_session_send_text(session, text(line)) == VOXWIRE_OK, line);
}

static void come_in(const char *url) {
  VoxwireClientTool tool = {text("show_on_map"), text("Shows a place."), {NULL, 0}, 0,
                            VOXWIRE_ON_INTERRUPTION_CANCEL};
  VoxwireSessionOptions options = voxwire_session_defaults();
  options.tools = &tool;
  options.num_tools = 1;
  options.connect_timeout_ms = PATIENCE_MS;
  must(voxwire_session_new(text(url), &options, &session) == VOXWIRE_OK, "a session is begun");
  must(voxwire_session_interrupt(session) == VOXWIRE_ERROR_CODE_INVALID_STATE, "it is not up yet");
  must(until("session_started", "session_id"), "it comes up");
  must(waited > 0, "it was told that it waits for a place");
}

static void converse(void) {
  say("what is the weather in Paris");
  must(until("bot_word", "Paris"), "the question is answered");
  must(until_spoken(), "to its end");
  must(heard > 24000 / 4, "and it sounded");

  say("show London on the map");
  must(until("tool_call", "show_on_map"), "the bot calls");
  char id[MAX_ID];
  take("\"id\":\"", id);
  must(voxwire_session_finish_tool(session, text(id), text("{")) ==
           VOXWIRE_ERROR_CODE_INVALID_ARGUMENT,
       "a result is JSON");
  must(voxwire_session_finish_tool(session, text(id), text("{\"shown\": true}")) == VOXWIRE_OK,
       "it is answered");
  must(until("tool_call_ended", "\"outcome\":\"done\""), "the bot has the result");
  must(until("bot_word", "London") && until_spoken(), "and speaks of it");
}

static void barge_in(void) {
  say("tell me a long story");
  must(until("bot_word", ""), "a story begins");
  must(voxwire_session_interrupt(session) == VOXWIRE_OK, "the bot is cut off");
  must(until("utterance_ended", "interrupted"), "in mid-sentence");
}

static void come_back(void) {
  say("what is the weather in Rome");
  must(until("bot_word", ""), "an answer begins");
  must(voxwire_session_drop_control(session) == VOXWIRE_OK, "the connection breaks");
  // The words follow the sound, and the sound does not wait for the connection.
  Wanted wanted[] = {{"connection_changed", "\"state\":\"connected\""}, {"bot_word", "Rome"}};
  must(until_all(wanted, 2), "it is back, and the answer went on");
  must(until_spoken(), "to its end");
  must(voxwire_session_close(session) == VOXWIRE_OK, "the session is closed");
  must(until_over(), "and over");
  must(voxwire_session_next(session, 0, &event) == VOXWIRE_OK && event.ended, "for good");
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  speaker_ms = now_ms();
  come_in(argv[1]);
  if (failed == 0) converse();
  if (failed == 0) barge_in();
  if (failed == 0) come_back();
  voxwire_session_free(session);
  must(words > 20, "words were told as they were heard");
  printf("live: %d passed, %d failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
