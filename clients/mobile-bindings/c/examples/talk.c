// Types a line to a bot, prints what it says as it is heard, and writes its sound:
//   talk ws://127.0.0.1:7860 "what is the weather in Paris" bot.wav
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "voxwire.h"

enum { BLOCK_MS = 20, MAX_BLOCK = 48 * BLOCK_MS };

static VoxwireText text(const char *value) {
  VoxwireText out = {value, strlen(value)};
  return out;
}

static uint64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int fail(void) {
  VoxwireError error = voxwire_last_error();
  fprintf(stderr, "voxwire: %.*s\n", (int)error.reason.len, error.reason.data);
  return 1;
}

static bool is(VoxwireText name, const char *value) {
  return name.len == strlen(value) && memcmp(name.data, value, name.len) == 0;
}

// Prints the field `text` of an event.
static void print_word(VoxwireText json) {
  static const char key[] = "\"text\":\"";
  for (size_t at = 0; at + sizeof key <= json.len; ++at) {
    if (memcmp(json.data + at, key, sizeof key - 1) != 0) continue;
    const char *from = json.data + at + sizeof key - 1;
    const char *to = memchr(from, '"', (size_t)(json.data + json.len - from));
    if (to != NULL) printf("%.*s ", (int)(to - from), from);
    fflush(stdout);
    return;
  }
}

// The head of a WAV: 16-bit mono; machines are little-endian here.
static void write_head(FILE *file, uint32_t rate, uint32_t num_samples) {
  uint32_t bytes = 2 * num_samples, all = 36 + bytes, format_len = 16, byte_rate = 2 * rate;
  uint16_t pcm = 1, channels = 1, frame = 2, bits = 16;
  rewind(file);
  fwrite("RIFF", 1, 4, file), fwrite(&all, 4, 1, file), fwrite("WAVEfmt ", 1, 8, file);
  fwrite(&format_len, 4, 1, file), fwrite(&pcm, 2, 1, file), fwrite(&channels, 2, 1, file);
  fwrite(&rate, 4, 1, file), fwrite(&byte_rate, 4, 1, file), fwrite(&frame, 2, 1, file);
  fwrite(&bits, 2, 1, file), fwrite("data", 1, 4, file), fwrite(&bytes, 4, 1, file);
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: talk URL TEXT [WAV]\n");
    return 2;
  }
  if (voxwire_check_abi(VOXWIRE_ABI_VERSION) != VOXWIRE_OK) return fail();
  VoxwireSession *session = NULL;
  if (voxwire_session_new(text(argv[1]), NULL, &session) != VOXWIRE_OK) return fail();

  FILE *file = argc > 3 ? fopen(argv[3], "wb+") : NULL;
  VoxwireSessionInfo info = {0};
  uint32_t written = 0;
  uint64_t speaker_ms = now_ms();
  bool ended = false, asked = false, answered = false;
  while (!ended) {
    // The speaker: 20 ms every 20 ms. A device would ask for them.
    voxwire_session_info(session, &info);
    for (; info.up && speaker_ms <= now_ms(); speaker_ms += BLOCK_MS) {
      int16_t samples[MAX_BLOCK];
      uint32_t num = info.playout_rate * BLOCK_MS / 1000;
      voxwire_session_pull(session, samples, num, 0);
      if (file == NULL) continue;
      if (written == 0) write_head(file, info.playout_rate, 0);
      written += (uint32_t)fwrite(samples, 2, num, file);
    }
    if (!info.up) speaker_ms = now_ms() + BLOCK_MS;

    VoxwireSessionEvent event;
    uint64_t now = now_ms();
    uint64_t wait_ms = speaker_ms > now ? speaker_ms - now : 0;
    if (voxwire_session_next(session, wait_ms, &event) != VOXWIRE_OK) return fail();
    ended = event.ended;
    if (is(event.name, "waiting")) fprintf(stderr, "place %u in the line\n", event.position);
    if (is(event.name, "session_started") && !asked) {
      asked = true;
      voxwire_session_send_text(session, text(argv[2]));
    }
    if (is(event.name, "bot_word")) print_word(event.json);
    if (is(event.name, "utterance_ended")) answered = true;
    if (answered) voxwire_session_close(session), answered = false;
  }
  printf("\n");
  if (file != NULL) write_head(file, info.playout_rate, written), fclose(file);
  voxwire_session_free(session);
  return 0;
}
