// The golden cases of protocol/vectors hold for the C interface (see the README there), and a case of
// which one expectation is told wrongly is red. `vectors DESCRIPTORS VECTORS`.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "script.hpp"

namespace fs = std::filesystem;

void run_wire(const Step &whole, const std::string &name, const std::string &data);

namespace {

using Run = void (*)(const Step &);

// rtvi/ belongs to the server's gateway, quality/ to a client that measures, which comes later;
// addresses/ to one that dials, diagnosis/ to one that looks for what is wrong; wire/ is read by itself.
const std::map<std::string, Run> kFolders = {
    {"addresses", nullptr}, {"capture", run_capture}, {"channel", run_channel},
    {"clock", run_clock},   {"jitter", run_jitter},   {"conversation", run_conversation},
    {"playout", run_playout}, {"quality", nullptr},   {"rtvi", nullptr},
    {"diagnosis", nullptr},
    {"tools", run_tools},   {"wire", nullptr},        {"words", run_words},
};

int passed = 0, failed = 0, mutants = 0;

std::string read(const fs::path &path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

// Runs a test and says how it went.
template <typename Test>
void test(const std::string &name, Test run) {
  try {
    run();
    ++passed;
  } catch (const std::exception &error) {
    ++failed;
    std::printf("FAILED %s: %s\n", name.c_str(), error.what());
  }
}

// Runs a case as it is, and then with expectations told wrongly: the first, the last, some between.
template <typename CaseRun>
void run_case(const std::string &place, const Json &json, const Schema &schema, CaseRun run) {
  Expectations all;
  run(Step{json, place, schema, all});
  const std::size_t stride = std::max<std::size_t>(1, all.count / 5);
  for (std::size_t wrong = 0; wrong < all.count; wrong += stride) {
    Expectations one(std::min(wrong, all.count - 1));
    ++mutants;
    try {
      run(Step{json, place, schema, one});
    } catch (const std::exception &) {
      continue;
    }
    throw std::runtime_error("green, with expectation " + std::to_string(wrong) + " told wrongly");
  }
}

void run_wire_cases(const fs::path &folder, const Schema &schema) {
  std::size_t count = 0;
  for (const auto &[number, name] : schema.fields_of("voxwire.v1.Envelope")) {
    if (name == "seq" || name == "ack") continue;
    ++count;
    test("wire/" + name, [&, name = name] {
      const std::string data = read(folder / (name + ".binpb"));
      const Json json = Json::parse(read(folder / (name + ".json")));
      run_case("wire/" + name, json, schema,
               [&](const Step &whole) { run_wire(whole, name, data); });
    });
  }
  test("wire: one case for every payload", [&] {
    const auto files = std::distance(fs::directory_iterator(folder), fs::directory_iterator());
    if (std::size_t(files) != 2 * count) throw std::runtime_error("a file is not read");
  });
}

void run_folder(const fs::path &folder, const std::string &name, const Schema &schema) {
  const auto known = kFolders.find(name);
  if (known == kFolders.end()) {
    test(name, [] { throw std::runtime_error("a folder that nobody reads"); });
  } else if (name == "wire") {
    run_wire_cases(folder, schema);
  } else if (known->second) {
    std::vector<fs::path> files;
    for (const auto &entry : fs::directory_iterator(folder)) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    for (const fs::path &file : files) {
      const std::string place = name + "/" + file.stem().string();
      test(place, [&] { run_case(place, Json::parse(read(file)), schema, known->second); });
    }
  }
}

}  // namespace

int main(int count, char **arguments) {
  if (count != 3) return std::fprintf(stderr, "vectors DESCRIPTORS VECTORS\n"), 2;
  const Schema schema(read(arguments[1]));
  std::vector<std::string> folders;
  for (const auto &entry : fs::directory_iterator(arguments[2])) {
    const std::string name = entry.path().filename().string();
    if (entry.is_directory() && name[0] != '_') folders.push_back(name);
  }
  std::sort(folders.begin(), folders.end());
  for (const std::string &name : folders) run_folder(fs::path(arguments[2]) / name, name, schema);
  std::printf("%d expectations were told wrongly, one at a time\n", mutants);
  std::printf("vectors: %d passed, %d failed\n", passed, failed);
  return failed || !passed ? 1 : 0;
}
