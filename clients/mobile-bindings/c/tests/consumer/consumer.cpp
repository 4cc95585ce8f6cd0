// A client and a server, and a message between them.
#include <iostream>
#include <voxwire.hpp>

int main() {
  voxwire::Channel client(voxwire_channel_defaults(VOXWIRE_SIDE_SERVER));
  voxwire::Channel server(voxwire_channel_defaults(VOXWIRE_SIDE_CLIENT));
  // Envelope { send_text { text: "hi" } }, as any protobuf library writes it
  const std::string_view message("\xe2\x03\x04\x0a\x02hi", 7);
  for (const VoxwireBytes &data : voxwire::walk(client.send(message, 0))) {
    const auto receipt = server.receive(voxwire::view(data), 5);  // a socket would carry it
    if (receipt.refusal) return std::cerr << receipt.refusal->what() << '\n', 1;
    for (const VoxwireReceived &received : voxwire::walk(receipt.messages)) {
      if (received.seq != 1) return 1;
    }
  }
  const auto due_ms = server.state().next_due_ms;
  client.receive(voxwire::view(server.outgoing(due_ms)), due_ms);
  return client.state().unacknowledged == 0 ? 0 : 1;
}
