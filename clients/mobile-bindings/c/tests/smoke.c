// The interface as C sees it: version, errors, ownership, and no panic that crosses it.
#include <stdio.h>
#include <string.h>

#include "voxwire.h"

static int passed = 0, failed = 0;

static void must(bool holds, const char *what) {
  if (holds) {
    ++passed;
  } else {
    ++failed;
    printf("FAILED %s\n", what);
  }
}

static VoxwireText text(const char *value) {
  VoxwireText out = {value, strlen(value)};
  return out;
}

static void versions(void) {
  must(voxwire_check_abi(VOXWIRE_ABI_VERSION) == VOXWIRE_OK, "the library is that of the header");
  must(voxwire_check_abi(VOXWIRE_ABI_VERSION + 1) == VOXWIRE_ERROR_CODE_VERSION,
       "another version is refused");
  must(voxwire_last_error().reason.len > 0, "an error has a reason");
}

static void arguments(void) {
  VoxwireChannelOptions options = voxwire_channel_defaults(VOXWIRE_SIDE_SERVER);
  VoxwireChannel *channel = NULL;
  options.max_send_bytes = 1;
  must(voxwire_channel_new(&options, &channel) == VOXWIRE_ERROR_CODE_INVALID_ARGUMENT &&
           channel == NULL,
       "a channel that cannot be is refused");
  options = voxwire_channel_defaults(77);
  must(voxwire_channel_new(&options, &channel) == VOXWIRE_ERROR_CODE_INVALID_ARGUMENT,
       "a side that there is not is refused");
  must(voxwire_channel_new(NULL, &channel) == VOXWIRE_ERROR_CODE_INVALID_ARGUMENT,
       "options that are null are refused");
  must(voxwire_channel_restart(NULL) == VOXWIRE_ERROR_CODE_INVALID_ARGUMENT,
       "an object that is null is refused");
  VoxwireTimeline *timeline = NULL;
  must(voxwire_timeline_new(&timeline) == VOXWIRE_OK, "a timeline is made");
  VoxwireText broken = {"\xff", 1};
  must(voxwire_timeline_begin(timeline, broken, 0) == VOXWIRE_ERROR_CODE_INVALID_ARGUMENT,
       "a text that is not UTF-8 is refused");
  must(voxwire_timeline_begin(timeline, text("u1"), 0) == VOXWIRE_OK, "and nothing came of it");
  voxwire_timeline_free(timeline);
  voxwire_timeline_free(NULL);
}

static void panics(void) {
  VoxwireCapture *capture = NULL;
  VoxwireCaptureState state;
  must(voxwire_capture_new(16000, 3000, &capture) == VOXWIRE_OK, "a microphone is kept");
  must(voxwire_capture_mute(capture, UINT64_MAX) == VOXWIRE_OK, "a count may be as long as it is");
  must(voxwire_capture_mute(capture, 1) == VOXWIRE_ERROR_CODE_INTERNAL,
       "a count beyond its range is an error, not a crash");
  must(voxwire_last_error().code == VOXWIRE_ERROR_CODE_INTERNAL, "and it is told");
  must(voxwire_capture_state(capture, &state) == VOXWIRE_ERROR_CODE_INTERNAL,
       "the object stays unusable");
  voxwire_capture_free(capture);
  must(voxwire_capture_new(16000, 3000, &capture) == VOXWIRE_OK, "another one is not concerned");
  must(voxwire_capture_state(capture, &state) == VOXWIRE_OK, "and works");
  voxwire_capture_free(capture);
}

static void errors(void) {
  VoxwireChannelOptions options = voxwire_channel_defaults(VOXWIRE_SIDE_CLIENT);
  VoxwireChannel *channel = NULL;
  VoxwireReceivedList messages;
  const uint8_t noise[] = {0xff, 0xff};
  VoxwireBytes data = {noise, sizeof noise};
  must(voxwire_channel_new(&options, &channel) == VOXWIRE_OK, "a channel is made");
  must(voxwire_channel_receive(channel, data, 0, &messages) == VOXWIRE_ERROR_CODE_MALFORMED &&
           messages.len == 0,
       "bytes that are no envelope are refused");
  must(voxwire_channel_on_lost(channel, 0) == VOXWIRE_OK, "and the channel goes on");
  must(voxwire_channel_state(channel, NULL) == VOXWIRE_OK, "a value may be unwanted");
  voxwire_channel_free(channel);
}

int main(void) {
  versions();
  arguments();
  panics();
  errors();
  printf("smoke: %d passed, %d failed\n", passed, failed);
  return failed ? 1 : 0;
}
